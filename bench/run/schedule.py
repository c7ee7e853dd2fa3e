"""From cases to results: the implementations of a problem share rounds, so that drift of the machine hits all alike."""

import math
import random
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import torch

from ..case.case import Case, grouped
from ..cost.chips import Chip
from ..cost.metrics import bounded, counts, rates, work_of
from ..device.timing import Timing
from ..measure.runner import CaseRunner, StepResult
from ..results.columns import Row, assemble
from ..samples import Latency, joined
from .capacity import MOST, BatchSearch, Outgrown


@dataclass(frozen=True)
class Conduct:
    """How cases become results.

    Args:
        timing: How long a case is measured, all its rounds together.
        order: "rotated": all cases of a problem are prepared, then share rounds, each in an order of its own;
            "blocked": each case has all its rounds at once.
        rounds: How many rounds a case has.
        seed: Decides the order within a round.
        try_all: Also try cases that are larger than one that ran out of memory.
        largest_batch: Also find the largest batch that fits.
        case_timeout: Seconds for a case, checks and compilation included.
        memory_mib: MiB of the device's memory that a worker may take, if they are limited.
        deadline: No case is begun after it, on the clock of `time.monotonic`; those left end as "timeout".
    """

    timing: Timing
    order: str = "rotated"
    rounds: int = 3
    seed: int = 0
    try_all: bool = False
    largest_batch: bool = False
    case_timeout: float = 600.0
    memory_mib: float | None = None
    deadline: float = math.inf

    def round_timing(self, device: torch.device) -> Timing:
        """How long a round is measured on a device."""
        whole = self.timing
        return replace(
            whole,
            seconds=whole.seconds / self.rounds,
            warmup_seconds=whole.warmup_seconds / self.rounds,
            min_samples=-(-whole.least(device) // self.rounds),
        )

    def method(self) -> dict[str, Any]:
        """What environment.json says of it."""
        plan = {"order": self.order, "rounds": self.rounds, "seed": self.seed}
        plan |= {"largest_batch": MOST if self.largest_batch else None, "memory_limit_mib": self.memory_mib}
        return {**plan, "seconds": self.timing.seconds, "target": self.timing.target, "case_timeout": self.case_timeout}


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

    def ended(self, step: StepResult) -> CaseResult:
        """The result of a case that ends with a step."""
        return CaseResult(
            self.case, str(step.status), step.reason, {"prepared": {**self.prepared.columns, **step.columns}}
        )

    def add(self, step: StepResult, latency: Latency) -> None:
        self.rounds.append(latency)
        for name, of_part in step.parts.items():
            self.parts.setdefault(name, []).append(of_part)

    def result(self, chip: Chip | None) -> CaseResult:
        """The result of a case that had all its rounds, with what follows from its latency."""
        columns, first = joined(self.rounds).columns(), self.prepared.first
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
        for case in cases:
            step = self._refusal(case) or self._prepared(case)
            if step.status is None:
                measured[case] = _Measured(case, step)
            else:
                yield _Measured(case, StepResult()).ended(step)
        for number in range(self.conduct.rounds):
            for case in order_of_round(list(measured), self.conduct.seed, number):
                self.attend()
                step = self.runner.round(case)
                if step.latency is None:
                    yield measured.pop(case).ended(step)
                else:
                    measured[case].add(step, step.latency)
        for one in measured.values():
            self.attend()
            step = self.runner.recheck(one.case)
            yield one.result(self.chip) if step.status is None else one.ended(step)

    def _prepared(self, case: Case) -> StepResult:
        self.attend()
        return self.runner.prepare(case)

    def _refusal(self, case: Case) -> StepResult | None:
        """Why a case is not tried at all."""
        if time.monotonic() >= self.conduct.deadline:
            return StepResult(status="timeout", reason="not run: the time for the whole run was over")
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
