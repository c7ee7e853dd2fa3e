"""Drawing: maps of speed-ups over two parameters, a number in every cell."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.colors import TwoSlopeNorm
from matplotlib.figure import Figure as Canvas

from ..report import Drawing, Drawn, Plot
from ..style import INK, shorten, show, times
from .canvas import render
from .inline.heatmap import heatmap

_COLUMNS = 2
_CELL_IN, _MARGIN_IN = 0.6, 1.5
# Brown is slower, green-blue faster: told apart by all common kinds of colour vision, and pale where nothing changes.
_COLOURS = "BrBG"


@dataclass(frozen=True)
class Heatmaps(Drawing):
    """A map for each title: speed-ups by the values of y (rows) and x (columns), NaN where none was measured."""

    maps: Mapping[str, pd.DataFrame]
    x_title: str
    y_title: str

    def drawn(self) -> Drawn:
        """The maps, drawn on one scale of colours, which is logarithmic and pale at 1."""
        rows = math.ceil(len(self.maps) / _COLUMNS)
        columns = min(_COLUMNS, len(self.maps))
        widest, tallest = (max(frame.shape[side] for frame in self.maps.values()) for side in (1, 0))
        width = max(3.4, widest * _CELL_IN + _MARGIN_IN) * columns
        height = max(2.2, tallest * 0.36 + 1.0) * rows + 0.2
        reach = self._reach()

        def fill(figure: Canvas) -> None:
            cells = figure.subplots(rows, columns, squeeze=False).flat
            for (title, frame), cell in zip(self.maps.items(), cells, strict=False):
                _draw_map(cell, title, frame, reach)
                cell.set(xlabel=self.x_title, ylabel=self.y_title)
            for cell in cells:
                cell.set_visible(False)

        return render((width, height), fill)

    def inline(self) -> list[Plot]:
        """A picture of each map, on the same scale of colours."""
        reach = self._reach()
        return [
            Plot(heatmap(frame, (title, self.x_title, self.y_title), _COLOURS, reach))
            for title, frame in self.maps.items()
        ]

    def _reach(self) -> float:
        """The largest |log2| of a speed-up, at least 1."""
        logs: Sequence[float] = [
            abs(math.log2(value)) for frame in self.maps.values() for value in frame.to_numpy().flat if value > 0
        ]
        return max([1.0, *logs])


def _draw_map(axes: Axes, title: str, frame: pd.DataFrame, reach: float) -> None:
    logs = frame.map(lambda value: math.log2(value) if value > 0 else math.nan).astype(float)
    norm = TwoSlopeNorm(0, -reach, reach)
    axes.pcolormesh(logs.to_numpy(), cmap=_COLOURS, norm=norm, edgecolors=INK, linewidth=0.3)
    for row, numbers in enumerate(frame.to_numpy()):
        for column, value in enumerate(numbers):
            if value > 0:
                dark = abs(math.log2(value)) > 0.65 * reach
                place: dict[str, Any] = {"ha": "center", "va": "center", "fontsize": "small"}
                axes.text(column + 0.5, row + 0.5, times(value), color="#fefefe" if dark else "#111317", **place)
    axes.set_title(shorten(title, 60), loc="left")
    for ticks, labels in ((axes.set_xticks, frame.columns), (axes.set_yticks, frame.index)):
        ticks([place + 0.5 for place in range(len(labels))], [shorten(show(label), 10) for label in labels])
    axes.tick_params(length=0)
