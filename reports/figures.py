"""Which figures a report holds: what each panel shows, its caption and its words."""

import math
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pandas as pd

from reports.fits import Fit
from reports.plots import Line, Panel, Picture, draw
from reports.rows import measured
from reports.slices import Group, Slice, implementations
from reports.style import Look, Value, counted, shorten, show

Band = Callable[[pd.DataFrame], dict[str, pd.Series]]


@dataclass(frozen=True)
class Metric:
    """A column to plot: its name in words, its unit, and the rows' bands from p20 to p80 if it has them."""

    column: str
    title: str
    unit: str
    band: Band


def _latency_band(rows: pd.DataFrame) -> dict[str, pd.Series]:
    return {"low": measured(rows, "latency_p20_ms"), "high": measured(rows, "latency_p80_ms")}


def _throughput_band(rows: pd.DataFrame) -> dict[str, pd.Series]:
    """Images per second at the p80 and at the p20 latency."""
    images = measured(rows, "images_per_s") * measured(rows, "latency_ms")
    latency = _latency_band(rows)
    return {"low": images / latency["high"], "high": images / latency["low"]}


LATENCY = Metric("latency_ms", "latency", "ms", _latency_band)
THROUGHPUT = Metric("images_per_s", "throughput", "images/s", _throughput_band)
MEMORY = Metric("peak_mib", "peak memory", "MiB", lambda _: {})

_BESIDE = " Dashed grey: yardsticks, which are other functions than the layer."


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
        beside = any(self.looks[line.name].note for panel in panels for line in panel.lines)
        return Picture(name, title, caption + _BESIDE * beside, _alt(title, panels), svg)

    def label(self, group: Group, setting: str = "") -> str:
        """The group's scope, its place where there are several, and the setting."""
        return ", ".join(filter(None, (group.scope, group.place if self.several_places else "", setting)))


