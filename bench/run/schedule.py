"""From cases to rows: the implementations of a problem take turns, so that drift of the machine hits all alike."""

import math
import random
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace

from ..case.case import Case, grouped
from ..cost.chips import Chip
from ..cost.metrics import counts, limits, rates
from ..cost.metrics import work_of
from ..measure.steps import Step, Steps
from ..results.folder import Row
from ..samples import Latency, joined
from .largest_batch import BatchSearch
from .outgrown import Outgrown


@dataclass(frozen=True)
class Schedule:
    """How cases become rows.

    Args:
        order: "rotated": all cases of a problem are prepared, then take turns in rounds, each in an order of its own;
            "blocked": each case has all its turns at once.
        rounds: How many turns a case has.
        seed: Decides the order within a round.
        try_all: Also try cases that are larger than one that ran out of memory.
        deadline: No case is begun after it, on the clock of `time.monotonic`; those left end as "timeout".
        largest_batch: Also find the largest batch that fits.
    """

    order: str = "rotated"
    rounds: int = 3
    seed: int = 0
    try_all: bool = False
    deadline: float = math.inf
    largest_batch: bool = False


@dataclass(frozen=True)
class Done:
    """A case that has ended: its row, and the latency of each round, none unless it is "ok"."""

    case: Case
    row: Row
    rounds: list[Latency] = field(default_factory=list)

    @property
    def latency(self) -> Latency:
        """All rounds as one."""
        return joined(self.rounds)


@dataclass
class Rotation:
    """Measures cases by steps.

    Args:
        steps: Who takes them.
        schedule: In which order, and until when.
        device: The device's name, for the rows.
        chip: What bounds it, if known.
        outgrown: Which cases ran out of memory already.
    """

    steps: Steps
    schedule: Schedule
    device: str
    chip: Chip | None = None
    outgrown: Outgrown = field(default_factory=Outgrown)

    def __post_init__(self) -> None:
        self._search = BatchSearch(self.steps)

    def run(self, cases: Sequence[Case]) -> Iterator[Done]:
        """Every case as it ends, problem by problem; the cases of a problem have to stand together."""
        for group in grouped(cases):
            for shared in [group] if self.schedule.order == "rotated" else [[case] for case in group]:
                for done in self._measured(shared):
                    if done.row["status"] == "out_of_memory":
                        self.outgrown.add(done.case)
                    largest = self._search.columns(done.case, done.row["status"]) if self.schedule.largest_batch else {}
                    yield replace(done, row={**done.row, **largest})

    def _measured(self, cases: Sequence[Case]) -> Iterator[Done]:
        """Prepare the cases, give each its turns, and end it. One that fails takes none of the others' samples."""
        rows: dict[Case, Row] = {}
        prepared: dict[Case, Step] = {}
        rounds: dict[Case, list[Latency]] = {}
        parts: dict[Case, dict[str, list[Latency]]] = {}
        for case in cases:
            refused = self._refusal(case)
            step = self.steps.prepare(case) if refused is None else Step(refused)
            row = {**case.parameters(), **counts(case), "device": self.device, **step.row}
            if "status" in row:
                yield Done(case, row)
            else:
                rows[case], prepared[case], rounds[case], parts[case] = row, step, [], {}
        for number in range(self.schedule.rounds):
            for case in in_turn(list(rows), self.schedule.seed, number):
                step = self.steps.turn(case)
                rows[case] |= step.row
                if step.latency is None:
                    yield Done(case, rows.pop(case))
                    continue
                rounds[case].append(step.latency)
                for name, latency in step.parts.items():
                    parts[case].setdefault(name, []).append(latency)
        for case, row in rows.items():
            columns = joined(rounds[case]).columns()
            first = prepared[case].first
            once = {} if first is None else first.columns(columns["latency_ms"])
            apart = {f"{name}_ms": joined(latencies).columns()["latency_ms"] for name, latencies in parts[case].items()}
            yield Done(case, self._ended(case, {**row, **once, **columns, **apart}), rounds[case])

    def _refusal(self, case: Case) -> Row | None:
        """Why a case is not tried at all, as columns of its row."""
        if time.monotonic() >= self.schedule.deadline:
            return {"status": "timeout", "reason": "not run: the time for the whole run was over"}
        reason = None if self.schedule.try_all else self.outgrown.reason(case)
        return None if reason is None else {"status": "out_of_memory", "reason": f"{reason} (--try-all tries it)"}

    def _ended(self, case: Case, row: Row) -> Row:
        """The row of a case that had all its turns, with what follows from its latency."""
        latency_ms = row["latency_ms"]
        limited = limits(work_of(case), self.chip, case.cache, latency_ms)
        return {**row, "status": "ok", **rates(row, latency_ms), **limited}


def in_turn(cases: Sequence[Case], seed: int, number: int) -> list[Case]:
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
