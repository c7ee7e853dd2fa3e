"""Measured time against the paper's cost: one line per implementation and mode, and where it fails.

The line is fitted to the logarithms, by least squares through scipy: cases span several powers of ten, so an
error of a factor should weigh the same everywhere, and the slope then reads as an exponent: 1 means time in
proportion to cost.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from statistics import median

from scipy.stats import linregress

from reports.rows import Row, positive
from reports.slices import Group, Slice, coordinate
from reports.style import in_order, show, times

LEAST_POINTS = 3
FAR = 1.5


@dataclass(frozen=True)
class Fit:
    """latency_ms = 10^`intercept` · cost^`slope`, R² in logarithms; `points` are (cost, latency, row)."""

    place: str
    scope: str
    mode: str
    implementation: str
    points: tuple[tuple[float, float, Row], ...]
    slope: float | None = None
    intercept: float = 0.0
    r_squared: float | None = None
    failing: str = ""

    def at(self, cost: float) -> float:
        """The line's latency in ms."""
        return float(10**self.intercept * cost ** (self.slope or 0.0))

    def factor(self, cost: float, latency_ms: float) -> float:
        """Measured over predicted: above 1 is slower than the line."""
        return latency_ms / self.at(cost)


def chosen_groups(groups: Sequence[Group]) -> list[Group]:
    """The layer's groups if any of their cases was measured, else the operator's."""
    for scope in ("layer", "operator"):
        found = [group for group in groups if group.scope == scope and any(_point(row) for row in group.rows)]
        if found:
            return found
    return []


def fits(groups: Sequence[Group]) -> list[Fit]:
    """A fit for each place, mode and implementation of the groups that has measured cases."""
    found = [
        _fit(group, mode, name)
        for group in groups
        for mode in group.modes
        for name in in_order(str(row["implementation"]) for row in group.rows)
    ]
    return [fit for fit in found if fit.points]


def _fit(group: Group, mode: str, name: str) -> Fit:
    rows = [row for row in group.rows if (row["mode"], row["implementation"]) == (mode, name)]
    points = tuple((*point, row) for row in rows if (point := _point(row)) is not None)
    fit = Fit(group.place, group.scope, mode, name, points)
    costs = {cost for cost, _, _ in points}
    if len(points) < LEAST_POINTS or len(costs) < LEAST_POINTS:
        return replace(fit, failing=f"Not fitted: that takes cases of at least {LEAST_POINTS} different costs.")
    line = linregress([math.log10(cost) for cost, _, _ in points], [math.log10(ms) for _, ms, _ in points])
    fit = replace(fit, slope=float(line.slope), intercept=float(line.intercept), r_squared=float(line.rvalue) ** 2)
    return replace(fit, failing=_failing(fit, group.slices))


def _point(row: Row) -> tuple[float, float] | None:
    cost, latency_ms = positive(row, "paper_cost"), positive(row, "latency_ms")
    return (cost, latency_ms) if cost and latency_ms else None


def _failing(fit: Fit, slices: Sequence[Slice]) -> str:
    """A sentence on how far cases lie from the line, and on the case and the axis that lie farthest."""
    factors = [(fit.factor(cost, ms), row) for cost, ms, row in fit.points]
    far = [abs(math.log(factor)) for factor, _ in factors]
    beyond = sum(distance > math.log(FAR) for distance in far)
    typical = math.exp(median(far))
    if not beyond:
        return f"Predicts every case within {times(math.exp(max(far)))}, half of them within {times(typical)}."
    worst, row = max(factors, key=lambda pair: abs(math.log(pair[0])))
    way = f"{times(worst)} the line's time" if worst > 1 else f"1/{times(1 / worst)[:-1]} of the line's time"
    text = f"Off by more than {FAR}× in {beyond} of {len(factors)} cases; worst {way} at {_where(row, slices)}."
    spreads = [(spread, one) for one in slices if (spread := _spread(fit, one)) > FAR]
    if not spreads:
        return text
    spread, one = max(spreads, key=lambda pair: pair[0])
    return f"{text} It fails most along {one.axis.name}: measured over predicted varies {times(spread)} there."


def _spread(fit: Fit, one: Slice) -> float:
    ids = {id(row) for row in one.rows}
    factors = [fit.factor(cost, ms) for cost, ms, row in fit.points if id(row) in ids]
    return max(factors) / min(factors) if factors else 1.0


def _where(row: Row, slices: Sequence[Slice]) -> str:
    """The case's place on the swept axes, those first on whose slice it lies."""
    off = [one for one in slices if any(row is other for other in one.rows)]
    named = off if len(off) == 1 else slices
    at = [f"{one.axis.name} {show(coordinate(row, one.axis.columns[0]))}" for one in named]
    return ", ".join(at) or "the only point"
