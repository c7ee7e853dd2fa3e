"""Speed-up over the baseline, case by case and as a geometric mean."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import geometric_mean

from bench.results import PARAMETERS
from reports.rows import Row, positive
from reports.slices import Group
from reports.style import Value, in_order

BASELINE = "unfold"
_PROBLEM = tuple(name for name in PARAMETERS if name != "implementation")


@dataclass(frozen=True)
class Speedup:
    """One implementation against the baseline: the geometric mean over `pairs` cases where both are ok."""

    place: str
    scope: str
    mode: str
    implementation: str
    ratios: tuple[float, ...]
    left_out: Counter[str]

    @property
    def pairs(self) -> int:
        """Cases where both were measured."""
        return len(self.ratios)

    @property
    def mean(self) -> float | None:
        """Geometric mean; None without a pair."""
        return geometric_mean(self.ratios) if self.ratios else None

    @property
    def least(self) -> float | None:
        """The worst case's speed-up."""
        return min(self.ratios, default=None)

    @property
    def most(self) -> float | None:
        """The best case's speed-up."""
        return max(self.ratios, default=None)

    @property
    def why(self) -> str | None:
        """Why cases were left out, with counts."""
        return ", ".join(f"{count} {reason}" for reason, count in self.left_out.most_common()) or None


def ratios_to_baseline(rows: Sequence[Row], metric: str) -> dict[int, float]:
    """Baseline's value over the row's, by the row's index, where both are measured."""
    base = {
        _problem(row): value
        for row in rows
        if row["implementation"] == BASELINE and (value := positive(row, metric)) is not None
    }
    return {
        index: base[_problem(row)] / value
        for index, row in enumerate(rows)
        if _problem(row) in base and (value := positive(row, metric)) is not None
    }


def speedups(groups: Sequence[Group]) -> list[Speedup]:
    """The speed-up of each implementation but the baseline, for each place, scope and mode."""
    return [
        _speedup(group, mode, name)
        for group in groups
        for mode in group.modes
        for name in in_order(str(row["implementation"]) for row in group.rows if row["mode"] == mode)
        if name != BASELINE
    ]


def _speedup(group: Group, mode: str, name: str) -> Speedup:
    rows = [row for row in group.rows if row["mode"] == mode]
    ratios = ratios_to_baseline(rows, "latency_ms")
    baselines = {_problem(row): row for row in rows if row["implementation"] == BASELINE}
    chosen = {index: row for index, row in enumerate(rows) if row["implementation"] == name}
    left_out = Counter(
        _reason(row, baselines.get(_problem(row))) for index, row in chosen.items() if index not in ratios
    )
    not_run = len(baselines.keys() - {_problem(row) for row in chosen.values()})
    if not_run:
        left_out["not run"] = not_run
    found = tuple(ratios[index] for index in chosen if index in ratios)
    return Speedup(group.place, group.scope, mode, name, found, left_out)


def _reason(row: Row, baseline: Row | None) -> str:
    """Why there is no speed-up for this case: the first of the two that has no latency."""
    if positive(row, "latency_ms") is None:
        return _trouble(row)
    return f"{BASELINE} not run" if baseline is None else f"{BASELINE} {_trouble(baseline)}"


def _trouble(row: Row) -> str:
    return "without a latency" if row["status"] == "ok" else str(row["status"])


def _problem(row: Row) -> tuple[Value, ...]:
    return tuple(row.get(name) for name in _PROBLEM)
