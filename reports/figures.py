"""Which figures a report holds: what each panel shows, its caption and its words."""

import math
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from bench.results import STATUSES
from reports.fits import Fit
from reports.plots import Line, Panel, Picture, draw
from reports.rows import Row, ok, positive
from reports.slices import Group, Slice, sort_key
from reports.style import Look, Value, counted, in_order, shorten, show

Band = tuple[float, float]


@dataclass(frozen=True)
class Metric:
    """A column to plot: its name in words, its unit, and the band from p20 to p80 of a row if it has one."""

    column: str
    title: str
    unit: str
    band: Callable[[Row], Band | None]


def _latency_band(row: Row) -> Band | None:
    low, high = positive(row, "latency_p20_ms"), positive(row, "latency_p80_ms")
    return (low, high) if low and high else None


def _throughput_band(row: Row) -> Band | None:
    """Images per second at the p80 and at the p20 latency."""
    band, latency_ms, throughput = (
        _latency_band(row),
        positive(row, "latency_ms"),
        positive(row, "images_per_s"),
    )
    if not band or not latency_ms or not throughput:
        return None
    return (throughput * latency_ms / band[1], throughput * latency_ms / band[0])


LATENCY = Metric("latency_ms", "latency", "ms", _latency_band)
THROUGHPUT = Metric("images_per_s", "throughput", "images/s", _throughput_band)
MEMORY = Metric("peak_mib", "peak memory", "MiB", lambda _: None)


@dataclass(frozen=True)
class Studio:
    """What every figure is drawn with: the looks, the folder, and whether the device has to be named."""

    looks: Mapping[str, Look]
    folder: Path
    several_places: bool

    def picture(self, parts: Sequence[str], title: str, caption: str, panels: Sequence[Panel]) -> Picture:
        """Draw the panels under a file name made of `parts`."""
        name = "_".join(re.sub(r"[^a-z0-9]+", "-", part.lower()).strip("-") for part in parts if part)
        svg = draw(panels, self.looks, self.folder / name)
        return Picture(name, title, caption, _alt(title, panels), svg)

    def label(self, group: Group) -> str:
        """The group's scope, and its place where there are several."""
        return f"{group.scope}, {group.place}" if self.several_places else group.scope


def axis_pictures(groups: Sequence[Group], studio: Studio) -> list[Picture]:
    """A figure for each group and swept axis: latency beside throughput, one row for each mode."""
    pictures = []
    for index, group in enumerate(groups):
        for one in group.slices:
            panels = [
                _panel(one, mode, metric, f"{mode.replace('_', ' + ')}: {metric.title}")
                for mode in group.modes
                for metric in (LATENCY, THROUGHPUT)
            ]
            panels = [panel for panel in panels if panel.lines]
            if panels:
                place = f"place{index}" if studio.several_places else ""
                caption = _caption(group, one) + " Bands: p20 to p80 of the samples."
                title = f"Along {one.axis.name.replace('_', ' ')} ({studio.label(group)})"
                pictures.append(studio.picture(("axis", place, group.scope, one.axis.name), title, caption, panels))
    return pictures


def memory_pictures(groups: Sequence[Group], studio: Studio) -> list[Picture]:
    """A figure for each group and mode: peak memory along every swept axis."""
    pictures = []
    for index, group in enumerate(groups):
        for mode in group.modes:
            panels = [_panel(one, mode, MEMORY, f"along {one.axis.name}") for one in group.slices]
            panels = [panel for panel in panels if panel.lines]
            if panels:
                place = f"place{index}" if studio.several_places else ""
                title = f"Peak memory, {mode.replace('_', ' + ')} ({studio.label(group)})"
                caption = "Each panel is the slice through the base point along one axis, as above."
                pictures.append(studio.picture(("memory", place, group.scope, mode), title, caption, panels))
    return pictures


def cost_pictures(found: Sequence[Fit], studio: Studio) -> list[Picture]:
    """A figure for each place: measured latency against the paper's cost, one panel for each mode."""
    pictures = []
    for index, place in enumerate(dict.fromkeys(fit.place for fit in found)):
        here = [fit for fit in found if fit.place == place]
        panels = [_cost_panel(mode, here) for mode in dict.fromkeys(fit.mode for fit in here)]
        where = f"{here[0].scope}, {place}" if studio.several_places else here[0].scope
        title = f"Latency against the paper's cost ({where})"
        caption = "Every measured case; the lines are the fits of the table below. Both axes are logarithmic."
        parts = ("cost", f"place{index}" if studio.several_places else "", here[0].scope)
        pictures.append(studio.picture(parts, title, caption, panels))
    return pictures


