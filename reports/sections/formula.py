"""The section on the paper's formula: does it, and does the exact count, predict the time that was measured."""

from collections.abc import Iterator, Sequence
from dataclasses import replace

import numpy as np
import pandas as pd

from bench import SUITE

from ..data.fits import FAR, FORMULAS, PAPER, Fit, failing, fits
from ..data.parameters import KEYS, SWEPT_AXES
from ..data.slices import Group
from ..drawing.figures import by_importance
from ..drawing.panels import Line, Panel
from ..report import Details, Figure, Section, Table
from ..style import counted, times
from .material import Material
from .rows import placed

_EMPTY = f"No case has both a latency and a cost. To fill this: `{SUITE} run axes -a scope=layer`."
_TEXT = (
    "Measured over predicted time, against the cost and along each axis: a formula that has an axis right is a level "
    f"line there. In the grey band a prediction is within {FAR}×."
)
_PAPER = (
    "The paper's cost is ((1 + s²)/m + 1) · C · (C + k²) · HW/s² for each image of the batch; the exact count is the "
    "multiply–adds of what was timed."
)
_FITTED = (
    "Predictions are of a straight line through the logarithms of cost and time, by least squares: cases span several "
    "powers of ten, and an error of the same factor should weigh the same everywhere. A slope of 1 is time in "
    "proportion to the cost; below 1, small cases cost more than the formula says."
)
_OPERATOR = (
    "Scope operator leaves out the layer's 1×1 convolutions, which the paper's formula counts: expect it to fit less "
    "well there, above all along channels."
)
_CAPTION = (
    "Fits in each mode. “Along” an axis: the largest over the least of measured over predicted as that axis alone "
    "moves; 1 is a formula that has the axis right."
)
_WHERE = "where it stops predicting"
_RATIO = "measured / predicted"
# More points of a line than this hide one another.
_MOST_POINTS = 120
# More figures than this make the page slow.
_MOST_FIGURES = 6


def section(material: Material) -> Section:
    """What is left of the time after each formula, drawn, in a sentence for each implementation, and in numbers."""
    found = fits(material.groups)
    if not found:
        return Section("formula", "The paper's formula", empty=_EMPTY)
    drawn = (
        figure
        for group, mode in by_importance(material.groups)
        for figure in _figures(group, mode, [fit for fit in found if fit.group is group and fit.mode == mode], material)
    )
    figures, rest = material.studio.limited(drawn, _MOST_FIGURES)
    text = [_TEXT, *_sentences(found), *rest]
    how = [_PAPER, _FITTED, *([_OPERATOR] if any(fit.group.scope == "operator" for fit in found) else [])]
    table = _table(found)
    why = [
        f"{fit.group.label}, {fit.mode.replace('_', ' + ')}, {fit.implementation}, {fit.formula}: {text}"
        for fit, text in zip(found, table.frame[_WHERE], strict=True)
    ]
    details = [Details("What is fitted, and how", how), Details("Where each fit stops predicting, and why", why)]
    return Section("formula", "The paper's formula", text, [table], figures, "", details, "The fits in numbers")


def _sentences(found: Sequence[Fit]) -> Iterator[str]:
    """For each implementation how often the paper's formula is right, and where it is farthest off."""
    papers = [fit for fit in found if fit.formula == PAPER and fit.slope is not None]
    for name in dict.fromkeys(fit.implementation for fit in papers):
        its = [fit for fit in papers if fit.implementation == name]
        near = sum(int((np.log(fit.factors).abs() <= np.log(FAR)).sum()) for fit in its)
        spreads = {axis: residual.spread for fit in its for axis, residual in fit.residuals.items()}
        for fit in its:
            spreads |= {axis: max(spreads[axis], residual.spread) for axis, residual in fit.residuals.items()}
        worst = max(spreads, key=lambda axis: spreads[axis], default="")
        farthest = f", and farthest off along {worst.replace('_', ' ')} ({times(spreads[worst])})" if worst else ""
        cases = counted(sum(len(fit.points) for fit in its), "case")
        yield f"{name}: the paper's formula is within {FAR}× in {near} of {cases}{farthest}."


def _table(found: Sequence[Fit]) -> Table:
    axes = [axis.name for axis in SWEPT_AXES if any(axis.name in fit.residuals for fit in found)]
    rows = [
        {
            **dict(zip(KEYS, (*fit.group.key, fit.mode, fit.implementation), strict=True)),
            "formula": fit.formula,
            "cases": len(fit.points),
            "slope": fit.slope,
            "R²": fit.r_squared,
            **{
                f"along {name.replace('_', ' ')}": fit.residuals[name].spread if name in fit.residuals else None
                for name in axes
            },
            _WHERE: failing(fit),
        }
        for fit in found
    ]
    return replace(placed("fits", _CAPTION, pd.DataFrame(rows)), aside=frozenset({_WHERE}))


def _figures(group: Group, mode: str, found: Sequence[Fit], material: Material) -> list[Figure]:
    """The residuals of a group and mode: of the paper's formula, and of the exact count for those who open it."""
    panels = [
        panel
        for formula in FORMULAS
        for panel in _panels(group, formula, [fit for fit in found if fit.formula == formula and fit.slope is not None])
    ]
    if not panels:
        return []
    title = f"What the paper's formula leaves, {mode.replace('_', ' + ')} ({group.label})"
    # Without a fit by the paper's formula the exact count is not beside anything.
    shown = [replace(panel, aside=False) for panel in panels] if all(panel.aside for panel in panels) else panels
    return [material.studio.panels(("formula", group.slug, mode), title, "", shown, 3)]


def _panels(group: Group, formula: str, found: Sequence[Fit]) -> Iterator[Panel]:
    """Measured over predicted: against the cost, then along each axis of numbers."""
    if not found:
        return
    aside = formula != PAPER
    beside = f", {formula}" if aside else ""
    name = formula if aside else "paper's cost"
    points = {fit.implementation: pd.DataFrame({"x": fit.points["cost"], "y": fit.factors}) for fit in found}
    lines = [Line(name, _thin(its), joined=False) for name, its in points.items()]
    blank = Panel("", "", _RATIO, [], [], log_x=True, level=1.0, within=FAR, aside=aside)
    yield replace(blank, title=f"cost{beside}", x_title=f"{name} (multiply–adds)", lines=lines)
    for one in (one for one in group.slices if one.axis.numeric):
        at = pd.to_numeric(one.along, errors="coerce").astype(float)
        along = {name: its.assign(x=at.reindex(its.index)).dropna().sort_values("x") for name, its in points.items()}
        lines = [Line(name, its) for name, its in along.items() if len(its)]
        log_x = one.axis.log and bool((at > 0).all())
        if lines:
            title = f"{one.axis.words}{beside}"
            yield replace(blank, title=title, x_title=one.axis.title, lines=lines, ticks=one.ticks, log_x=log_x)


def _thin(points: pd.DataFrame) -> pd.DataFrame:
    """As many of the points, evenly by cost, as can be told apart."""
    if len(points) <= _MOST_POINTS:
        return points
    return points.iloc[np.linspace(0, len(points) - 1, _MOST_POINTS).astype(int)]
