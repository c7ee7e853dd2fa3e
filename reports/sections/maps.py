"""The section with maps: the speed-up over the baseline by two parameters at once."""

from dataclasses import replace
from itertools import product

import pandas as pd

from bench import SUITE

from ..data.parameters import implementations
from ..data.slices import Group, plane
from ..data.speedups import BASELINE, ratios_to_baseline, speedups
from ..drawing.figures import by_importance
from ..drawing.heatmaps import Heatmaps
from ..report import Figure, Section, Table
from ..style import shorten, times
from .material import Material
from .rows import placed

PLANES = (("m", "kernel_size"), ("resolution", "channels"))
_TITLES = {
    "m": "m (channels sharing a weight)",
    "kernel_size": "kernel size k (pixels)",
    "resolution": "resolution, height = width (pixels)",
    "channels": "channels C",
}
_COLUMNS = {"resolution": "height"}
_EMPTY = (
    f"There is no speed-up over {BASELINE} at two values of k and m, or of channels and resolution. To fill this: "
    f"`{SUITE} run grid -a k=3,7,11 -a m=1,8,32 -a C=64,256 -a hw=14,56 -a s=1`."
)
_CAPTION = f"Speed-up over {BASELINE} of every implementation: geometric mean over the cases where both were measured."
_TEXT = (
    f"A cell is one case, all else at the base point; blue-green is faster than {BASELINE}, brown slower. Empty cells "
    f"were not measured, or failed: `{SUITE} run grid` fills them."
)
_CLOSED = "The means in numbers"
# More figures than this make the page slow.
_MOST_FIGURES = 8


def section(material: Material) -> Section:
    """Maps over k × m and C × resolution, and the speed-up of each implementation over all cases."""
    ratios = ratios_to_baseline(implementations(material.cases), "latency_ms")
    figures = (
        _figure(material, group, mode, across, maps)
        for (group, mode), across in product(by_importance(material.groups), PLANES)
        if (maps := _maps(group, mode, across, ratios))
    )
    shown, rest = material.studio.limited(figures, _MOST_FIGURES)
    found = speedups(implementations(material.cases))
    tables: list[Table] = (
        [replace(placed("speedup", _CAPTION, found), tinted=frozenset({"speedup"}))] if len(found) else []
    )
    if not shown:
        return Section("map", "Speed-up map", tables=tables, empty=_EMPTY, closed=_CLOSED)
    return Section("map", "Speed-up map", [_TEXT, *rest], tables, shown, closed=_CLOSED)


def _maps(group: Group, mode: str, across: tuple[str, str], ratios: pd.Series) -> dict[str, pd.DataFrame]:
    """The map of each implementation, in order of the parameters; those without two values each way are none."""
    rows = implementations(plane(group, across))
    rows = rows[(rows["mode"] == mode) & (rows["implementation"] != BASELINE)]
    x, y = (pd.to_numeric(rows[_COLUMNS.get(name, name)], errors="coerce") for name in across)
    cells = pd.DataFrame({"x": x, "y": y, "ratio": ratios.reindex(rows.index)}).dropna()
    if cells["x"].nunique() < 2 or cells["y"].nunique() < 2:
        return {}
    columns, index = (sorted(cells[name].astype(int).unique()) for name in ("x", "y"))
    return {
        str(name): its.pivot_table("ratio", "y", "x").reindex(index=index, columns=columns).astype(float)
        for name, its in cells.groupby(rows["implementation"], observed=True)
    }


def _figure(
    material: Material, group: Group, mode: str, across: tuple[str, str], maps: dict[str, pd.DataFrame]
) -> Figure:
    over = " and ".join(name.replace("_", " ") for name in across)
    title = f"Speed-up over {BASELINE} by {over}, {mode.replace('_', ' + ')} ({group.label})"
    ends = [
        f"{shorten(name, 40)} from {times(frame.min().min())} to {times(frame.max().max())}"
        for name, frame in maps.items()
    ]
    caption = ""
    tables = [frame.reset_index().melt("y").assign(implementation=name) for name, frame in maps.items()]
    data = pd.concat(tables, ignore_index=True).dropna()
    named = data.set_axis([across[1], across[0], "speedup", "implementation"], axis=1)
    drawing = Heatmaps(maps, _TITLES[across[0]], _TITLES[across[1]])
    texts = (title, caption, f"{title}: {'; '.join(ends)}.")
    return material.studio.figure(("map", group.slug, *across, mode), texts, drawing, named)
