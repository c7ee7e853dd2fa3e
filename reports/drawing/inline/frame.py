"""The frame of a picture: scales, grid, ticks and titles."""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise

from markupsafe import Markup, escape
from matplotlib.ticker import MaxNLocator

from ...style import shorten, show
from ..panels import Panel
from ..ticks import log_ticks, short

WIDTH, HEIGHT = 380, 252
LEFT, RIGHT, TOP, BOTTOM = 48, 12, 26, 44
# About how wide a letter is, and at most.
_LETTER, _WIDE = 6.3, 7.0
_AIR = 0.05
_EDGE = 0.6
_FARTHEST = 1e150


@dataclass(frozen=True)
class Scale:
    """From values to places in the picture; what a logarithm has none of has no place."""

    low: float
    high: float
    start: float
    end: float
    log: bool = False

    def at(self, value: float) -> float:
        """The place; NaN without one."""
        if not _placeable(value, log=self.log):
            return math.nan
        low, high, value = map(math.log, (self.low, self.high, value)) if self.log else (self.low, self.high, value)
        return self.start + (self.end - self.start) * (value - low) / (high - low)

    def ticks(self) -> list[float]:
        """About five round values."""
        if self.log:
            return log_ticks(self.low, self.high)
        return [tick for tick in MaxNLocator(5).tick_values(self.low, self.high) if self.low <= tick <= self.high]


def _placeable(value: float, *, log: bool) -> bool:
    """Whether a scale can have the value: not what has no logarithm, nor what is no measurement of anything."""
    return 1 / _FARTHEST < value < _FARTHEST if log else abs(value) < _FARTHEST


def fitting(values: Iterable[float], start: float, end: float, *, log: bool, least: float = 0.0) -> Scale:
    """A scale that holds the values with some air around them, and spans at least a factor or length."""
    usable = [value for value in values if _placeable(value, log=log)] or [1.0]
    low, high = (math.log(value) if log else value for value in (min(usable), max(usable)))
    air = max(_AIR * (high - low), (least - (high - low)) / 2, 1e-3 * abs(high), 1e-9)
    low, high = low - air, high + air
    return Scale(math.exp(low), math.exp(high), start, end, log) if log else Scale(low, high, start, end)


def frame(panel: Panel, x: Scale, y: Scale, width: float, height: float) -> list[Markup]:
    """The grid with what is written at it, and both titles."""
    parts = [Markup('<text class="title" x="2" y="14">{}</text>').format(_heading(panel))]
    rows, columns = [], []
    for tick in _within(panel.within, y) if panel.within else y.ticks():
        place = y.at(tick)
        label = f"{tick:.0%}" if panel.share else short(tick)
        rows.append(Markup("M{:g} {:.1f}H{:g}").format(LEFT, place, width - RIGHT))
        parts.append(Markup('<text class="end" x="{:g}" y="{:.1f}">{}</text>').format(LEFT - 5, place + 3.5, label))
    for place, words in _columns(panel, x):
        columns.append(Markup("M{:.1f} {:g}V{:g}").format(place, TOP, height - BOTTOM))
        parts += words
    parts.append(
        Markup('<text class="middle soft" x="{:.1f}" y="{:g}">{}</text>').format(
            (LEFT + width - RIGHT) / 2, height - 3, shorten(panel.x_title, 60)
        )
    )
    lines = Markup('<path class="grid" d="{}"/>').format(Markup("").join(rows + columns * panel.numeric))
    base = Markup('<path class="axis" d="M{:g} {:g}V{:g}H{:g}"/>').format(LEFT, TOP, height - BOTTOM, width - RIGHT)
    return [lines, base, *parts]


def _within(factor: float, y: Scale) -> list[float]:
    """1, the ends of the band, and powers of it beyond, as far as the scale reaches."""
    found = [float(f"{factor**power:.2g}") for power in (-12, -8, -5, -3, -1, 0, 1, 3, 5, 8, 12)]
    return [tick for tick in found if y.low <= tick <= y.high]


