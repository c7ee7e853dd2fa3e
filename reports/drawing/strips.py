"""Drawing: a strip of dots for each implementation, on one logarithmic axis."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from markupsafe import Markup
from matplotlib.axes import Axes
from matplotlib.figure import Figure as Canvas
from matplotlib.ticker import FixedLocator, FuncFormatter, NullLocator

from ..report import Drawing, Drawn, Plot
from ..style import INK, Look, shorten, times
from .canvas import render
from .inline.frame import Scale, fitting, wrap
from .inline.marks import point
from .ticks import log_ticks

_ROW_IN, _WIDTH_IN = 0.3, 5.2
_ROW, _WIDTH, _LEFT, _RIGHT, _TOP, _BOTTOM = 25, 440, 96, 46, 28, 24


@dataclass(frozen=True)
class Strip:
    """A ratio for each case of an implementation, what each is of in words, and their mean."""

    name: str
    ratios: Sequence[float]
    words: Sequence[str]
    mean: float


@dataclass(frozen=True)
class Strips(Drawing):
    """Strips under a title for each panel, 1 marked."""

    panels: Mapping[str, Sequence[Strip]]
    looks: Mapping[str, Look]

    def drawn(self) -> Drawn:
        """The panels one below the other."""
        heights = [len(strips) + 1.6 for strips in self.panels.values()]

        def fill(figure: Canvas) -> None:
            cells = figure.subplots(len(heights), 1, squeeze=False, sharex=True, height_ratios=heights).flat
            for (title, strips), cell in zip(self.panels.items(), cells, strict=True):
                self._draw(cell, title, strips)

        return render((_WIDTH_IN, _ROW_IN * sum(heights) + 0.3), fill)

    def inline(self) -> list[Plot]:
        """A picture of each panel."""
        values = [ratio for strips in self.panels.values() for strip in strips for ratio in (*strip.ratios, 1.0)]
        x = fitting(values, _LEFT + 6.0, _WIDTH - _RIGHT - 6.0, log=True, least=math.log(2))
        return [Plot(self._plot(title, strips, x)) for title, strips in self.panels.items()]

    def _draw(self, axes: Axes, title: str, strips: Sequence[Strip]) -> None:
        for place, strip in enumerate(strips):
            look = self.looks[strip.name]
            style = {"color": look.colour, "linestyle": "none"}
            axes.plot(strip.ratios, [place] * len(strip.ratios), marker=look.marker, alpha=0.55, markersize=5, **style)  # type: ignore[arg-type]
            axes.plot([strip.mean], [place], marker="|", markersize=15, markeredgewidth=2.5, **style)  # type: ignore[arg-type]
        axes.set_xscale("log")
        axes.axvline(1, color=INK, linewidth=1)
        axes.set_title(title, loc="left")
        names = [f"{shorten(strip.name, 24)}  {times(strip.mean)}" for strip in strips]
        axes.set_yticks(range(len(strips)), names)
        axes.set_ylim(len(strips) - 0.5, -0.5)
        axes.xaxis.set(major_locator=FixedLocator(log_ticks(*axes.get_xlim())), minor_locator=NullLocator())
        axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: times(value)))
        axes.grid(visible=True, axis="x", linewidth=0.6)
        axes.set_axisbelow(True)

    def _plot(self, title: str, strips: Sequence[Strip], x: Scale) -> Markup:
        height = _TOP + _ROW * len(strips) + _BOTTOM
        floor = height - _BOTTOM
        parts = [Markup('<text class="title" x="2" y="15">{}</text>').format(title)]
        for tick in x.ticks():
            line = Markup(
                '<path class="grid" d="M{0:.1f} {1:g}V{2:g}"/><text class="middle" x="{0:.1f}" y="{3:g}">{4}</text>'
            )
            parts.append(line.format(x.at(tick), _TOP, floor, floor + 16, times(tick)))
        parts.append(Markup('<path class="one" d="M{:.1f} {:g}V{:g}"/>').format(x.at(1), _TOP, floor))
        for row, strip in enumerate(strips):
            parts.append(self._strip(strip, x, _TOP + _ROW * (row + 0.5)))
        means = "; ".join(f"{strip.name} {times(strip.mean)}" for strip in strips)
        return wrap(f"{title}: {means}", parts, _WIDTH, height)

    def _strip(self, strip: Strip, x: Scale, y: float) -> Markup:
        look = self.looks[strip.name]
        dots = [
            point(look.marker, (x.at(ratio), y), f"{strip.name}, {words}: {times(ratio)}", "pale")
            for ratio, words in zip(strip.ratios, strip.words, strict=True)
        ]
        dots.append(point("|", (x.at(strip.mean), y), f"{strip.name}, mean: {times(strip.mean)}", "mean"))
        text = Markup(
            '<text class="end" x="{:g}" y="{:.1f}">{}</text><text class="strong" x="{:g}" y="{:.1f}">{}</text>'
        ).format(_LEFT - 8, y + 4, shorten(strip.name, 15), _WIDTH - _RIGHT + 8, y + 4, times(strip.mean))
        group = Markup('<g data-line="{}">{}<g color="{}">{}</g></g>')
        return group.format(strip.name, text, look.colour, Markup("").join(dots))
