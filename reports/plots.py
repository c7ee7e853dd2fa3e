"""Drawing: small multiples of panels, each as PNG and as SVG, with matplotlib's file backends alone."""

import io
import math
import re
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import matplotlib as mpl
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure as Canvas
from matplotlib.lines import Line2D
from matplotlib.ticker import FixedLocator, FuncFormatter, MaxNLocator, NullLocator, PercentFormatter

from reports.style import GRID, INK, PAPER, Look, Value, shorten, show

_COLUMNS = 2
_PANEL_WIDTH_IN, _PANEL_HEIGHT_IN = 4.3, 2.75
_LEGEND_ROW_IN = 0.2
_DPI = 110
_CHARACTERS_PER_IN = 12
_SETTINGS = {
    "axes.edgecolor": INK,
    "axes.labelcolor": INK,
    "axes.spines.right": False,
    "axes.spines.top": False,
    "axes.titlesize": "medium",
    "figure.facecolor": PAPER,
    "axes.facecolor": PAPER,
    "font.size": 9.5,
    "grid.color": GRID,
    "svg.fonttype": "path",
    "svg.hashsalt": "reports",
    "text.color": INK,
    "text.parse_math": False,
    "xtick.color": INK,
    "ytick.color": INK,
}
# An embedded picture follows the reader's light or dark setting.
_THEME = (
    "<style>svg{--ink:#1f2430;--grid:#d5d9e0;--paper:#fff}"
    "@media(prefers-color-scheme:dark){svg{--ink:#dfe3ea;--grid:#3a404b;--paper:#16191f}}</style>"
)


@dataclass(frozen=True)
class Line:
    """One implementation's points in a panel: x, y, and the band's low and high if there is one; `fit` is a curve."""

    name: str
    points: pd.DataFrame
    fit: tuple[pd.Series, pd.Series] | None = None


