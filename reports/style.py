"""How things look: colours and markers of the implementations, and the way numbers and values are written."""

import zlib
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import product
from typing import Literal

Value = str | int | float | None

INK = "#1f2430"
GRID = "#d5d9e0"
PAPER = "#ffffff"


@dataclass(frozen=True)
class Look:
    """One implementation's colour, marker and line; `note` follows its name in a legend."""

    colour: str
    marker: str
    line: Literal["-", "--"] = "-"
    note: str = ""


# Told apart by all common kinds of colour vision, and legible on white and on near-black alike.
LOOKS = {
    "unfold": Look("#7d828a", "o"),
    "chunked": Look("#2f7fc4", "s"),
    "compiled": Look("#cc7f00", "^"),
    "native": Look("#d14b3a", ">"),
    "triton": Look("#009e73", "D"),
    "flex": Look("#b8609f", "v"),
}
_OTHER = tuple(Look("#9aa0a8", marker, "--", " (yardstick)") for marker in ("x", "+", "1", "2", "3", "4"))
_SPARE = tuple(
    Look(colour, marker, "--")
    for marker, colour in product(("P", "X", "<", "h", "p"), ("#6a6fd8", "#8f7a3a", "#2b9aa3", "#a85566"))
)


def looks(names: Iterable[str], yardsticks: Iterable[str] = ()) -> dict[str, Look]:
    """A look for each name: its own, or one that its checksum picks, so that it is the same in every report.

    Where two unknown names pick the same look, the one later in the alphabet takes the next free one. Yardsticks are
    grey and dashed, and told apart by their markers.
    """
    yardsticks = sorted(set(yardsticks))
    names = set(names).difference(yardsticks)
    chosen = {name: LOOKS[name] for name in LOOKS if name in names}
    chosen |= {name: _OTHER[index % len(_OTHER)] for index, name in enumerate(yardsticks)}
    for name in sorted(names - LOOKS.keys()):
        first = zlib.crc32(name.encode()) % len(_SPARE)
        order = _SPARE[first:] + _SPARE[:first]
        chosen[name] = next((look for look in order if look not in chosen.values()), order[0])
    return chosen


def show(value: Value) -> str:
    """A value for people: three significant digits, and an en dash for what was not measured."""
    if value is None or value == "":
        return "–"
    if isinstance(value, str):
        return value
    if isinstance(value, int) and abs(value) < 1_000_000:
        return str(value)
    if value == 0 or 1e-3 <= abs(value) < 1e5:
        return f"{value:.0f}" if abs(value) >= 100 else f"{value:.3g}"
    return f"{value:.2e}"


def times(ratio: float) -> str:
    """A ratio as a factor, three significant digits."""
    return f"{ratio:.0f}×" if ratio >= 100 else f"{ratio:.3g}×"


def shorten(text: str, limit: int) -> str:
    """The text, cut with an ellipsis where it is longer than `limit` characters."""
    text = " ".join(text.split())
    return text if len(text) <= limit else text[: limit - 1] + "…"


def counted(count: int, noun: str) -> str:
    """The count with its noun, in the plural unless it is 1."""
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"
