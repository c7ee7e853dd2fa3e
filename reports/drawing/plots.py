"""Drawing: small multiples of panels, as files."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure as Canvas
from matplotlib.lines import Line2D
from matplotlib.ticker import FixedLocator, FuncFormatter, MaxNLocator, NullLocator, PercentFormatter

from ..report import Drawing, Drawn, Plot
from ..style import GRID, INK, Look, shorten, show
from .canvas import render
from .inline.plot import plot
from .panels import Line, Panel, in_words
from .ticks import log_ticks, short

_PANEL_WIDTH_IN, _PANEL_HEIGHT_IN = 4.3, 2.75
_LEGEND_ROW_IN = 0.2
_CHARACTERS_PER_IN = 12
_MARK: Mapping[str, Any] = {"color": INK, "linewidth": 1, "linestyle": ":"}
_TICKS = ("1", "2", "_", "+")
_REFERENCES = ("--", ":", "-.", (0, (5, 1, 1, 1, 1, 1)))


@dataclass(frozen=True)
class Panels(Drawing):
    """Panels side by side, so many in a row, under one legend."""

    panels: Sequence[Panel]
    looks: Mapping[str, Look]
    columns: int = 2

    def drawn(self) -> Drawn:
        """The panels that are not aside, drawn; the legend stands above them."""
        panels = self._first
        rows = math.ceil(len(panels) / self.columns)
        columns = min(self.columns, len(panels))
        handles = self._handles()
        width = _PANEL_WIDTH_IN * max(columns, 1.6)
        longest = max((len(label) for label in handles), default=1)
        beside = max(1, min(len(handles), int(width * _CHARACTERS_PER_IN / (longest + 8))))
        legend = _LEGEND_ROW_IN * math.ceil(len(handles) / beside)

        def fill(figure: Canvas) -> None:
            cells = figure.subplots(rows, columns, squeeze=False).flat
            for panel, cell in zip(panels, cells, strict=False):
                _draw_panel(cell, panel, self.looks)
            for cell in cells:
                cell.set_visible(False)
            figure.legend(handles.values(), list(handles), loc="outside upper left", ncols=beside, frameon=False)

        return render((width, _PANEL_HEIGHT_IN * rows + legend + 0.15), fill)

    def inline(self) -> list[Plot]:
        """A picture of each panel for a page, whose legend they share."""
        return [plot(panel, self.looks, in_words(panel)) for panel in self.panels]

    @property
    def _first(self) -> list[Panel]:
        return [panel for panel in self.panels if not panel.aside] or list(self.panels)

    def _handles(self) -> dict[str, Line2D]:
        """What the legend shows for each label."""
        names = dict.fromkeys(line.name for panel in self._first for line in panel.lines)
        handles = {shorten(name, 24) + self.looks[name].note: _handle(self.looks[name]) for name in names}
        if any(len(line.lost) for panel in self._first for line in panel.lines):
            handles["out of memory"] = Line2D([], [], color=INK, marker="x", linestyle="none", markersize=7)
        for panel in self._first:
            handles |= {name: Line2D([], [], **_MARK) for name in panel.marks}
            handles |= {name: Line2D([], [], **_reference(panel, index)) for index, name in enumerate(panel.references)}
        return handles


def _reference(panel: Panel, index: int) -> dict[str, Any]:
    """How the panel's reference of that number is drawn."""
    if list(panel.references)[index] in panel.ticked:
        return {"color": INK, "linestyle": "none", "marker": _TICKS[index % len(_TICKS)], "markersize": 8}
    return {"color": INK, "linestyle": _REFERENCES[index % len(_REFERENCES)], "linewidth": 1.2}


def _handle(look: Look) -> Line2D:
    return Line2D([], [], color=look.colour, marker=look.marker, linestyle=look.line, markersize=5.5)


def _draw_panel(axes: Axes, panel: Panel, looks: Mapping[str, Look]) -> None:
    axes.set_yscale("linear" if panel.share else "log")
    if panel.log_x and panel.numeric:
        axes.set_xscale("log")
    for index, line in enumerate(panel.lines):
        shift = 0.0 if panel.numeric else 0.12 * (index - (len(panel.lines) - 1) / 2)
        _draw_line(axes, panel, line, looks[line.name], shift)
    for index, curve in enumerate(panel.references.values()):
        axes.plot(curve["x"], curve["y"], zorder=1.5, **_reference(panel, index))
    if panel.within:
        axes.axhspan(1 / panel.within, panel.within, color=GRID, alpha=0.5, linewidth=0)
    if panel.level:
        axes.axhline(panel.level, color=INK, linewidth=1)
    axes.set_title(shorten(panel.title, 60), loc="left")
    axes.set(xlabel=panel.x_title, ylabel=panel.y_title)
    axes.grid(visible=True, linewidth=0.6)
    axes.set_axisbelow(True)
    if panel.share:
        most = max((line.points["y"].max() for line in panel.lines), default=1.0)
        axes.set_ylim(0, max(1.08, 1.1 * most))
    _set_ticks(axes, panel)
    for place in panel.marks.values():
        axes.axvline(place, **_MARK)


def _draw_line(axes: Axes, panel: Panel, line: Line, look: Look, shift: float) -> None:
    x = line.points["x"].map(panel.place).astype(float) + shift
    axes.plot(
        x,
        line.points["y"],
        color=look.colour,
        marker=look.marker,
        linestyle=look.line if panel.numeric and line.joined else "none",
        linewidth=1.6,
        markersize=5,
    )
    if "low" in line.points:
        band = (x, line.points["low"], line.points["high"])
        if panel.numeric and line.joined:
            axes.fill_between(*band, color=look.colour, alpha=0.22, linewidth=0)
        else:
            axes.vlines(*band, color=look.colour, linewidth=1.6)
    if "roof" in line.points:
        axes.vlines(x, line.points["y"], line.points["roof"], color=look.colour, linewidth=0.8, alpha=0.5)
    if len(line.lost):
        lost = line.lost["x"].map(panel.place).astype(float) + shift
        axes.plot(
            lost, line.lost["y"], color=look.colour, marker="x", markersize=8, markeredgewidth=2, linestyle="none"
        )


def _set_ticks(axes: Axes, panel: Panel) -> None:
    plain = FuncFormatter(lambda value, _: short(value))
    if panel.share:
        axes.yaxis.set(major_locator=MaxNLocator(6), major_formatter=PercentFormatter(1, decimals=0))
    else:
        axes.yaxis.set(major_locator=FixedLocator(log_ticks(*axes.get_ylim())), major_formatter=plain)
    axes.yaxis.set_minor_locator(NullLocator())
    if not panel.ticks:
        axes.xaxis.set(major_locator=FixedLocator(log_ticks(*axes.get_xlim())), major_formatter=plain)
        axes.xaxis.set_minor_locator(NullLocator())
        return
    every = math.ceil(len(panel.ticks) / 9)
    shown = panel.ticks[::every]
    labels = [shorten(show(value), 16) for value in shown]
    words = [
        f"{label}\n{panel.below[value]}" if panel.below else label for label, value in zip(labels, shown, strict=True)
    ]
    axes.set_xticks([panel.place(value) for value in shown], words)
    if sum(map(len, labels)) > _PANEL_WIDTH_IN * _CHARACTERS_PER_IN:
        axes.tick_params("x", rotation=20)
    axes.xaxis.set_minor_locator(NullLocator())
    if not panel.numeric:
        axes.set_xlim(-0.6, len(panel.ticks) - 0.4)
        axes.tick_params("x", labelsize="medium" if len(shown) < 5 else "small")
