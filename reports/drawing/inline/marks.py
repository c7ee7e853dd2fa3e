"""Markers as SVG paths, around a point."""

import math

from markupsafe import Markup

from ...style import Look

# By matplotlib's letter, from the point on, in units of the picture. Those of lines alone are not filled.
_SHAPES = {
    "o": "m-3.6 0a3.6 3.6 0 1 0 7.2 0a3.6 3.6 0 1 0-7.2 0z",
    "s": "m-3.3-3.3h6.6v6.6h-6.6z",
    "^": "m0-4.2l4.2 7.4h-8.4z",
    "v": "m0 4.2l4.2-7.4h-8.4z",
    ">": "m4.2 0l-7.4-4.2v8.4z",
    "<": "m-4.2 0l7.4-4.2v8.4z",
    "D": "m0-4.4l4.4 4.4l-4.4 4.4l-4.4-4.4z",
    "P": "m-1.5-4h3v2.5h2.5v3h-2.5v2.5h-3v-2.5h-2.5v-3h2.5z",
    "X": "m-4-2.2l1.8-1.8l2.2 2.2l2.2-2.2l1.8 1.8l-2.2 2.2l2.2 2.2l-1.8 1.8l-2.2-2.2l-2.2 2.2l-1.8-1.8l2.2-2.2z",
    "h": "m0-4.2l3.6 2.1v4.2l-3.6 2.1l-3.6-2.1v-4.2z",
    "p": "m0-4.2l4 2.9l-1.5 4.7h-5l-1.5-4.7z",
    "x": "m-3.3-3.3l6.6 6.6m0-6.6l-6.6 6.6",
    "+": "m-4 0h8m-4-4v8",
    "1": "m0 0v4m0-4l-3.6-2.2m3.6 2.2l3.6-2.2",
    "2": "m0 0v-4m0 4l-3.6 2.2m3.6-2.2l3.6 2.2",
    "3": "m0 0h-4m4 0l2.2-3.6m-2.2 3.6l2.2 3.6",
    "4": "m0 0h4m-4 0l-2.2-3.6m2.2 3.6l-2.2 3.6",
    "_": "m-5 0h10",
    "|": "m0-9v18",
}
_OPEN = frozenset("x+1234_|")


def marker(letter: str, x: float, y: float) -> tuple[str, str]:
    """The path of a marker around a point, and the class that says whether it is filled."""
    return f"M{x:.1f} {y:.1f}{_SHAPES[letter]}", "open" if letter in _OPEN else "full"


def point(letter: str, place: tuple[float, float], told: str, kind: str = "") -> Markup:
    """A marker that tells what it stands for; nothing without a place."""
    if any(map(math.isnan, place)):
        return Markup("")
    path, filled = marker(letter, *place)
    words = " ".join(filter(None, (filled, "point", kind)))
    return Markup('<path class="{}" d="{}"><title>{}</title></path>').format(words, path, told)


def key(look: Look) -> Markup:
    """A look as a picture beside its name: the line with the marker on it."""
    path, kind = marker(look.marker, 12, 6)
    dash = Markup(' stroke-dasharray="3 2"') if look.line == "--" else ""
    return Markup(
        '<svg class="key" viewBox="0 0 24 12" aria-hidden="true" color="{}"><path class="line" d="M1 6h22"{}/>'
        '<path class="{}" d="{}"/></svg>'
    ).format(look.colour, dash, kind, path)
