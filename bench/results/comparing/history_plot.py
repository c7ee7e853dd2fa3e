"""A case over many runs as a picture: its times with their intervals, a colour for each level."""

from pathlib import Path
from typing import Any

import matplotlib as mpl
from matplotlib.figure import Figure

from ..reading import number
from .formats import case_name
from .history import Point, Series
from .verdicts import SLOWER

_LEVELS = ("#0072B2", "#009E73", "#CC79A7", "#E69F00", "#56B4E9")
_TOLD = (
    *("implementation", "mode", "scope", "batch", "channels", "height", "width"),
    *("kernel_size", "m", "stride", "dtype", "cache"),
)
_CHANGE = "#D55E00"
_WIDTH_PER_RUN, _LEAST_WIDTH, _MOST_WIDTH = 0.45, 5.0, 16.0


def draw(series: Series, path: Path) -> None:
    """Draw the runs that have a time, evenly apart and named by commit or folder; a change has its ratio beside it."""
    points = [point for point in series.points if point.latency_ms is not None]
    with mpl.rc_context({"text.parse_math": False, "svg.hashsalt": "history"}):
        width = min(_MOST_WIDTH, max(_LEAST_WIDTH, _WIDTH_PER_RUN * len(points)))
        figure = Figure(figsize=(width, 4.2), layout="constrained")
        axes = figure.add_subplot()
        level = 0
        for place, point in enumerate(points):
            level += point.is_change
            time, low, high = _times(point)
            reach = [[time - low], [high - time]]
            axes.errorbar(place, time, reach, fmt="o", color=_LEVELS[level % len(_LEVELS)], markersize=4, capsize=2)
            if point.is_change and point.pair is not None:
                axes.axvline(place - 0.5, color=_CHANGE, linewidth=0.8, linestyle="--")
                above = point.pair.verdict == SLOWER
                text = f"{point.pair.ratio:.2f}×"
                offset = (0, 8 if above else -8)
                anchor: dict[str, Any] = {"ha": "center", "va": "bottom" if above else "top", "color": _CHANGE}
                axes.annotate(text, (place, high if above else low), offset, textcoords="offset points", **anchor)
        names = [point.commit or point.run.path.name for point in points]
        axes.set_xticks(range(len(points)), names, rotation=45, ha="right", fontsize=7)
        axes.set_ylim(0, 1.15 * max((_times(point)[2] for point in points), default=1.0))
        axes.set_ylabel("median latency with its 95 % interval, ms")
        axes.spines[["top", "right"]].set_visible(False)
        figure.suptitle(f"{case_name(series.key, _TOLD)}\non {series.device}", fontsize=9)
        figure.savefig(path, dpi=110, metadata={"Date": None} if path.suffix == ".svg" else None)


def _times(point: Point) -> tuple[float, float, float]:
    """The median, and the ends of its interval; the median itself where the run kept none."""
    row, time = point.run.rows[point.key], point.latency_ms or 0.0
    low, high = (number(row, f"latency_{end}_ms") for end in ("low", "high"))
    return time, min(time, low or time), max(time, high or time)
