"""Measured time against a cost: one line per implementation and mode, how far cases lie from it, and why.

The line is fitted to the logarithms, by least squares through scipy: cases span several powers of ten, so an
error of a factor should weigh the same everywhere, and the slope then reads as an exponent: 1 means time in
proportion to cost.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
import pandas as pd
from scipy.stats import linregress

from ..style import counted, show, times
from .parameters import implementations
from .rows import measured
from .slices import Group, Slice

LEAST_POINTS = 3
# What cases are fitted against, by its name in words.
PAPER = "paper's formula"
FORMULAS: Mapping[str, str] = {PAPER: "paper_cost", "exact count": "macs"}
FAR = 1.5
# A case is bound by its launch where the host takes this share of the device's time or more to launch it.
_LAUNCH = 0.8
# Taps outside the image, as a share, from which the border is worth a word.
_BORDER = 0.25
# Why time may grow faster (+1) or slower (−1) along an axis than a cost says; the paper's has words of its own.
_WHY: Mapping[tuple[str, int], str] = {
    ("kernel_size", 1): "a tap costs more in a large window",
    ("kernel_size", -1): "a tap costs less in a large window, where more of them share the work of a pixel",
    ("channels", 1): "a channel costs more where there are many, as when the working set leaves the caches",
    ("channels", -1): "a channel costs less where there are many, which share the work of a pixel",
    ("m", 1): "sharing a weight saves less than counted: every channel pays for its aggregation",
    ("m", -1): "sharing a weight saves more than counted: every group pays for its logits and softmax",
    ("resolution", 1): "a pixel costs more in a large image, as when the working set leaves the caches",
    ("resolution", -1): "a pixel costs less in a large image, as when launches and starts weigh on small ones",
    ("batch", 1): "an image costs more in a large batch, as when the working set leaves the caches",
    ("batch", -1): "an image costs less in a large batch, as when launches and starts weigh on small ones",
    ("stride", 1): "an output costs more at a stride, where neighbouring windows share less",
    ("stride", -1): "an output costs less at a stride than the part at input resolution has it",
    ("dilation", 1): "windows that are spread out cost more to gather",
}
_WHY_PAPER: Mapping[tuple[str, int], str] = {
    ("kernel_size", 1): "aggregation, which goes with k², weighs more beside the 1×1 parts than C + k² has it",
    ("kernel_size", -1): "aggregation, which goes with k², weighs less beside the 1×1 parts than C + k² has it",
    ("channels", 1): "the 1×1 parts, which go with C², weigh more than C + k² has it",
    ("channels", -1): "the 1×1 parts, which go with C², weigh less than C + k² has it, or were not timed",
}


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


def failing(fit: Fit) -> str:
    """Sentences on how well the line predicts, and where and why it stops."""
    if fit.slope is None:
        return f"Not fitted: that takes cases of at least {LEAST_POINTS} different costs."
    far = np.log(fit.factors).abs()
    beyond = int((far > np.log(FAR)).sum())
    typical = times(float(np.exp(far.median())))
    if not beyond:
        text = [f"Predicts every case within {times(float(np.exp(far.max())))}, half of them within {typical}."]
    else:
        text = [f"Off by more than {FAR}× in {beyond} of {counted(len(far), 'case')}, half are within {typical}."]
    return " ".join([*text, *_axes(fit), *_launches(fit), *_borders(fit)])


def _axes(fit: Fit) -> Iterator[str]:
    """A sentence for each axis along which the residuals spread far, the farthest first."""
    words = {**_WHY, **_WHY_PAPER} if fit.formula == PAPER else _WHY
    for name, residual in sorted(fit.residuals.items(), key=lambda pair: -pair[1].spread):
        if residual.spread > FAR:
            sign = 1 if residual.exponent > 0 else -1
            why = f": {words[name, sign]}" if (name, sign) in words else ""
            way = "more" if sign > 0 else "less"
            yield f"Along {name.replace('_', ' ')} time grows {way} than predicted ({times(residual.spread)}){why}."


def _launches(fit: Fit) -> Iterator[str]:
    """Cases in which the host's time to launch is most of what was measured."""
    rows = fit.group.rows.loc[fit.points.index]
    host, device = measured(rows, "host_ms"), measured(rows, "latency_ms")
    bound = (host >= _LAUNCH * device) & (rows.get("timer", pd.Series("", rows.index)) != "wall")
    if bound.any():
        most = float(fit.points.loc[bound[bound].index, "cost"].max())
        yield f"{counted(int(bound.sum()), 'case')} up to a cost of {show(most)} are launch-bound."


def _borders(fit: Fit) -> Iterator[str]:
    """Cases with many taps outside the image, which the formula counts, if they lie far from the line."""
    share = border_share(fit.group.rows.loc[fit.points.index])
    off = fit.factors[share[share > _BORDER].index]
    if len(off) and (middle := float(off.median())) < 1 / FAR:
        most = f"{share.max():.0%}"
        yield f"Borders: with up to {most} of the taps outside the image, time is {times(middle)} the line's."


def border_share(rows: pd.DataFrame) -> pd.Series:
    """The share of taps outside the image, of windows that keep its size: those of all places of stride 1.

    A side of n pixels and windows of k = 2r + 1 lacks r(r + 1) of its n·k taps, as long as r does not exceed n.
    """
    k = pd.to_numeric(rows["kernel_size"], errors="coerce").astype(float)
    reach = pd.to_numeric(rows["dilation"], errors="coerce").fillna(1).astype(float) * (k - 1) / 2
    inside = pd.Series(1.0, rows.index)
    for side in ("height", "width"):
        size = pd.to_numeric(rows[side], errors="coerce").astype(float)
        inside *= (1 - reach * (reach + 1) / (size * k)).clip(lower=0)
    return (1 - inside).fillna(0.0)