@dataclass(frozen=True)
class Panel:
    """One set of axes. `ticks` are the values of x, or empty for a plain logarithmic axis.

    A `share` is drawn from 0 with a line at 1, all else on a logarithmic axis. `below` is a word under a tick.
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


@dataclass(frozen=True)
class Picture:
    """A drawn figure: file name, words for those who cannot see it, a caption, and the SVG for the page."""

    name: str
    title: str
    caption: str
    alt: str
    svg: str


def draw(panels: Sequence[Panel], looks: Mapping[str, Look], path: Path) -> str:
    """Draw the panels side by side, write path.png and path.svg, and return the SVG for a page."""
    with _settings():
        rows = math.ceil(len(panels) / _COLUMNS)
        columns = min(_COLUMNS, len(panels))
        names = list(dict.fromkeys(line.name for panel in panels for line in panel.lines))
        labels = [shorten(name, 24) + looks[name].note for name in names]
        width = _PANEL_WIDTH_IN * max(columns, 1.35)
        beside = min(len(names), int(width * _CHARACTERS_PER_IN / (max(map(len, labels)) + 8)))
        legend = _LEGEND_ROW_IN * math.ceil(len(names) / beside)
        figure = Canvas(figsize=(width, _PANEL_HEIGHT_IN * rows + legend + 0.15), layout="constrained")
        FigureCanvasAgg(figure)
        cells = figure.subplots(rows, columns, squeeze=False).flat
        for panel, cell in zip(panels, cells, strict=False):
            _draw_panel(cell, panel, looks)
        for cell in cells:
            cell.set_visible(False)
        handles = [_handle(looks[name]) for name in names]
        figure.legend(handles, labels, loc="outside upper center", ncols=beside, frameon=False)
        figure.savefig(path.with_suffix(".png"), dpi=_DPI)
        # What was placed for the PNG stays there in the SVG: placing takes half as long as drawing.
        figure.set_layout_engine("none")
        text = io.StringIO()
        metadata = dict.fromkeys(("Creator", "Date", "Format", "Type"))
        figure.savefig(text, format="svg", metadata=metadata)
    path.with_suffix(".svg").write_text(text.getvalue(), encoding="utf-8")
    return _themed(text.getvalue())


def _settings() -> AbstractContextManager[None]:
    settings: dict[Any, Any] = dict(_SETTINGS)
    return mpl.rc_context(settings)


def _handle(look: Look) -> Line2D:
    return Line2D([], [], color=look.colour, marker=look.marker, linestyle=look.line, markersize=5.5)


def _draw_panel(axes: Axes, panel: Panel, looks: Mapping[str, Look]) -> None:
    axes.set_yscale("linear" if panel.share else "log")
    if panel.log_x and panel.numeric:
        axes.set_xscale("log")
    for index, line in enumerate(panel.lines):
        look = looks[line.name]
        shift = 0.0 if panel.numeric else 0.12 * (index - (len(panel.lines) - 1) / 2)
        x = line.points["x"].map(_places(panel)).astype(float) + shift
        joined = look.line if panel.numeric and not line.fit else "none"
        axes.plot(
            x,
            line.points["y"],
            color=look.colour,
            marker=look.marker,
            linestyle=joined,
            linewidth=1.6,
            markersize=4 if line.fit else 5,
            alpha=0.75 if line.fit else 1,
        )
        if line.fit:
            axes.plot(*line.fit, color=look.colour, linestyle=look.line, linewidth=1.2)
        elif "low" in line.points:
            band = (x, line.points["low"], line.points["high"])
            if panel.numeric:
                axes.fill_between(*band, color=look.colour, alpha=0.22, linewidth=0)
            else:
                axes.vlines(*band, color=look.colour, linewidth=1.6)
    axes.set_title(shorten(panel.title, 60), loc="left")
    axes.set(xlabel=panel.x_title, ylabel=panel.y_title)
    axes.grid(visible=True, linewidth=0.6)
    axes.set_axisbelow(True)
    if panel.share:
        most = max((line.points["y"].max() for line in panel.lines), default=1.0)
        axes.axhline(1, color=INK, linewidth=1)
        axes.set_ylim(0, max(1.08, 1.1 * most))
    _set_ticks(axes, panel)


def _places(panel: Panel) -> Callable[[Value], float]:
    """Where a value is on the x axis: itself, or its rank among the values that are no numbers."""
    if panel.numeric:
        return lambda value: float(value) if isinstance(value, int | float) else math.nan
    return lambda value: float(panel.ticks.index(value))


def _set_ticks(axes: Axes, panel: Panel) -> None:
    plain = FuncFormatter(lambda value, _: _short(value))
    if panel.share:
        axes.yaxis.set(major_locator=MaxNLocator(6), major_formatter=PercentFormatter(1, decimals=0))
    else:
        axes.yaxis.set(major_locator=FixedLocator(_log_ticks(*axes.get_ylim())), major_formatter=plain)
    axes.yaxis.set_minor_locator(NullLocator())
    if not panel.ticks:
        axes.xaxis.set(major_locator=FixedLocator(_log_ticks(*axes.get_xlim())), major_formatter=plain)
        axes.xaxis.set_minor_locator(NullLocator())
        return
    every = math.ceil(len(panel.ticks) / 9)
    shown = panel.ticks[::every]
    place = _places(panel)
    labels = [shorten(show(value), 16) for value in shown]
    words = [
        f"{label}\n{panel.below[value]}" if panel.below else label for label, value in zip(labels, shown, strict=True)
    ]
    axes.set_xticks([place(value) for value in shown], words)
    if sum(map(len, labels)) > _PANEL_WIDTH_IN * _CHARACTERS_PER_IN:
        axes.tick_params("x", rotation=20)
    axes.xaxis.set_minor_locator(NullLocator())
    if not panel.numeric:
        axes.set_xlim(-0.6, len(panel.ticks) - 0.4)
        axes.tick_params("x", labelsize="medium" if len(shown) < 5 else "small")


def _log_ticks(low: float, high: float) -> list[float]:
    """Ticks of a logarithmic axis: powers of ten, more between if those are few."""
    exponents = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    for factors in ((1,), (1, 3), (1, 2, 5)):
        ticks = [factor * 10.0**exponent for exponent in exponents for factor in factors]
        inside = [tick for tick in ticks if low <= tick <= high]
        if len(inside) >= 3:
            return inside[:: math.ceil(len(inside) / 8)]
    return [float(tick) for tick in MaxNLocator(5, steps=[1, 2, 5, 10]).tick_values(low, high) if low <= tick <= high]


def _short(value: float) -> str:
    """A tick's number without trailing zeros, large ones with k, M, G or T."""
    for size, letter in ((1e12, "T"), (1e9, "G"), (1e6, "M"), (1e4, "k")):
        if value >= size:
            return f"{value / (1e3 if letter == 'k' else size):g}{letter}"
    return f"{value:g}"


def _themed(svg: str) -> str:
    """The SVG element alone, its neutral colours exchanged for ones that follow the reader's setting."""
    body = svg[svg.index("<svg") :]
    for colour, name in ((INK, "ink"), (GRID, "grid"), (PAPER, "paper")):
        body = re.sub(re.escape(colour), f"var(--{name})", body, flags=re.IGNORECASE)
    return re.sub(r"(<svg[^>]*>)", rf"\1{_THEME}", body, count=1)
