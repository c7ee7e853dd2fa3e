"""What is drawn in a panel: lines, points and bands of implementations, and what stands beside them."""

import math
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field

import pandas as pd

from ..style import Value, shorten, show


@dataclass(frozen=True)
class Line:
    """One implementation's points in a panel: x, y, and low and high where it has a band.

    Where points have a `roof`, the way up to it is drawn. `lost` are x and y of cases without a number, drawn as
    crosses.
    """

    name: str
    points: pd.DataFrame
    joined: bool = True
    lost: pd.DataFrame = field(default_factory=lambda: pd.DataFrame({"x": [], "y": []}))


@dataclass(frozen=True)
class Panel:
    """One set of axes. `ticks` are the values of x, or empty for a plain logarithmic axis.

    A `share` is drawn from 0, all else on a logarithmic axis; at `level` is a line across. `below` is a word under a
    tick. `marks` are upright lines, and `references` curves in ink, those in `ticked` points, each with what it is
    called. `within` is a factor: values between its inverse and it are shaded. One that is `aside` is for who opens it.
    """

    title: str
    x_title: str
    y_title: str
    lines: list[Line]
    ticks: list[Value]
    log_x: bool
    numeric: bool = True
    share: bool = False
    below: Mapping[Value, str] = field(default_factory=dict)
    marks: Mapping[str, float] = field(default_factory=dict)
    references: Mapping[str, pd.DataFrame] = field(default_factory=dict)
    ticked: Collection[str] = ()
    level: float | None = None
    within: float | None = None
    aside: bool = False

    def place(self, value: Value) -> float:
        """Where a value is on the x axis: itself, or its rank among the values that are no numbers."""
        if not self.numeric:
            return float(self.ticks.index(value))
        return float(value) if isinstance(value, int | float) else math.nan


def in_words(panel: Panel) -> str:
    """The panel in words: each line's first and last value."""
    ends = [f"{shorten(line.name, 40)} {_ends(line.points)}" for line in panel.lines if len(line.points)]
    return f"{panel.title}, {panel.y_title} against {panel.x_title}: {'; '.join(ends)}"


def _ends(points: pd.DataFrame) -> str:
    values: list[tuple[Value, float]] = list(zip(points["x"], points["y"], strict=True))
    (first, y), (last, end) = values[0], values[-1]
    if len(values) == 1:
        return f"{show(y)} at {show(first)}"
    change = "" if math.isclose(end, y, rel_tol=0.05) else f", {'up' if end > y else 'down'}"
    return f"{show(y)} at {show(first)} to {show(end)} at {show(last)}{change}"
