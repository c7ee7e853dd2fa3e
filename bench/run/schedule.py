"""From cases to results: the implementations of a problem share rounds, so that drift of the machine hits all alike."""

import random
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from ..case.case import Case, grouped
from ..cost.chips import Chip
from ..cost.metrics import bounded, counts, rates, work_of
from ..measure.steps import CaseRunner, StepResult
from ..results.columns import NOT_RUN, Row, assemble
from ..samples import Latency, joined
from .capacity import BatchSearch, Outgrown
from .conduct import Conduct

_OVER = f"{NOT_RUN}: the time for the whole run was over"


@dataclass(frozen=True)
class CaseResult:
    """A case that has ended.

    Args:
        case: The case.
        status: What became of it.
        reason: Why, unless it is "ok".
        parts: Columns of its row by who tells them, beside what follows from the case itself.
        rounds: The latency of each round, none unless it is "ok".
    """

    case: Case
    status: str
    reason: str | None = None
    parts: Mapping[str, Row] = field(default_factory=dict)
    rounds: list[Latency] = field(default_factory=list)

    @property
    def row(self) -> Row:
        """The row of the results."""
        outcome = {"status": self.status, "reason": self.reason}
        return assemble({"case": self.case.parameters(), "counts": counts(self.case), "outcome": outcome, **self.parts})

    @property
    def latency(self) -> Latency:
        """All rounds as one."""
        return joined(self.rounds)

    def told(self, by: str, columns: Row) -> "CaseResult":
        """The same with one more part."""
        return replace(self, parts={**self.parts, by: columns})


@dataclass
class _Measured:
    """A prepared case and the rounds that it has had."""

    case: Case
    prepared: StepResult
    rounds: list[Latency] = field(default_factory=list)
    parts: dict[str, list[Latency]] = field(default_factory=dict)
    seconds: float = 0.0
    first: bool = False

    def ended(self, step: StepResult) -> CaseResult:
        """The result of a case that ends with a step."""
        return CaseResult(
            self.case, str(step.status), step.reason, {"prepared": {**self.prepared.columns, **step.columns}}
        )

    def add(self, step: StepResult, latency: Latency) -> None:
        self.rounds.append(latency)
        for name, of_part in step.parts.items():
            self.parts.setdefault(name, []).append(of_part)

    def result(self, chip: Chip | None, rounds: int) -> CaseResult:
        """The result of a case that had rounds, with what follows from its latency; `rounds` were asked for."""
        columns, first = joined(self.rounds).columns(), self.prepared.first
        if len(self.rounds) < rounds:
            columns["stop"] = "deadline"
        latency_ms: float = columns["latency_ms"]
        known: dict[str, Any] = {**self.case.parameters(), **counts(self.case)}
        parts = {
            "prepared": self.prepared.columns,
            "first call": {} if first is None else first.columns(latency_ms),
            "latency": columns,
            "parts": {f"{name}_ms": joined(rounds).columns()["latency_ms"] for name, rounds in self.parts.items()},
            "rates": rates(known, latency_ms),
            "bounds": bounded(work_of(self.case), chip, self.case.cache, latency_ms),
        }
        return CaseResult(self.case, "ok", None, parts, self.rounds)


@dataclass
class Schedule:
    """The order of cases and their rounds on one device.

    Args:
        runner: Who takes the steps of a case.
        conduct: In which order, and until when.
        chip: What bounds the device, if known.
        attend: Called before each step that loads the device.
        outgrown: Which cases ran out of memory already.
    """

    runner: CaseRunner
    conduct: Conduct
    chip: Chip | None = None
    attend: Callable[[], None] = lambda: None
    outgrown: Outgrown = field(default_factory=Outgrown)

    def __post_init__(self) -> None:
        self._search = BatchSearch(self.runner)

    def run(self, cases: Sequence[Case]) -> Iterator[CaseResult]:
        """Every case as it ends, problem by problem; the cases of a problem have to stand together."""
        for group in grouped(cases):
            for shared in [group] if self.conduct.order == "rotated" else [[case] for case in group]:
                for result in self._measured(shared):
                    if result.status == "out_of_memory":
                        self.outgrown.add(result.case)
                    if self.conduct.largest_batch:
                        yield result.told("largest batch", self._search.columns(result.case, result.status))
                    else:
                        yield result

    def _measured(self, cases: Sequence[Case]) -> Iterator[CaseResult]:
        """Prepare the cases, give each its rounds, and end it. One that fails takes none of the others' samples."""
        measured: dict[Case, _Measured] = {}
        for case, left_out in self._left_out(cases):
            start, first = self.conduct.clock(), not measured
            step = left_out or self._refusal(case) or self._prepared(case)
            one = _Measured(case, step, seconds=self.conduct.clock() - start, first=first)
            if step.status is None:
                measured[case] = one
            else:
                if left_out is None:
                    self._learn(one)
                yield _Measured(case, StepResult()).ended(step)
        yield from self._rounds(measured)
        for one in measured.values():
            if not one.rounds:
                yield one.ended(StepResult(status="timeout", reason=_OVER))
                continue
            self.attend()
            start = self.conduct.clock()
            step = self.runner.recheck(one.case)
            one.seconds += self.conduct.clock() - start
            self._learn(one)
            yield one.result(self.chip, self.conduct.rounds) if step.status is None else one.ended(step)

    def _rounds(self, measured: dict[Case, _Measured]) -> Iterator[CaseResult]:
        """Give the cases their rounds, until the time is over; those that fail are taken away, and end."""
        for number in range(self.conduct.rounds):
            for case in order_of_round(list(measured), self.conduct.seed, number):
                if self.conduct.over:
                    return
                self.attend()
                start, one = self.conduct.clock(), measured[case]
                step = self.runner.round(case)
                one.seconds += self.conduct.clock() - start
                if step.latency is None:
                    self._learn(one)
                    yield measured.pop(case).ended(step)
                else:
                    one.add(step, step.latency)

    def _prepared(self, case: Case) -> StepResult:
        self.attend()
        return self.runner.prepare(case)

    def _left_out(self, cases: Sequence[Case]) -> Iterator[tuple[Case, StepResult | None]]:
        """The cases, with how one ends that would not end before the deadline."""
        reasons = {} if self.conduct.budget is None else self.conduct.budget.left_out(cases)
        for case in cases:
            reason = reasons.get(case)
            yield case, None if reason is None else StepResult(status="timeout", reason=reason)

    def _learn(self, one: _Measured) -> None:
        if self.conduct.budget is not None:
            latency_s = joined(one.rounds).columns()["latency_ms"] / 1e3 if one.rounds else None
            self.conduct.budget.learn(one.case, one.seconds, latency_s, first=one.first)

    def _refusal(self, case: Case) -> StepResult | None:
        """Why a case is not tried at all."""
        if self.conduct.over:
            return StepResult(status="timeout", reason=_OVER)
        reason = None if self.conduct.try_all else self.outgrown.reason(case)
        return None if reason is None else StepResult(status="out_of_memory", reason=f"{reason} (--try-all tries it)")


def order_of_round(cases: Sequence[Case], seed: int, number: int) -> list[Case]:
    """The order of a round: those that are compared with one another, alike in mode and cache, follow each other."""
    chance = random.Random(f"{seed} {number}")  # noqa: S311  an order, no secret
    comparable: dict[tuple[str, str], list[Case]] = {}
    for case in cases:
        comparable.setdefault((case.mode, case.cache), []).append(case)
    groups = list(comparable.values())
    chance.shuffle(groups)
    for group in groups:
        chance.shuffle(group)
    return [case for group in groups for case in group]
