"""The section on bounds: how near the implementations come to what the chip can do, as a share and as a roofline."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pandas as pd

from bench import SUITE

from ..data.parameters import KEYS, implementations
from ..data.rows import measured
from ..data.slices import Group, Slice
from ..data.speedups import mean_ratio
from ..drawing.figures import Quantity, by_importance, panel_of
from ..drawing.panels import Panel
from ..drawing.roofline import roofline
from ..report import Details, Figure, Section, Table
from ..style import counted
from .material import Material
from .rows import placed

_EMPTY = f"No case has a bound: they are known for GPUs. To fill this: `{SUITE} run stages` on one."
_TEXT = "The least time that the chip needs over the measured time: at 100 % nothing is left to gain."
_WHAT = (
    "A bound is the least time that the chip needs for a part of the work: moving the least bytes, the float32 "
    "arithmetic, the exponentials, or issuing the instructions that a fused kernel cannot avoid. The largest of the "
    "four is named under each point, and the curve is that bound over the measured time."
)
_ROOFLINE = (
    "A point is a case, and cannot be above the lowest roof over it: the thin line up is what it could still gain. "
    "Memory and arithmetic are lines, the highest that any case allows; exponentials and issue are ticks."
)
_SHARE = Quantity("bound_fraction", "share of the bound", "%")
_ROOFS = {"copy": "the memory's bandwidth", "fma": "the rate of multiply–adds", "exp": "the rate of exponentials"}
# A share above 1 by less than this is within what a timer resolves.
ABOVE = 1.005
# More figures than this make the page slow.
_MOST_FIGURES = 10


def section(material: Material) -> Section:
    """What the roofs are, what is above them, the shares in numbers, along every axis, and on a roofline."""
    table = _shares(material.cases)
    figures = (figure for group, mode in by_importance(material.groups) for figure in _figures(group, mode, material))
    shown, rest = material.studio.limited(figures, _MOST_FIGURES)
    if table.frame.empty and not shown:
        return Section("bounds", "Bounds", empty=_EMPTY)
    faults = _faults(material.cases)
    text = [*([_TEXT] if len(table.frame) else []), *_fault_text(faults), *rest]
    details = [Details("What the bounds are, and where the roofs are from", [_WHAT, *_sources(material.devices)])]
    tables = [one for one in (table, faults) if len(one.frame)]
    return Section("bounds", "Bounds", text, tables, shown, details=details, closed="Shares of the bound in numbers")


def _sources(devices: Mapping[str, Mapping[str, Any]]) -> list[str]:
    """Where each place's roofs are from."""
    text = []
    for place, device in devices.items():
        sources = device.get("roofs")
        if not isinstance(sources, dict) or not sources:
            continue
        named = [f"{_ROOFS.get(name, name)} is {_source(source)}" for name, source in sources.items()]
        text.append(f"Roofs of {place}: {', '.join(named)}.")
        if "measured" not in sources.values():
            text.append(f"To measure the roofs instead of believing the data sheet: `{SUITE} doctor`.")
    return text


def _source(source: object) -> str:
    return "measured by doctor" if source == "measured" else f"the {source}'s"


def _faults(cases: pd.DataFrame) -> Table:
    """The cases whose time is less than their bound."""
    share = measured(cases, "bound_fraction")
    above = cases.assign(share=100 * share)[share > ABOVE].sort_values("share", ascending=False)
    sizes = ["batch", "channels", "height", "width", "kernel_size", "m", "stride"]
    frame = above[[*KEYS, *sizes, "bound", "latency_ms", "share"]].rename(columns={"share": "share (%)"})
    return placed("above_bound", "Cases above 100 % of their bound, which must not be.", frame)


def _fault_text(faults: Table) -> list[str]:
    if faults.frame.empty:
        return []
    named = ", ".join(sorted(set(faults.frame["implementation"].astype(str))))
    text = (
        f"FAULT: {counted(len(faults.frame), 'case')} of {named} above 100 % of the bound. No kernel is faster than "
        "the chip: either the model of the bound does not fit these cases, or the timer is wrong there."
    )
    return [text]


def _shares(cases: pd.DataFrame) -> Table:
    """The share of the bound of each implementation: range, geometric mean, and which bound decided how often."""
    found = (
        cases[KEYS].assign(share=100 * measured(cases, "bound_fraction"), bound=cases["bound"]).dropna(subset="share")
    )
    numbers = {
        "cases": ("share", "size"),
        "least (%)": ("share", "min"),
        "mean (%)": ("share", mean_ratio),
        "most (%)": ("share", "max"),
        "deciding bounds": (
            "bound",
            lambda bounds: ", ".join(f"{name} {n}" for name, n in bounds.value_counts().items()),
        ),
    }
    caption = "Share of the bound: 100 % is all that the chip can do. The mean is geometric; a copy is a yardstick."
    return placed("bounds", caption, found.groupby(KEYS, observed=True).agg(**numbers).reset_index())


def _figures(group: Group, mode: str, material: Material) -> list[Figure]:
    words = f"{mode.replace('_', ' + ')} ({group.label})"
    slices = [*([group.problems] if group.problems else []), *(one for one in group.slices if one.axis.numeric)]
    panels = [_panel(one.of(implementations(one.rows)), mode) for one in slices]
    panels = [panel for panel in panels if panel.lines]
    figures = []
    if panels:
        caption = "Under each point, the bound that decides there."
        figures.append(
            material.studio.panels(("bound", group.slug, mode), f"Share of the bound, {words}", caption, panels)
        )
    if mode != group.modes[0]:
        return figures
    device = material.devices.get(group.key[0], {})
    roofs = [roof for one in group.modes if (roof := roofline(group, one, device)) is not None]
    if roofs:
        title = f"Roofline ({group.label})"
        figures.append(material.studio.panels(("roofline", group.slug), title, _ROOFLINE, roofs, 3))
    return figures


def _panel(one: Slice, mode: str) -> Panel:
    """The panel of a slice; a point whose implementations do not agree on the bound has the most frequent."""
    panel = panel_of(one, mode, _SHARE, "by problem" if one.axis.name == "problem" else f"along {one.axis.words}")
    here = one.rows[one.rows["mode"] == mode]
    named = here["bound"].groupby(one.along[here.index]).agg(lambda bounds: next(iter(bounds.mode()), ""))
    below = {value: str(named.get(value, "")) for value in one.ticks}
    return replace(panel, share=True, level=1.0, below=below)
