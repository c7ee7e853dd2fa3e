"""The section on memory: predicted against measured, and the largest case that each implementation still fits."""

from dataclasses import replace
from typing import Any

import pandas as pd

from bench import SUITE

from ..data.parameters import KEYS, implementations
from ..data.rows import measured
from ..data.slices import Group, Slice
from ..data.speedups import BASELINE, mean_ratio, ratios_to_baseline
from ..drawing.figures import MEMORY, by_importance, panel_of
from ..drawing.panels import Line, Panel
from ..report import Figure, Section, Table
from .material import Material
from .rows import placed

_EMPTY = f"No case has a peak memory. To fill this: `{SUITE} run axes`."
FRONTIER = ("resolution", "batch", "kernel_size")
_CAPTION = (
    f"Peak memory: range, share of {BASELINE}'s (geometric mean over the pairs), and measured over predicted (median)."
)
_FRONTIER_CAPTION = (
    "The frontier: the largest value that was measured, all else at the base point, and the least that did not fit the "
    "memory; none where the sweep ended first."
)
_TEXT = "Where what was predicted is right, a point is on the diagonal; above it, more was taken."
_LOST = "out_of_memory"
_MOST_POINTS = 120
# More figures than this make the page slow.
_MOST_FIGURES = 6


def section(material: Material) -> Section:
    """Tables of peaks and of the frontier, figures of both."""
    own = implementations(material.cases)
    tables = [_peaks(own), _frontier(material)]
    tables = [table for table in tables if len(table.frame)]
    figures = (figure for group, mode in by_importance(material.groups) for figure in _figures(group, mode, material))
    shown, rest = material.studio.limited(figures, _MOST_FIGURES)
    if not tables and not shown:
        return Section("memory", "Memory", empty=_EMPTY)
    lost = int((own["status"] == _LOST).sum())
    text = [_TEXT] if shown else []
    if lost:
        text.append(f"{lost} of {len(own)} cases did not fit the memory; crosses are at the peak predicted for them.")
    return Section("memory", "Memory", [*text, *rest], tables, shown, closed="Peaks and the frontier in numbers")


def _peaks(cases: pd.DataFrame) -> Table:
    """Peak memory of each implementation: against the baseline's, and against its own prediction."""
    peak = measured(cases, "peak_mib")
    ratios = {"share": 1 / ratios_to_baseline(cases, "peak_mib"), "predicted": peak / measured(cases, "predicted_mib")}
    found = cases[KEYS].assign(peak=peak, **ratios).dropna(subset="peak")
    numbers = {
        "cases": ("peak", "size"),
        "least (MiB)": ("peak", "min"),
        "most (MiB)": ("peak", "max"),
        f"of {BASELINE}'s": ("share", mean_ratio),
        "pairs": ("share", "count"),
        "measured / predicted": ("predicted", "median"),
        "at most": ("predicted", "max"),
    }
    return placed("memory", _CAPTION, found.groupby(KEYS, observed=True).agg(**numbers).reset_index())


def _frontier(material: Material) -> Table:
    """For each implementation the largest resolution, batch and k that it fits, and the least that it does not."""
    rows: list[dict[str, Any]] = []
    for group in material.groups:
        for one in (one for one in group.slices if one.axis.name in FRONTIER):
            for (mode, name), its in implementations(one.rows).groupby(["mode", "implementation"], observed=True):
                fits, lost = (one.along[its.index[its["status"] == status]] for status in ("ok", _LOST))
                if len(fits) + len(lost):
                    peak = measured(its, "peak_mib")
                    rows.append(
                        {
                            **dict(zip(KEYS, (*group.key, mode, name), strict=True)),
                            "axis": one.axis.words,
                            "largest that fits": fits.max() if len(fits) else None,
                            "its peak (MiB)": peak[fits[fits == fits.max()].index].max() if len(fits) else None,
                            "least that does not": lost.min() if len(lost) else None,
                        }
                    )
    return placed("frontier", _FRONTIER_CAPTION, pd.DataFrame(rows))


def _figures(group: Group, mode: str, material: Material) -> list[Figure]:
    """Measured against predicted, and the peak along the axes of the frontier with what did not fit."""
    words = f"{mode.replace('_', ' + ')} ({group.label})"
    own = [one.of(implementations(one.rows)) for one in group.slices if one.axis.name in FRONTIER]
    panels = [_along(one, mode) for one in own]
    panels = [panel for panel in (_prediction(group, mode), *panels) if panel.lines]
    if not panels:
        return []
    return [material.studio.panels(("memory", group.slug, mode), f"Peak memory, {words}", "", panels, 3)]


def _prediction(group: Group, mode: str) -> Panel:
    rows = implementations(group.rows[group.rows["mode"] == mode])
    points = pd.DataFrame({"x": measured(rows, "predicted_mib"), "y": measured(rows, "peak_mib")}).dropna()
    lines = []
    for name, its in points.groupby(rows["implementation"], observed=True):
        shown = its.sample(_MOST_POINTS, random_state=0) if len(its) > _MOST_POINTS else its
        lines.append(Line(str(name), shown.sort_values("x"), joined=False))
    ends = pd.Series([points.min().min(), points.max().max()])
    equal = {"measured = predicted": pd.DataFrame({"x": ends, "y": ends})} if lines else {}
    return Panel(
        "measured against predicted", "predicted (MiB)", "peak memory (MiB)", lines, [], log_x=True, references=equal
    )


def _along(one: Slice, mode: str) -> Panel:
    panel = panel_of(one, mode, MEMORY, f"along {one.axis.words}")
    rows = one.rows[(one.rows["mode"] == mode) & (one.rows["status"] == _LOST)]
    predicted = pd.to_numeric(rows["predicted_mib"], errors="coerce").astype(float)
    # Without a prediction the cross goes above all that was measured.
    top = max((line.points["y"].max() for line in panel.lines), default=1.0)
    at = pd.DataFrame({"x": one.along[rows.index], "y": predicted.where(predicted > 0, 2 * top)})
    lost = {str(name): its for name, its in at.groupby(rows["implementation"], observed=True)}
    known = {line.name: line for line in panel.lines}
    empty = pd.DataFrame({"x": [], "y": []})
    lines = [
        replace(known.get(name, Line(name, empty)), lost=lost.get(name, empty))
        for name in dict.fromkeys([*known, *lost])
    ]
    return replace(panel, lines=lines)
