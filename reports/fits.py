"""Measured time against the paper's cost: one line per implementation and mode, and where it fails.

The line is fitted to the logarithms, by least squares through scipy: cases span several powers of ten, so an
error of a factor should weigh the same everywhere, and the slope then reads as an exponent: 1 means time in
proportion to cost.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd
from scipy.stats import linregress

from reports.rows import measured
from reports.slices import Group, Slice
from reports.style import show, times

LEAST_POINTS = 3
FAR = 1.5


@dataclass(frozen=True)
class Fit:
    """latency_ms = 10^`intercept` · cost^`slope`, R² in logarithms; `points` are latencies by cost."""

    place: str
    scope: str
    mode: str
    implementation: str
    points: pd.DataFrame
    setting: str = ""
    slope: float | None = None
    intercept: float = 0.0
    r_squared: float | None = None
    failing: str = ""

    def at(self, cost: pd.Series) -> pd.Series:
        """The line's latency in ms."""
        return 10**self.intercept * cost ** (self.slope or 0.0)

    @property
    def factors(self) -> pd.Series:
        """Measured over predicted: above 1 is slower than the line."""
        return self.points["latency_ms"] / self.at(self.points["cost"])


def chosen_groups(groups: Sequence[Group]) -> list[Group]:
    """The layer's groups if any of their cases was measured, else the operator's."""
    for scope in ("layer", "operator"):
        found = [group for group in groups if group.scope == scope and len(_points(group.rows))]
        if found:
            return found
    return []


def fits(groups: Sequence[Group]) -> list[Fit]:
    """A fit for each place, setting, mode and implementation of the groups that has measured cases."""
    return [
        _fit(Fit(group.place, group.scope, str(mode), str(name), points, setting), part)
        for group in groups
        for setting, part in group.settings
        for (mode, name), rows in part.rows.groupby(["mode", "implementation"], observed=True)
        if len(points := _points(rows))
    ]


def _points(rows: pd.DataFrame) -> pd.DataFrame:
    points = pd.DataFrame({"cost": measured(rows, "paper_cost"), "latency_ms": measured(rows, "latency_ms")})
    return points.dropna().sort_values("cost", kind="stable")


def _fit(fit: Fit, group: Group) -> Fit:
    if fit.points["cost"].nunique() < LEAST_POINTS:
        return replace(fit, failing=f"Not fitted: that takes cases of at least {LEAST_POINTS} different costs.")
    line = linregress(np.log10(fit.points["cost"]), np.log10(fit.points["latency_ms"]))
    fit = replace(fit, slope=float(line.slope), intercept=float(line.intercept), r_squared=float(line.rvalue) ** 2)
    return replace(fit, failing=_failing(fit, group))


def _failing(fit: Fit, group: Group) -> str:
    """A sentence on how far cases lie from the line, and on the case and the axis that lie farthest."""
    factors = fit.factors
    far = np.log(factors).abs()
    beyond = (far > np.log(FAR)).sum()
    if not beyond:
        most, typical = times(np.exp(far.max())), times(np.exp(far.median()))
        return f"Predicts every case within {most}, half of them within {typical}."
    case: Any = far.idxmax()
    worst = factors[case]
    way = f"{times(worst)} the line's time" if worst > 1 else f"1/{times(1 / worst)[:-1]} of the line's time"
    where = _where(case, group)
    text = f"Off by more than {FAR}× in {beyond} of {len(factors)} cases; worst {way} at {where}."
    spreads = [(_spread(factors, one), one.axis.name) for one in group.slices]
    spread, axis = max(spreads, key=lambda pair: pair[0], default=(1.0, ""))
    if spread <= FAR:
        return text
    return f"{text} It fails most along {axis}: measured over predicted varies {times(spread)} there."


def _spread(factors: pd.Series, one: Slice) -> float:
    here = factors[factors.index.isin(one.rows.index)]
    return float(here.max() / here.min()) if len(here) else 1.0


def _where(case: Any, group: Group) -> str:
    """The case's place on the swept axes, those first on whose slice it lies."""
    off = [one for one in group.slices if case in one.rows.index]
    named = off if len(off) == 1 else group.slices
    point = group.points.loc[case]
    return ", ".join(f"{one.axis.name} {show(point[one.axis.columns[0]])}" for one in named) or "the only point"
