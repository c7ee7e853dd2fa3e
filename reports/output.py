"""Making a report: everything computed, drawn and written beside its place, then put there in one step."""

import os
import shutil
from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from bench.results import KINDS
from reports.bounds import TEXT, bound_pictures, bound_table
from reports.figures import Studio, axis_pictures, cost_pictures, memory_pictures, point_pictures
from reports.fits import Fit, chosen_groups, fits
from reports.html import Page, Section, differences, environment_table, render, write_tables
from reports.rows import Run
from reports.slices import PLACE, Group, describe, group_rows, implementations, pool
from reports.speedups import BASELINE, speedups
from reports.style import looks
from reports.tables import (
    Table,
    full_table,
    memory_table,
    placed,
    sample_table,
    short_table,
    status_table,
)
from reports.verdict import sentences

_ENTRIES = frozenset({"index.html", "plots", "tables"})
_COMPARED = ("torch", "triton", "python", "cuda", "driver", "git_commit", "git_dirty", "cpu", "cores", "name")
_LOG_LOG = (
    "Fitted as a straight line through the logarithms, by least squares: cases span several powers of ten, "
    "and an error of the same factor should weigh the same everywhere. A slope of 1 is time in proportion to "
    "the cost; below 1, small cases cost more than the formula says."
)
_OPERATOR_ONLY = (
    "No measured case has scope layer, so these are the operator's. The paper's formula counts the layer's "
    "1×1 convolutions as well, which the operator leaves out: expect it to fit less well, above all along "
    "channels."
)


class OutputError(ValueError):
    """The report cannot go where it should."""


def default_out(paths: Sequence[Path]) -> Path:
    """Where the report of the run goes unless told otherwise.

    Raises:
        OutputError: There are several runs, so that none of their folders is the place.
    """
    if len(paths) > 1:
        raise OutputError(f"{len(paths)} runs in one report need a folder of their own: give --out DIR")
    return paths[0] / "report"


def write_report(runs: Sequence[Run], out: Path) -> dict[str, Path]:
    """Write the runs' report to the folder `out` and return where its CSV, plots and page are.

    Raises:
        OutputError: `out` is taken by something that is no report.
    """
    target = out.resolve()
    _require_replaceable(target)
    target.parent.mkdir(parents=True, exist_ok=True)
    partial = target.parent / f".{target.name}.{os.getpid()}.partial"
    partial.mkdir()
    try:
        _write(runs, partial)
        _swap(partial, target)
    finally:
        shutil.rmtree(partial, ignore_errors=True)
    return {"csv": out / "tables" / "results.csv", "plots": out / "plots", "page": out / "index.html"}


def _require_replaceable(out: Path) -> None:
    if not out.exists():
        return
    if not out.is_dir():
        raise OutputError(f"{out} is a file: give a folder with --out")
    foreign = sorted(entry.name for entry in out.iterdir() if entry.name not in _ENTRIES)
    if foreign:
        raise OutputError(f"{out} holds {foreign[0]}, which is no part of a report: give another folder with --out")


def _swap(partial: Path, out: Path) -> None:
    """Put `partial` in the place of `out`; an older report is back if that fails."""
    old = partial.with_suffix(".old")
    if out.exists():
        out.rename(old)
    try:
        partial.rename(out)
    except OSError:
        if old.exists():
            old.rename(out)
        raise
    shutil.rmtree(old, ignore_errors=True)


def _write(runs: Sequence[Run], folder: Path) -> None:
    cases = pool(runs)
    groups = group_rows(cases)
    yardsticks = cases.loc[cases["kind"] == KINDS[1], "implementation"].unique()
    shown = looks(cases["implementation"].unique(), yardsticks)
    studio = Studio(shown, folder / "plots", len({group.place for group in groups}) > 1)
    studio.folder.mkdir()
    sections = [
        _verdict(cases),
        _axes(groups, studio),
        _bounds(cases, groups, studio),
        _cost(groups, studio),
        _memory(cases, groups, studio),
        _rows(cases),
        _trust(runs, cases),
    ]
    tables = [short_table(cases), *(table for section in sections for _, table in section.tables)]
    write_tables(tables, folder / "tables")
    title = f"Local relation layer: {', '.join(run.name for run in runs)}"
    (folder / "index.html").write_text(render(Page(title, sections, _warnings(runs))), encoding="utf-8")