def axis_pictures(groups: Sequence[Group], studio: Studio) -> list[Picture]:
    """A figure for each group and swept axis: latency beside throughput, one row for each mode."""
    pictures = []
    for index, group in enumerate(groups):
        for one in group.slices:
            panels = [
                panel_of(one, mode, metric, f"{mode.replace('_', ' + ')}: {metric.title}")
                for mode in modes(group)
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
        own = [replace(one, rows=implementations(one.rows)) for one in group.slices]
        for mode in modes(group):
            panels = [panel_of(one, mode, MEMORY, f"along {one.axis.name}") for one in own]
            panels = [panel for panel in panels if panel.lines]
            if panels:
                place = f"place{index}" if studio.several_places else ""
                title = f"Peak memory, {mode.replace('_', ' + ')} ({studio.label(group)})"
                caption = "Each panel is the slice through the base point along one axis, as above."
                pictures.append(studio.picture(("memory", place, group.scope, mode), title, caption, panels))
    return pictures


def cost_pictures(found: Sequence[Fit], studio: Studio) -> list[Picture]:
    """A figure for each place and setting: measured latency against the paper's cost, one panel for each mode."""
    pictures = []
    places = list(dict.fromkeys(fit.place for fit in found))
    for place, setting in dict.fromkeys((fit.place, fit.setting) for fit in found):
        here = [fit for fit in found if (fit.place, fit.setting) == (place, setting)]
        panels = [_cost_panel(mode, here) for mode in dict.fromkeys(fit.mode for fit in here)]
        where = ", ".join(filter(None, (here[0].scope, place if studio.several_places else "", setting)))
        title = f"Latency against the paper's cost ({where})"
        caption = "Every measured case; the lines are the fits of the table below. Both axes are logarithmic."
        numbered = f"place{places.index(place)}" if studio.several_places else ""
        pictures.append(studio.picture(("cost", numbered, here[0].scope, setting), title, caption, panels))
    return pictures


def point_pictures(groups: Sequence[Group], studio: Studio) -> list[Picture]:
    """A figure for each setting and mode of problems whose sizes move together, as a network's stages: latency."""
    pictures = []
    for index, group in enumerate(groups):
        for setting, part in group.settings:
            if part.problems is None:
                continue
            one = part.problems
            for mode in modes(part):
                panel = panel_of(one, mode, LATENCY, mode.replace("_", " + "))
                if panel.lines:
                    place = f"place{index}" if studio.several_places else ""
                    title = f"Latency by problem, {mode.replace('_', ' + ')} ({studio.label(group, setting)})"
                    caption = f"Channels × pixels, s a stride above 1.{_missing(one)} Bars: p20 to p80 of the samples."
                    parts = ("problems", place, group.scope, setting, mode)
                    pictures.append(studio.picture(parts, title, caption, [panel]))
    return pictures


def modes(group: Group) -> list[str]:
    """The modes present, forward first."""
    return list(group.rows["mode"].sort_values().unique())


def panel_of(one: Slice, mode: str, metric: Metric, title: str) -> Panel:
    """The panel of a slice's metric in one mode."""
    lines = _lines(one.rows[one.rows["mode"] == mode], one.along, one.ticks, metric)
    numeric = one.axis.numeric and not any(isinstance(value, str) for value in one.ticks)
    log_x = one.axis.log and numeric and all(float(value) > 0 for value in one.ticks if isinstance(value, int | float))
    return Panel(title, one.axis.title, f"{metric.title} ({metric.unit})", lines, one.ticks, log_x, numeric)


def _lines(rows: pd.DataFrame, at: pd.Series, values: Sequence[Value], metric: Metric) -> list[Line]:
    """A line for each implementation with points at one of the `values`, in their order."""
    points = pd.DataFrame({"x": at[rows.index], "y": measured(rows, metric.column), **metric.band(rows)})
    points = points[points["x"].isin(values)].dropna(subset="y").sort_values("x", key=lambda x: x.map(values.index))
    lines = []
    for name, its in points.groupby(rows["implementation"], observed=True):
        band = ("low", "high") if {"low", "high"} <= {*its.dropna(axis=1, how="all")} else ()
        edges = {edge: its[edge].fillna(its["y"]) for edge in band}
        lines.append(Line(str(name), its[["x", "y"]].assign(**edges)))
    return lines


def _cost_panel(mode: str, found: Sequence[Fit]) -> Panel:
    lines = []
    for fit in (fit for fit in found if fit.mode == mode):
        ends = fit.points["cost"].iloc[[0, -1]] if fit.slope is not None else fit.points["cost"].head(0)
        points = fit.points.set_axis(["x", "y"], axis=1)
        lines.append(Line(fit.implementation, points, (ends, fit.at(ends))))
    title = mode.replace("_", " + ")
    return Panel(title, "paper's cost (multiply-adds)", "latency (ms)", lines, [], log_x=True)


def _caption(group: Group, one: Slice) -> str:
    """What lies off the slices, and which points are missing and why."""
    text = "The slice through the base point."
    off = len(group.rows.index.difference(pd.concat([each.along for each in group.slices]).index))
    if off:
        text += f" {off} of {counted(len(group.rows), 'case')} lie off all such slices: see the tables."
    return text + _missing(one)


def _missing(one: Slice) -> str:
    gaps = [gap for name, rows in one.rows.groupby("implementation", observed=True) for gap in _gaps(one, name, rows)]
    return f" Missing: {'; '.join(gaps)}." if gaps else ""


def _gaps(one: Slice, name: Any, rows: pd.DataFrame) -> list[str]:
    gaps = []
    for status, failed in rows[rows["status"] != "ok"].groupby("status", observed=True):
        if len(failed) == len(rows):
            gaps.append(f"{shorten(name, 40)} ({status} throughout)")
        else:
            values = sorted(set(one.along[failed.index]), key=[*one.ticks, ""].index)
            gaps.append(f"{shorten(name, 40)} at {', '.join(map(show, values))} ({status})")
    return gaps


def _alt(title: str, panels: Sequence[Panel]) -> str:
    """The figure in words: each line's first and last value."""
    parts = []
    for panel in panels:
        ends = [f"{shorten(line.name, 40)} {_ends(line.points)}" for line in panel.lines]
        parts.append(f"{panel.title}, {panel.y_title} against {panel.x_title}: {'; '.join(ends)}")
    return f"{title}. {'. '.join(parts)}."


def _ends(points: pd.DataFrame) -> str:
    start, end = (f"{show(points['y'].iloc[i])} at {show(points['x'].iloc[i])}" for i in (0, -1))
    if len(points) == 1:
        return start
    ratio = points["y"].iloc[-1] / points["y"].iloc[0]
    change = "" if math.isclose(ratio, 1, rel_tol=0.05) else f", {'up' if ratio > 1 else 'down'}"
    return f"{start} to {end}{change}"