def _panel(one: Slice, mode: str, metric: Metric, title: str) -> Panel:
    lines = []
    for name in in_order(str(row["implementation"]) for row in one.rows):
        rows = [row for row in one.rows if (row["mode"], row["implementation"]) == (mode, name)]
        measured = [(one.at(row), value, metric.band(row)) for row in rows if (value := positive(row, metric.column))]
        measured = sorted((point for point in measured if point[0] is not None), key=lambda point: sort_key(point[0]))
        if measured:
            band = [band or (value, value) for _, value, band in measured]
            bands = band if any(point[2] for point in measured) else []
            lines.append(Line(name, [point[0] for point in measured], [point[1] for point in measured], bands))
    numeric = one.axis.numeric and not any(isinstance(value, str) for value in one.values)
    log_x = one.axis.log and numeric and all(float(value) > 0 for value in one.values if isinstance(value, int | float))
    return Panel(title, one.axis.title, f"{metric.title} ({metric.unit})", lines, one.values, log_x, numeric)


def _cost_panel(mode: str, found: Sequence[Fit]) -> Panel:
    lines = []
    for fit in (fit for fit in found if fit.mode == mode):
        costs = [cost for cost, _, _ in fit.points]
        ends = [min(costs), max(costs)]
        line = (ends, [fit.at(cost) for cost in ends]) if fit.slope is not None else ([], [])
        x: list[Value] = [*costs]
        lines.append(Line(fit.implementation, x, [ms for _, ms, _ in fit.points], [], line))
    title = mode.replace("_", " + ")
    return Panel(title, "paper's cost (multiply-adds)", "latency (ms)", lines, [], log_x=True)


def _caption(group: Group, one: Slice) -> str:
    """What lies off the slices, and which points are missing and why."""
    text = "The slice through the base point."
    on_slices = {id(row) for each in group.slices for row in each.rows}
    off = len(group.rows) - len(on_slices)
    if off:
        text += f" {off} of {counted(len(group.rows), 'case')} lie off all such slices: see the tables."
    gaps = [gap for name in in_order(str(row["implementation"]) for row in one.rows) for gap in _gaps(one, name)]
    return f"{text} Missing: {'; '.join(gaps)}." if gaps else text


def _gaps(one: Slice, name: str) -> list[str]:
    rows = [row for row in one.rows if row["implementation"] == name]
    gaps = []
    statuses = dict.fromkeys([*STATUSES, *(str(row["status"]) for row in rows)])
    for status in statuses:
        failed = [row for row in rows if row["status"] == status and not ok(row)]
        if failed and len(failed) == len(rows):
            gaps.append(f"{shorten(name, 40)} ({status} throughout)")
        elif failed:
            values = sorted({one.at(row) for row in failed}, key=sort_key)
            gaps.append(f"{shorten(name, 40)} at {', '.join(map(show, values))} ({status})")
    return gaps


def _alt(title: str, panels: Sequence[Panel]) -> str:
    """The figure in words: each line's first and last value."""
    parts = []
    for panel in panels:
        ends = [f"{shorten(line.name, 40)} {_ends(line)}" for line in panel.lines]
        parts.append(f"{panel.title}, {panel.y_title} against {panel.x_title}: {'; '.join(ends)}")
    return f"{title}. {'. '.join(parts)}."


def _ends(line: Line) -> str:
    if len(line.y) == 1:
        return f"{show(line.y[0])} at {show(line.x[0])}"
    order = sorted(range(len(line.x)), key=lambda i: sort_key(line.x[i]))
    first, last = order[0], order[-1]
    ratio = line.y[last] / line.y[first]
    change = "" if math.isclose(ratio, 1, rel_tol=0.05) else f", {'up' if ratio > 1 else 'down'}"
    start, end = (f"{show(line.y[i])} at {show(line.x[i])}" for i in (first, last))
    return f"{start} to {end}{change}"
