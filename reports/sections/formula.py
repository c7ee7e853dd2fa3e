"""The section on the paper's formula: does it, and does the exact count, predict the time that was measured."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pandas as pd

from ..data.fits import FORMULAS, PAPER, Fit, failing, fits
from ..data.parameters import KEYS, SWEPT_AXES
from ..data.slices import Group
from ..drawing.panels import Line, Panel
from ..report import Figure, Section, Table
from .material import Material
from .rows import placed

_EMPTY = "No case has both a latency and a cost. To fill this: `python -m bench run axes -a scope=layer`."
_PAPER = (
    "The paper's cost is ((1 + s²)/m + 1) · C · (C + k²) · HW/s² for each image of the batch; the exact count is the "
    "multiply–adds of what was timed."
)
_FITTED = (
    "Fitted as a straight line through the logarithms, by least squares: cases span several powers of ten, and an "
    "error of the same factor should weigh the same everywhere. A slope of 1 is time in proportion to the cost; below "
    "1, small cases cost more than the formula says."
)
_OPERATOR = (
    "Scope operator leaves out the layer's 1×1 convolutions, which the paper's formula counts: expect it to fit less "
    "well there, above all along channels."
)
_CAPTION = (
    "Fits in each mode. “Along” an axis: the largest over the least of measured over predicted as that axis alone "
    "moves; 1 is a formula that has the axis right."
)
# More points of a line than this hide one another.
_MOST_POINTS = 120
# More figures than this make the page slow.
_MOST_FIGURES = 6


def section(material: Material) -> Section:
    """The fits, drawn and in numbers."""
    found = fits(material.groups)
    if not found:
        return Section("formula", "The paper's formula", empty=_EMPTY)
    groups = list({id(fit.group): fit.group for fit in found}.values())
    figures, rest = material.studio.limited((_figure(group, found, material) for group in groups), _MOST_FIGURES)
    text = [_PAPER, _FITTED, *([_OPERATOR] if any(group.scope == "operator" for group in groups) else []), *rest]
    return Section("formula", "The paper's formula", text, [_table(found)], figures)


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
            "where it stops predicting": failing(fit),
        }
        for fit in found
    ]
    return replace(placed("fits", _CAPTION, pd.DataFrame(rows)), aside=frozenset({"where it stops predicting"}))


def _figure(group: Group, found: Sequence[Fit], material: Material) -> Figure:
    here = [fit for fit in found if fit.group is group]
    panels = [
        _panel(
            f"{mode.replace('_', ' + ')}, {formula}",
            formula,
            [fit for fit in here if (fit.mode, fit.formula) == (mode, formula)],
        )
        for mode in dict.fromkeys(fit.mode for fit in here)
        for formula in FORMULAS
    ]
    panels = [panel for panel in panels if panel.lines]
    caption = "Every measured case; the lines are the fits of the table. Both axes are logarithmic."
    if any(len(fit.points) > _MOST_POINTS for fit in here):
        caption = f"At most {_MOST_POINTS} cases of each implementation, evenly by cost. {caption[21:]}"
    return material.studio.panels(("formula", group.slug), f"Latency against cost ({group.label})", caption, panels)


def _panel(title: str, formula: str, found: Sequence[Fit]) -> Panel:
    lines = []
    for fit in found:
        ends = fit.points["cost"].iloc[[0, -1]] if fit.slope is not None else fit.points["cost"].head(0)
        points = fit.points.set_axis(["x", "y"], axis=1)
        if len(points) > _MOST_POINTS:
            points = points.iloc[np.linspace(0, len(points) - 1, _MOST_POINTS).astype(int)]
        lines.append(Line(fit.implementation, points, (ends, fit.at(ends))))
    name = "paper's cost" if formula == PAPER else formula
    return Panel(title, f"{name} (multiply–adds)", "latency (ms)", lines, [], log_x=True)
