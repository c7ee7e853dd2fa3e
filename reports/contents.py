"""Everything that a report says, in order."""

import shlex
from collections.abc import Sequence
from dataclasses import replace

from .data.environments import differences
from .data.parameters import pool, yardsticks
from .data.rows import Run
from .data.slices import group_rows
from .drawing.canvas import draw_all
from .drawing.figures import Studio
from .report import Figure, Report, Section
from .sections import axes, bounds, formula, maps, memory, networks, trust, verdict
from .sections import comparison as several
from .sections import rows as tables
from .sections import yardsticks as beside
from .sections.view import View
from .style import looks

_SECTIONS = (verdict, axes, formula, bounds, memory, maps, networks, beside, several, trust, tables)


def build(runs: Sequence[Run]) -> Report:
    """The report of the runs, its figures drawn."""
    sections = _sections(view_of(runs))
    drawn = iter(draw_all([figure for section in sections for figure in section.figures]))
    sections = [replace(section, figures=[next(drawn) for _ in section.figures]) for section in sections]
    return Report(f"Local relation layer: {', '.join(run.name for run in runs)}", sections, _warnings(runs))


def all_figures(runs: Sequence[Run]) -> dict[str, Figure]:
    """Every figure of the report by its name, those that the page leaves out among them, none drawn yet."""
    return {figure.name: figure for section in _sections(view_of(runs, whole=True)) for figure in section.figures}


def view_of(runs: Sequence[Run], *, whole: bool = False) -> View:
    """What the sections are made from; a `whole` report leaves no figure out."""
    cases = pool(runs)
    shown = looks(cases["implementation"].unique(), yardsticks(cases)["implementation"].unique())
    out = " --out DIR" if len(runs) > 1 else ""
    command = f"python -m reports {shlex.join(str(run.path) for run in runs)}{out}"
    return View(runs, cases, group_rows(cases), Studio(shown, command, whole))


def _sections(view: View) -> list[Section]:
    sections = [module.section(view) for module in _SECTIONS]
    figures = [figure for section in sections for figure in section.figures]
    return [
        replace(one, tables=[*one.tables, trust.command_table(figures)]) if one.id == "trust" and figures else one
        for one in sections
    ]


def _warnings(runs: Sequence[Run]) -> list[str]:
    found = [f"{run.name}: {text}" if len(runs) > 1 else text for run in runs for text in run.warnings]
    differing = differences(runs)
    return [*found, f"The runs differ in {', '.join(differing)}."] if differing else found
