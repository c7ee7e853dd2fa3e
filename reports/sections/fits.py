"""Measured time against a cost: one line per implementation and mode, and how far cases lie from it.

The line is fitted to the logarithms, by least squares through scipy: cases span several powers of ten, so an
error of a factor should weigh the same everywhere, and the slope then reads as an exponent: 1 means time in
proportion to cost.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
import pandas as pd
from scipy.stats import linregress

from ..data.parameters import implementations
from ..data.rows import measured
from ..data.slices import Group, Slice

LEAST_POINTS = 3
# What cases are fitted against, by its name in words.
PAPER = "paper's formula"
FORMULAS: Mapping[str, str] = {PAPER: "paper_cost", "exact count": "macs"}


@dataclass(frozen=True)
class Residual:
    """Measured over predicted along an axis: largest over least, and the exponent with which it grows along it."""

    spread: float
    exponent: float


@dataclass(frozen=True)
class Fit:
    """latency_ms = 10^`intercept` · cost^`slope`, R² in logarithms; `points` are latencies by cost."""

    group: Group
    mode: str
    implementation: str
    formula: str
    points: pd.DataFrame
    slope: float | None = None
    intercept: float = 0.0
    r_squared: float | None = None

    def at(self, cost: pd.Series) -> pd.Series:
        """The line's latency in ms."""
        return 10**self.intercept * cost ** (self.slope or 0.0)

    @cached_property
    def factors(self) -> pd.Series:
        """Measured over predicted: above 1 is slower than the line."""
        return self.points["latency_ms"] / self.at(self.points["cost"])

    @cached_property
    def residuals(self) -> dict[str, Residual]:
        """What is left along each axis of numbers that the group sweeps, by the axis's name."""
        if self.slope is None:
            return {}
        found = {one.axis.name: self._residual(one) for one in self.group.slices if one.axis.numeric}
        return {name: residual for name, residual in found.items() if residual is not None}

    def _residual(self, one: Slice) -> Residual | None:
        here = self.factors[self.factors.index.isin(one.rows.index)]
        at = pd.to_numeric(one.along[here.index], errors="coerce")
        if at.nunique() < 2 or (at <= 0).any():
            return None
        line = linregress(np.log(at.astype(float)), np.log(here))
        return Residual(float(here.max() / here.min()), float(line.slope))


def fits(groups: Sequence[Group]) -> list[Fit]:
    """A fit for each group, mode, implementation and formula that has measured cases."""
    return [
        _fit(Fit(group, str(mode), str(name), formula, points))
        for group in groups
        for (mode, name), rows in implementations(group.rows).groupby(["mode", "implementation"], observed=True)
        for formula, column in FORMULAS.items()
        if len(points := _points(rows, column))
    ]


def _points(rows: pd.DataFrame, column: str) -> pd.DataFrame:
    points = pd.DataFrame({"cost": measured(rows, column), "latency_ms": measured(rows, "latency_ms")})
    return points.dropna().sort_values("cost", kind="stable")


def _fit(fit: Fit) -> Fit:
    if fit.points["cost"].nunique() < LEAST_POINTS:
        return fit
    line = linregress(np.log10(fit.points["cost"]), np.log10(fit.points["latency_ms"]))
    return replace(fit, slope=float(line.slope), intercept=float(line.intercept), r_squared=float(line.rvalue) ** 2)
