"""A panel as a picture: lines, markers, bands, and what stands beside them."""

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import pandas as pd
from markupsafe import Markup

from ...report import Plot
from ...style import Look, shorten, show
from ..panels import Line, Panel
from .frame import BOTTOM, HEIGHT, LEFT, RIGHT, TOP, WIDTH, Scale, frame, wrap, x_scale, y_scale
from .marks import marker, point

_DASHES = ("6 3", "2 2", "7 2 2 2", "9 2 2 2 2 2")
_TICKED = ("1", "2", "_", "+")
_SIDE = 0.12
_ROOM = 10


@dataclass(frozen=True)
class _Canvas:
    panel: Panel
    x: Scale
    y: Scale

    def at(self, x: Any, y: Any, shift: float = 0.0) -> tuple[float, float]:
        return self.x.at(self.panel.place(x) + shift), self.y.at(float(y))

    def path(self, points: Iterable[tuple[float, float]]) -> str:
        """The points joined by lines; what has no place parts them."""
        text, pen = "", "M"
        for x, y in points:
            if math.isnan(x) or math.isnan(y):
                pen = "M"
            else:
                text += f"{pen}{x:.1f} {y:.1f}"
                pen = "L"
        return text


def plot(panel: Panel, looks: Mapping[str, Look], label: str) -> Plot:
    """The panel's picture; each implementation's part of it is in a group that names it."""
    canvas = _Canvas(panel, x_scale(panel, WIDTH), y_scale(panel, HEIGHT))
    parts = [*_behind(canvas), *frame(panel, canvas.x, canvas.y, WIDTH, HEIGHT), *_references(canvas)]
    for index, line in enumerate(panel.lines):
        shift = 0.0 if panel.numeric else _SIDE * (index - (len(panel.lines) - 1) / 2)
        parts.append(_line(canvas, line, looks[line.name], shift))
    return Plot(wrap(label, parts, WIDTH, HEIGHT), tuple(line.name for line in panel.lines), panel.aside)


def _behind(canvas: _Canvas) -> Iterable[Markup]:
    """The shaded band, and the line across."""
    within = canvas.panel.within
    if within:
        top, bottom = canvas.y.at(within), canvas.y.at(1 / within)
        yield Markup('<rect class="within" x="{:g}" y="{:.1f}" width="{:g}" height="{:.1f}"/>').format(
            LEFT, top, WIDTH - RIGHT - LEFT, bottom - top
        )
    if canvas.panel.level:
        level = canvas.y.at(canvas.panel.level)
        yield Markup('<path class="one" d="M{:g} {:.1f}H{:g}"/>').format(LEFT, level, WIDTH - RIGHT)


def _references(canvas: _Canvas) -> Iterable[Markup]:
    """Curves in ink with their names at them, and upright lines."""
    panel = canvas.panel
    names: list[float] = []
    for index, (name, curve) in enumerate(panel.references.items()):
        points = [canvas.at(x, y) for x, y in zip(curve["x"], curve["y"], strict=True)]
        points = [point for point in points if not any(map(math.isnan, point))]
        if name in panel.ticked:
            ticks = "".join(marker(_TICKED[index % len(_TICKED)], *point)[0] for point in points)
            yield Markup('<path class="tick" d="{}"><title>{}</title></path>').format(ticks, name)
        else:
            dash = _DASHES[index % len(_DASHES)]
            path = canvas.path(canvas.at(x, y) for x, y in zip(curve["x"], curve["y"], strict=True))
            yield Markup('<path class="reference" stroke-dasharray="{}" d="{}"/>').format(dash, path)
        if points:
            # Names of lines stand at their right, those of ticks at their left, and never over one another.
            x, y = min(points) if name in panel.ticked else max(points)
            while any(abs(y - taken) < _ROOM for taken in names):
                y += _ROOM
            names.append(y)
            yield _name(name, x, y, "start" if name in panel.ticked else "end")
    for name, value in panel.marks.items():
        place = canvas.x.at(value)
        yield Markup('<path class="reference" stroke-dasharray="1 3" d="M{:.1f} {:g}V{:g}"/>').format(
            place, TOP, HEIGHT - BOTTOM
        )
        yield Markup('<text class="small name" x="{:.1f}" y="{:g}">{}</text>').format(place + 3, TOP + 8, name)


def _name(name: str, x: float, y: float, side: str) -> Markup:
    """A curve's name above a point of it."""
    place = (x + 6 if side == "start" else min(x, WIDTH - RIGHT), max(TOP + 6.0, y - 5))
    return Markup('<text class="{} small name" x="{:.1f}" y="{:.1f}">{}</text>').format(side, *place, name)


def _line(canvas: _Canvas, line: Line, look: Look, shift: float) -> Markup:
    """One implementation's part: band or whiskers, the way to the roof, line, markers and crosses."""
    panel, points = canvas.panel, line.points
    at = [canvas.at(x, y, shift) for x, y in zip(points["x"], points["y"], strict=True)]
    joined = panel.numeric and line.joined
    parts: list[Markup] = []
    if "low" in points:
        low, high = (
            [canvas.at(x, y, shift) for x, y in zip(points["x"], points[end], strict=True)] for end in ("low", "high")
        )
        if joined and len(points) > 1:
            parts.append(Markup('<path class="band" d="{}"/>').format(canvas.path([*low, *reversed(high)])))
        else:
            parts.append(_upright(canvas, low, high, "whisker"))
    if "roof" in points:
        parts.append(
            _upright(canvas, at, [canvas.at(x, y) for x, y in zip(points["x"], points["roof"], strict=True)], "way")
        )
    dash = Markup(' stroke-dasharray="4 3"') if look.line == "--" else ""
    if joined:
        parts.append(Markup('<path class="line"{} d="{}"/>').format(dash, canvas.path(at)))
    parts += [
        point(look.marker, place, _told(panel, line.name, row))
        for place, row in zip(at, points.to_dict("records"), strict=True)
    ]
    for row in line.lost.to_dict("records"):
        told = f"{line.name}, {show(row['x'])}: did not fit, predicted {show(row['y'])}"
        parts.append(point("X", canvas.at(row["x"], row["y"], shift), told))
    group = Markup('<g data-line="{}" color="{}">{}</g>')
    return group.format(line.name, look.colour, Markup("").join(parts))


def _upright(canvas: _Canvas, low: list[tuple[float, float]], high: list[tuple[float, float]], kind: str) -> Markup:
    path = "".join(canvas.path(pair) for pair in zip(low, high, strict=True))
    return Markup('<path class="{}" d="{}"/>').format(kind, path)


def _told(panel: Panel, name: str, row: Mapping[Any, Any]) -> str:
    """What a point says of itself: whose it is, where, how much, and how sure that is."""
    unit = panel.y_title.rpartition(" (")[2].rstrip(")") if panel.y_title.endswith(")") else ""
    value = f"{row['y']:.0%}" if panel.share else f"{show(row['y'])} {unit}".rstrip()
    low, high = row.get("low"), row.get("high")
    sure = f" ({show(low)} to {show(high)})" if low is not None and not (pd.isna(low) or pd.isna(high)) else ""
    roof = f", {row['y'] / row['roof']:.0%} of the roof" if row.get("roof") and not pd.isna(row["roof"]) else ""
    return f"{shorten(name, 40)}, {show(row['x'])}: {value}{sure}{roof}"