def _heading(panel: Panel) -> str:
    """What the panel is of, with the unit of what goes up."""
    name, _, unit = panel.y_title.partition(" (")
    unit = f" ({unit}" if unit else ""
    if panel.title.endswith(name):
        return shorten(panel.title + unit, 60)
    return shorten(f"{panel.title}: {panel.y_title}" if panel.title else panel.y_title, 60)


def _columns(panel: Panel, x: Scale) -> Iterable[tuple[float, Sequence[Markup]]]:
    """The place of each tick of x, and what stands below it; not more than there is room for."""
    values = panel.ticks or x.ticks()
    places = [x.at(panel.place(value)) for value in values]
    labels = [shorten(show(value), 16) if panel.ticks else short(float(value or 0)) for value in values]
    room = x.end - x.start
    every = math.ceil(sum(len(label) + 2 for label in labels) * _LETTER / room) if panel.numeric else 1
    nearest = max((len(a) + len(b) + 2 for a, b in pairwise(labels)), default=0) / 2 * _WIDE
    turned = not panel.numeric and nearest > room / len(labels)
    bottom = HEIGHT - BOTTOM + 13
    for index, (value, place, label) in enumerate(zip(values, places, labels, strict=True)):
        if index % every or math.isnan(place):
            yield place, ()
            continue
        if turned:
            words = [
                Markup('<text class="end" transform="translate({:.1f} {:g}) rotate(-18)">{}</text>').format(
                    place + 8, bottom - 2, label
                )
            ]
        else:
            words = [Markup('<text class="middle" x="{:.1f}" y="{:g}">{}</text>').format(place, bottom, label)]
        if panel.below.get(value):
            below = shorten(panel.below[value], 12)
            words.append(
                Markup('<text class="middle soft small" x="{:.1f}" y="{:g}">{}</text>').format(
                    place, bottom + 10, below
                )
            )
        yield place, words


def x_scale(panel: Panel, width: float) -> Scale:
    """The scale of x: over the ticks and points, or over the ranks of what is no number."""
    ends = (LEFT + 4.0, width - RIGHT - 4.0)
    if not panel.numeric:
        return Scale(-_EDGE, len(panel.ticks) - 1 + _EDGE, *ends)
    values = [panel.place(value) for value in panel.ticks]
    values += [float(value) for line in panel.lines for points in (line.points, line.lost) for value in points["x"]]
    values += [float(value) for curve in panel.references.values() for value in curve["x"]]
    return fitting(values, *ends, log=panel.log_x)


def y_scale(panel: Panel, height: float) -> Scale:
    """The scale of y: of a share from 0, else logarithmic over all that is drawn."""
    ends = (height - BOTTOM, TOP + 2.0)
    values = [
        float(value)
        for line in panel.lines
        for name in ("y", "low", "high", "roof")
        if name in line.points
        for value in line.points[name]
    ]
    values += [float(value) for line in panel.lines for value in line.lost["y"]]
    values += [float(value) for curve in panel.references.values() for value in curve["y"]]
    if panel.level:
        values.append(panel.level)
    if panel.share:
        usable = [value for value in values if _placeable(value, log=False)]
        return Scale(0.0, max(1.08, 1.1 * max(usable, default=1.0)), *ends)
    if panel.within:
        values += [1.2 * panel.within, 1 / (1.2 * panel.within)]
    return fitting(values, *ends, log=True, least=math.log(1.6))


def wrap(label: str, parts: Iterable[Markup], width: float, height: float) -> Markup:
    """The picture as an element with a name for those who do not see it."""
    return Markup(
        '<svg class="plot" xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {:g} {:g}" role="img" aria-label="{}">'
        "{}</svg>"
    ).format(width, height, label, Markup("").join(map(escape, parts)))
