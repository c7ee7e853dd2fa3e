"""How near the implementations come to what the chip can do: the share of the largest bound, drawn and in numbers."""

from collections.abc import Sequence
from dataclasses import replace

import pandas as pd

from reports.figures import Metric, Studio, modes, panel_of
from reports.plots import Panel, Picture
from reports.rows import measured
from reports.slices import KEYS, Group, Slice, implementations
from reports.speedups import mean_ratio
from reports.tables import Table, placed

TEXT = (
    "A bound is the least time that the chip needs for a part of the work: moving the least bytes, the float32 "
    "arithmetic, the exponentials, or issuing the instructions that a fused kernel cannot avoid. The largest of the "
    "four is named under each point, and the curve is that bound over the measured time: at 100 % nothing is left to "
    "gain. Above 100 % the model of the bound does not fit the case."
)
_SHARE = Metric("bound_fraction", "share of the bound", "%", lambda _: {})


def bound_pictures(groups: Sequence[Group], studio: Studio) -> list[Picture]:
    """A figure for each group, setting and mode: the share along every axis of sizes, and by problem."""
    pictures = []
    for index, group in enumerate(groups):
        for setting, part in group.settings:
            slices = [
                one for one in (part.problems, *part.slices) if one and (one.axis.numeric or one is part.problems)
            ]
            for mode in modes(part):
                panels = [_panel(replace(one, rows=implementations(one.rows)), mode) for one in slices]
                panels = [panel for panel in panels if panel.lines]
                if panels:
                    place = f"place{index}" if studio.several_places else ""
                    title = f"Share of the bound, {mode.replace('_', ' + ')} ({studio.label(group, setting)})"
                    caption = "Under each point, the bound that decides there."
                    parts = ("bound", place, group.scope, setting, mode)
                    pictures.append(studio.picture(parts, title, caption, panels))
    return pictures


def _panel(one: Slice, mode: str) -> Panel:
    """The panel of a slice; a point whose implementations do not agree on the bound has the most frequent."""
    panel = panel_of(one, mode, _SHARE, "by problem" if one.axis.name == "problem" else f"along {one.axis.name}")
    here = one.rows[one.rows["mode"] == mode]
    named = here["bound"].groupby(one.along[here.index]).agg(lambda bounds: next(iter(bounds.mode()), ""))
    below = {value: str(named.get(value, "")) for value in one.ticks}
    return replace(panel, share=True, below=below)


def bound_table(cases: pd.DataFrame) -> Table:
    """The share of the bound of each implementation: range, geometric mean, and which bound decided how often."""
    found = cases[KEYS].assign(share=measured(cases, "bound_fraction"), bound=cases["bound"]).dropna(subset="share")
    numbers = {
        "cases": ("share", "size"),
        "least": ("share", "min"),
        "mean": ("share", mean_ratio),
        "most": ("share", "max"),
        "bounds": ("bound", lambda bounds: ", ".join(f"{name} {n}" for name, n in bounds.value_counts().items())),
    }
    return placed("bounds", found.groupby(KEYS, observed=True).agg(**numbers).reset_index())