def _warnings(runs: Sequence[Run]) -> list[str]:
    several = len(runs) > 1
    found = [f"{run.name}: {text}" if several else text for run in runs for text in run.warnings]
    differing = differences(runs, _COMPARED)
    return [*found, f"The runs differ in {', '.join(differing)}."] if differing else found


def _verdict(cases: pd.DataFrame) -> Section:
    found = speedups(implementations(cases))
    caption = f"Speed-up over {BASELINE}: geometric mean over the cases where both were measured."
    missing = f"There is no speed-up to show: run {BASELINE} and another implementation, `python -m bench run`."
    shown = [] if found.empty else [(caption, placed("speedup", found))]
    return Section("verdict", "Verdict", sentences(cases, found), shown, [], "" if shown else missing)


def _axes(groups: Sequence[Group], studio: Studio) -> Section:
    along, beside = axis_pictures(groups, studio), point_pictures(groups, studio)
    if not along + beside:
        missing = "No axis was measured at two values, all else equal. To fill this: `python -m bench run axes`."
        return Section("axes", "Axes", [], [], [], missing)
    text = ["Each figure moves one parameter, all others at the base point. Vertical axes are logarithmic."]
    bases = [(studio.label(group), describe(group.base)) for group in groups if group.slices]
    text += [f"Base point ({label}): {base}." for label, base in bases]
    return Section("axes", "Axes", text if along else [], [], along + beside)


def _bounds(cases: pd.DataFrame, groups: Sequence[Group], studio: Studio) -> Section:
    table = bound_table(cases)
    missing = "No case has a bound: they are known for GPUs. To fill this, on one: `python -m bench run stages`."
    if table.frame.empty:
        return Section("bounds", "Share of the bound", [], [], [], missing)
    caption = "Share of the bound: 1 is all that the chip can do. The mean is geometric; a copy is a yardstick."
    return Section("bounds", "Share of the bound", [TEXT], [(caption, table)], bound_pictures(groups, studio))


def _cost(groups: Sequence[Group], studio: Studio) -> Section:
    chosen = chosen_groups(groups)
    found = fits(chosen)
    missing = "No case has both a latency and a cost. To fill this: `python -m bench run axes -a scope=layer`."
    if not found:
        return Section("cost", "The paper's formula", [], [], [], missing)
    text = [
        "The paper's cost is ((1 + s²)/m + 1) · C · (C + k²) · HW/s² for each image of the batch.",
        _LOG_LOG,
    ]
    text += [_OPERATOR_ONLY] if chosen[0].scope == "operator" else []
    tables = [("Fits, and where the formula fails to predict.", _fit_table(found))]
    return Section("cost", "The paper's formula", text, tables, cost_pictures(found, studio))


def _fit_table(found: Sequence[Fit]) -> Table:
    keys = [PLACE, "scope", "setting", "mode", "implementation"]
    columns = [*keys, "cases", "slope", "R²", "where it fails"]
    rows = [
        (f.place, f.scope, f.setting or None, f.mode, f.implementation, len(f.points), f.slope, f.r_squared, f.failing)
        for f in found
    ]
    return placed("fits", pd.DataFrame(rows, columns=columns))


def _memory(cases: pd.DataFrame, groups: Sequence[Group], studio: Studio) -> Section:
    table = memory_table(implementations(cases))
    missing = "No case has a peak memory. To fill this: `python -m bench run axes`."
    caption = f"Peak memory: range, share of {BASELINE}'s (geometric mean), and against the prediction (median)."
    if table.frame.empty:
        return Section("memory", "Memory", [], [], [], missing)
    return Section("memory", "Memory", [], [(caption, table)], memory_pictures(groups, studio))


def _rows(cases: pd.DataFrame) -> Section:
    missing = "There are no rows. To fill this: `python -m bench run`."
    caption = "One row per case; speedup is against the baseline's same case."
    shown = [] if cases.empty else [(caption, full_table(cases))]
    return Section("rows", "All rows", [], shown, [], "" if shown else missing)


def _trust(runs: Sequence[Run], cases: pd.DataFrame) -> Section:
    tables = [
        ("Where and how it was measured.", environment_table(runs)),
        ("How the cases ended.", status_table(cases)),
        ("Samples behind the numbers; the spread is p80 less p20, over the median.", sample_table(cases)),
    ]
    return Section("trust", "Trust", [], [(text, table) for text, table in tables if len(table.frame)], [])
