"""The section on axes: latency, throughput and memory as one parameter moves, all others at the base point."""

import math
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd

from bench import SUITE

from ..data.slices import Group, Slice, describe
from ..drawing.figures import (
    ARITHMETIC,
    BANDS,
    LATENCY,
    MEMORY,
    THROUGHPUT,
    TRAFFIC,
    by_importance,
    missing,
    panel_of,
)
from ..report import Details, Figure, Section
from ..style import counted
from .material import Material

_METRICS = (LATENCY, THROUGHPUT, MEMORY)
# The same times in other units.
_ASIDE = (ARITHMETIC, TRAFFIC)
_EMPTY = f"No axis was measured at two values, all else equal. To fill this: `{SUITE} run axes`."
_TEXT = (
    "Each row moves one parameter, all others at the base point; axes upward are logarithmic, so that equal distances "
    f"are equal ratios. {BANDS}"
)
# More figures than this make the page slow.
_MOST_FIGURES = 24


def section(material: Material) -> Section:
    """A figure for each group, axis and mode, and one for problems whose sizes move together."""
    figures = (
        figure
        for group, mode in by_importance(material.groups)
        for one in (*group.slices, *([group.problems] if group.problems else []))
        for figure in _figures(group, one, mode, material)
    )
    shown, rest = material.studio.limited(figures, _MOST_FIGURES)
    if not shown:
        return Section("axes", "Axes", empty=_EMPTY)
    bases = [_base(group) for group in material.groups if group.slices]
    details = [Details("The base point, and what lies off it", bases)] if bases else []
    return Section("axes", "Axes", [_TEXT, *rest], figures=shown, details=details)


def _base(group: Group) -> str:
    """The base point in words, and how many cases no slice through it holds."""
    off = group.off_slices
    beside = f" {off} of {counted(len(group.rows), 'case')} lie off all slices through it: see the rows." if off else ""
    return f"Base point ({group.label}): {describe(group.base)}.{beside}"


def _figures(group: Group, one: Slice, mode: str, material: Material) -> list[Figure]:
    words = mode.replace("_", " + ")
    panels = [panel_of(one, mode, quantity, quantity.title) for quantity in (*_METRICS, *_ASIDE)]
    panels = [replace(panel, aside=place >= len(_METRICS)) for place, panel in enumerate(panels) if panel.lines]
    if not panels:
        return []
    where, marks = working_set(one, mode, material.devices.get(group.key[0], {}))
    panels = [replace(panel, marks=marks) for panel in panels]
    by = "By problem" if one.axis.name == "problem" else f"Along {one.axis.words}"
    title = f"{by}, {words} ({group.label})"
    caption = f"{where}{missing(one, mode, group)}".strip()
    return [material.studio.panels(("axis", group.slug, one.axis.name, mode), title, caption, panels, 3)]


def working_set(one: Slice, mode: str, device: Mapping[str, Any]) -> tuple[str, dict[str, float]]:
    """A sentence on the working set against the L2, and where along the axis the one outgrows the other.

    The working set is the least that the mode has to move. The place is interpolated between the values measured.
    """
    size = device.get("l2_bytes")
    if not isinstance(size, int | float) or size <= 0 or not one.axis.numeric:
        return "", {}
    rows = one.rows[(one.rows["mode"] == mode) & one.along.isin(one.ticks)]
    moved = pd.to_numeric(rows["min_bytes"], errors="coerce").groupby(one.along[rows.index]).median().dropna()
    moved = moved[moved > 0].sort_index()
    if moved.empty:
        return "", {}
    named = f"the L2's {size / 2**20:.0f} MiB"
    if (moved > size).all():
        return f" The least bytes to move exceed {named} throughout.", {}
    if (moved <= size).all():
        return f" The least bytes to move fit {named} throughout.", {}
    above = moved > size
    last = int(np.flatnonzero(above.to_numpy() != above.to_numpy()[0])[0])
    ends = [float(value) for value in moved.index[[last - 1, last]]]
    share = np.log(size / moved.iloc[last - 1]) / np.log(moved.iloc[last] / moved.iloc[last - 1])
    place = ends[0] * math.exp(share * math.log(ends[1] / ends[0])) if ends[0] > 0 else ends[1]
    return f" Dotted: where the least bytes to move outgrow {named}.", {f"L2, {size / 2**20:.0f} MiB": float(place)}
