"""The picture that answers first: speed-ups over all problems, or shares of the bound by stage."""

from collections.abc import Iterator
from dataclasses import replace

import pandas as pd

from ..data.parameters import NETWORK, PROBLEM, implementations
from ..data.rows import measured
from ..data.slices import Group, coordinates, describe
from ..data.speedups import BASELINE, mean_ratio, ratios_to_baseline
from ..drawing.figures import Quantity, panel_of
from ..drawing.strips import Strip, Strips
from ..report import Figure
from ..sections.material import Material
from ..sections.networks import YARDSTICK, against_resnet
from ..style import shorten, times

_SHARE = Quantity("share", "share of the bound", "%")
_MOST_DOTS = 150
_BOUNDS = (
    "A point is a stage of the network, and 100 % all that the chip can do; of a yardstick it is the share that the "
    "layer would reach in its time."
)
_SPEEDUPS = (
    "A dot is a problem, the bar the geometric mean; right of 1× is faster. Yardsticks, in grey, are other functions."
)


def hero(material: Material) -> Figure | None:
    """A figure of the first group of comparable cases, or of the networks; None where nothing can be compared."""
    for group in material.groups[:1]:
        found = _bounds(group, material) or _speedups(group, material)
        if found is not None:
            return found
    return _networks(material)


def _bounds(group: Group, material: Material) -> Figure | None:
    """The share of the bound at each stage, where the run has stages and bounds."""
    stages = group.problems
    if stages is None:
        return None
    latency = measured(stages.rows, "latency_ms")
    own = measured(stages.rows, "bound_fraction")
    bound = (latency * own).where(stages.rows.index.isin(implementations(stages.rows).index))
    of_problem = bound.groupby(stages.rows[PROBLEM]).median()
    shares = own.where(bound.notna(), stages.rows[PROBLEM].map(of_problem) / latency)
    # A copy is of the least bytes, which the memory's bound is already.
    one = stages.of(stages.rows.assign(share=100 * shares)[stages.rows["implementation"] != "copy"])
    panels = [replace(panel_of(one, mode, _SHARE, mode.replace("_", " + ")), level=100.0) for mode in group.modes]
    panels = [panel for panel in panels if panel.lines]
    if not panels or of_problem.isna().all():
        return None
    return material.studio.panels(("opening",), f"Share of the bound by stage ({group.label})", _BOUNDS, panels, 3)


def _speedups(group: Group, material: Material) -> Figure | None:
    """Speed-ups over the baseline, a panel for each mode."""
    ratios = ratios_to_baseline(material.cases, "latency_ms").reindex(group.rows.index)
    words = coordinates(group.rows)
    panels = {}
    for mode in group.modes:
        rows = group.rows[(group.rows["mode"] == mode) & (group.rows["implementation"] != BASELINE)]
        strips = list(_strips(rows, ratios, words))
        if strips:
            panels[str(mode).replace("_", " + ")] = strips
    title = f"Speed-up over {BASELINE} ({group.label})"
    return _figure(material, title, _SPEEDUPS, panels)


def _strips(rows: pd.DataFrame, ratios: pd.Series, points: pd.DataFrame) -> Iterator[Strip]:
    """A strip for each implementation, the fastest first, yardsticks last."""
    varying = [name for name in points if len(points[name].unique()) > 1]
    found = []
    for name, its in rows.groupby("implementation", observed=True):
        here = ratios[its.index].dropna().sort_values().tail(_MOST_DOTS)
        if len(here):
            at = points.loc[here.index, varying].to_dict("records")
            words = [describe(pd.Series(point, dtype=object)) or "the only problem" for point in at]
            strip = Strip(str(name), here.tolist(), words, mean_ratio(ratios[its.index]))
            found.append((not len(implementations(its)), -strip.mean, strip))
    return (strip for *_, strip in sorted(found, key=lambda item: item[:2]))


def _networks(material: Material) -> Figure | None:
    """Images per second over the ResNet's, a panel for each mode."""
    rows = against_resnet(material.cases[material.cases["scope"] == NETWORK])
    rows = implementations(rows[rows["implementation"] != YARDSTICK]).dropna(subset="ratio")
    points = rows[["depth", "batch", "torch_compile"]].astype(object).astype(str)
    panels = {
        str(mode).replace("_", " + "): list(_strips(its, rows["ratio"], points))
        for mode, its in rows.groupby("mode", observed=True)
    }
    caption = "A dot is a network, the bar the geometric mean; 1× is the ResNet of the same depth."
    return _figure(material, "Images per second over the ResNet's", caption, panels)


def _figure(material: Material, title: str, caption: str, panels: dict[str, list[Strip]]) -> Figure | None:
    if not panels:
        return None
    data = pd.DataFrame(
        {"mode": mode, "implementation": strip.name, "problem": words, "ratio": ratio}
        for mode, strips in panels.items()
        for strip in strips
        for words, ratio in zip(strip.words, strip.ratios, strict=True)
    )
    means = [
        f"{mode}: {', '.join(f'{shorten(strip.name, 40)} {times(strip.mean)}' for strip in strips)}"
        for mode, strips in panels.items()
    ]
    drawing = Strips(panels, material.studio.looks)
    return material.studio.figure(("opening",), (title, caption, f"{title}. {'; '.join(means)}."), drawing, data)
