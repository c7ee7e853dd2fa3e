"""A map of speed-ups as a picture: a coloured cell with its number for each pair of values."""

import math

import matplotlib as mpl
import pandas as pd
from markupsafe import Markup
from matplotlib.colors import to_hex

from ...style import shorten, show, times
from .frame import LEFT, RIGHT, TOP, wrap

_CELL, _BELOW, _LEAST_WIDTH = (52, 26), 38, 380


def heatmap(frame: pd.DataFrame, titles: tuple[str, str, str], colours: str, reach: float) -> Markup:
    """The picture of a map, its colours full at a factor of 2^`reach`; the titles are its own, of x and of y."""
    rows, columns = frame.shape
    width = max(_LEAST_WIDTH, LEFT + RIGHT + columns * _CELL[0])
    height = TOP + 12 + rows * _CELL[1] + _BELOW
    title, x_title, y_title = titles
    parts = [
        Markup('<text class="title" x="2" y="14">{}</text>').format(shorten(title, 60)),
        Markup('<text class="small soft" x="2" y="30">{}</text>').format(y_title),
    ]
    bottom = TOP + 12 + rows * _CELL[1]
    for index, label in enumerate(frame.columns):
        place = LEFT + (index + 0.5) * _CELL[0]
        words = shorten(show(label), 10)
        parts.append(Markup('<text class="middle" x="{:g}" y="{:g}">{}</text>').format(place, bottom + 15, words))
    parts.append(Markup('<text class="soft" x="{:g}" y="{:g}">{}</text>').format(LEFT, bottom + 31, x_title))
    # The least value stands below, as on an axis.
    for row, (label, values) in enumerate(zip(frame.index, frame.to_numpy(), strict=True)):
        top = bottom - (row + 1) * _CELL[1]
        words = shorten(show(label), 10)
        parts.append(Markup('<text class="end" x="{:g}" y="{:g}">{}</text>').format(LEFT - 6, top + 17, words))
        parts += [_cell(value, LEFT + column * _CELL[0], top, colours, reach) for column, value in enumerate(values)]
    ends = f"from {times(frame.min().min())} to {times(frame.max().max())}"
    return wrap(f"{title}: speed-up {ends} by {x_title} and {y_title}", parts, width, height)


def _cell(value: float, x: float, y: float, colours: str, reach: float) -> Markup:
    if not value > 0:
        return Markup('<rect class="none" x="{:g}" y="{:g}" width="{:g}" height="{:g}"/>').format(x, y, *_CELL)
    share = max(-1.0, min(1.0, math.log2(value) / reach))
    fill = to_hex(mpl.colormaps[colours]((share + 1) / 2))
    ink = "light" if abs(share) > 0.65 else "dark"
    cell = Markup('<rect class="cell" x="{:g}" y="{:g}" width="{:g}" height="{:g}" fill="{}"/>').format(
        x, y, *_CELL, fill
    )
    number = Markup('<text class="middle {}" x="{:g}" y="{:g}">{}</text>')
    return cell + number.format(ink, x + _CELL[0] / 2, y + 17, times(value))
