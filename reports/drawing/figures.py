"""Figures from groups of rows: their panels, file names, captions, words for those who do not see them, and numbers."""

import re
import zlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice

import pandas as pd

from ..data.rows import measured
from ..data.slices import Group, Slice
from ..report import Drawing, Figure
from ..style import Look, shorten, show
from .panels import Line, Panel, in_words
from .plots import Panels

Band = Callable[[pd.DataFrame], dict[str, pd.Series]]
_LONGEST_ALT = 1200
_LONGEST_NAME = 120
_BESIDE = " Dashed grey: yardsticks, which are other functions than the layer."


@dataclass(frozen=True)
class Quantity:
    """A column to plot: its name in words, its unit, and the rows' intervals if it has them."""

    column: str
    title: str
    unit: str
    band: Band = lambda _: {}


def latency_band(rows: pd.DataFrame) -> dict[str, pd.Series]:
    """The interval of the median, or p20 and p80 where there are too few samples for one."""
    ends = {"low": ("latency_low_ms", "latency_p20_ms"), "high": ("latency_high_ms", "latency_p80_ms")}
    return {end: measured(rows, new).fillna(measured(rows, old)) for end, (new, old) in ends.items()}


def _rate_band(column: str) -> Band:
    """The band of a rate, which is slowest where the latency is highest."""

    def band(rows: pd.DataFrame) -> dict[str, pd.Series]:
        amount, latency = measured(rows, column) * measured(rows, "latency_ms"), latency_band(rows)
        return {"low": amount / latency["high"], "high": amount / latency["low"]}

    return band


LATENCY = Quantity("latency_ms", "latency", "ms", latency_band)
THROUGHPUT = Quantity("images_per_s", "throughput", "images/s", _rate_band("images_per_s"))
ARITHMETIC = Quantity("tflops", "arithmetic", "TFLOP/s", _rate_band("tflops"))
TRAFFIC = Quantity("gbps", "least traffic", "GB/s", _rate_band("gbps"))
MEMORY = Quantity("peak_mib", "peak memory", "MiB")
BANDS = "Bands are the interval of the median (p20 to p80 where samples are too few for one)."


@dataclass(frozen=True)
class Studio:
    """What every figure is made with: the looks, and the command that makes the report again.

    Sections leave out figures that would make a page slow, unless it is `whole`.
    """

    looks: Mapping[str, Look]
    command: str
    whole: bool = False

    def panels(
        self, parts: Sequence[str], title: str, caption: str, panels: Sequence[Panel], columns: int = 2
    ) -> Figure:
        """A figure of the panels, its file named after `parts`."""
        beside = any(self.looks[line.name].note for panel in panels for line in panel.lines)
        words = shorten(f"{title}. {'. '.join(map(in_words, panels))}.", _LONGEST_ALT)
        drawing = Panels(panels, self.looks, columns)
        return self.figure(parts, (title, (caption + _BESIDE * beside).strip(), words), drawing, data_of(panels))

    def figure(self, parts: Sequence[str], texts: tuple[str, str, str], drawing: Drawing, data: pd.DataFrame) -> Figure:
        """A figure with its title, caption and words."""
        name = "_".join(re.sub(r"[^a-z0-9]+", "-", part.lower()).strip("-") for part in parts if part)
        if len(name) > _LONGEST_NAME:
            name = f"{name[:_LONGEST_NAME]}-{zlib.crc32(name.encode()):08x}"
        return Figure(name, *texts, drawing, data, f"{self.command} --figure {name}")

    def limited(self, figures: Iterable[Figure], most: int) -> tuple[list[Figure], list[str]]:
        """The first figures, and a sentence if there are more, which are not even put together."""
        if self.whole:
            return list(figures), []
        rest = iter(figures)
        shown = list(islice(rest, most))
        if next(rest, None) is None:
            return shown, []
        how = f"`{self.command} --figure NAME` draws one of them, and lists them all for a name that there is not"
        return shown, [f"Figures of other modes and settings would make the page slow and are left out: {how}."]


def by_importance(groups: Sequence[Group]) -> list[tuple[Group, str]]:
    """Each group and mode: the first group's first mode, then what comes second in either, and so on."""
    pairs = [
        (place + rank, place, group, mode)
        for place, group in enumerate(groups)
        for rank, mode in enumerate(group.modes)
    ]
    return [(group, mode) for _, _, group, mode in sorted(pairs, key=lambda pair: pair[:2])]


def data_of(panels: Sequence[Panel]) -> pd.DataFrame:
    """Every point of the panels, a row each."""
    tables = []
    for panel in panels:
        of = {"panel": panel.title, "x is": panel.x_title, "y is": panel.y_title}
        for line in panel.lines:
            tables += [line.points.assign(line=line.name, **of), line.lost.assign(line=f"{line.name}, lost", **of)]
        tables += [curve.assign(line=name, **of) for name, curve in panel.references.items()]
    tables = [table for table in tables if len(table)]
    first = ["panel", "line", "x is", "x", "y is", "y"]
    whole = pd.concat(tables, ignore_index=True) if tables else pd.DataFrame(columns=first)
    return whole[[*first, *(name for name in whole if name not in first)]]


def panel_of(one: Slice, mode: str, quantity: Quantity, title: str) -> Panel:
    """The panel of a slice's quantity in one mode."""
    lines = lines_of(one.rows[one.rows["mode"] == mode], one, quantity)
    numeric = one.axis.numeric and not any(isinstance(value, str) for value in one.ticks)
    log_x = one.axis.log and numeric and all(float(value) > 0 for value in one.ticks if isinstance(value, int | float))
    return Panel(title, one.axis.title, f"{quantity.title} ({quantity.unit})", lines, one.ticks, log_x, numeric)


def lines_of(rows: pd.DataFrame, one: Slice, quantity: Quantity) -> list[Line]:
    """A line for each implementation with points on the slice, in the order of its values."""
    points = pd.DataFrame({"x": one.along[rows.index], "y": measured(rows, quantity.column), **quantity.band(rows)})
    order = {value: place for place, value in enumerate(one.ticks)}
    points = points[points["x"].isin(one.ticks)].dropna(subset="y").sort_values("x", key=lambda x: x.map(order))
    lines = []
    for name, its in points.groupby(rows["implementation"], observed=True):
        band = ("low", "high") if {"low", "high"} <= {*its.dropna(axis=1, how="all")} else ()
        edges = {edge: its[edge].fillna(its["y"]) for edge in band}
        lines.append(Line(str(name), its[["x", "y"]].assign(**edges)))
    return lines


def missing(one: Slice, mode: str, group: Group) -> str:
    """Which points of the slice a mode lacks, and why; not of what was measured nowhere in the group."""
    somewhere = group.rows.loc[group.rows["status"] == "ok", "implementation"].unique()
    rows = one.rows[(one.rows["mode"] == mode) & one.rows["implementation"].isin(somewhere)]
    gaps = [gap for name, its in rows.groupby("implementation", observed=True) for gap in _gaps(one, str(name), its)]
    return f" Missing: {'; '.join(gaps)}." if gaps else ""


def _gaps(one: Slice, name: str, rows: pd.DataFrame) -> list[str]:
    gaps = []
    for status, failed in rows[rows["status"] != "ok"].groupby("status", observed=True):
        if len(failed) == len(rows):
            gaps.append(f"{shorten(name, 40)} ({status} throughout)")
        else:
            values = sorted(set(one.along[failed.index]), key=[*one.ticks, ""].index)
            gaps.append(f"{shorten(name, 40)} at {', '.join(map(show, values))} ({status})")
    return gaps
