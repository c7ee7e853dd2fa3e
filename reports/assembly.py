"""Everything that a report says, in order, and how it comes from runs."""

from collections.abc import Sequence
from dataclasses import replace

from .data.environments import differences
from .data.rows import ReportedRun
from .opening.facts import title
from .opening.opening import opening
from .report import Figure, Report
from .sections import (
    axes,
    bounds,
    comparison,
    formula,
    maps,
    memory,
    networks,
    problems,
    rows,
    trust,
    verdict,
    yardsticks,
)
from .sections.material import Material, material_of

_SECTIONS = (verdict, axes, formula, bounds, memory, maps, networks, yardsticks, problems, comparison, trust, rows)


def assemble(runs: Sequence[ReportedRun]) -> Report:
    """The report of the runs."""
    return _report(material_of(runs))


def all_figures(runs: Sequence[ReportedRun]) -> dict[str, Figure]:
    """Every figure of the report by its name, those that the page leaves out among them."""
    return {figure.name: figure for figure in _report(material_of(runs, whole=True)).figures}


def _report(material: Material) -> Report:
    first = opening(material)
    sections = [module.section(material) for module in _SECTIONS]
    whole = Report(title(material), sections, _warnings(material.runs), material.studio.looks, first)
    commands = [trust.command_table(whole.figures)] if whole.figures else []
    sections = [replace(one, tables=[*one.tables, *commands]) if one.id == "trust" else one for one in sections]
    return replace(whole, sections=sections)


def _warnings(runs: Sequence[ReportedRun]) -> list[str]:
    found = [f"{run.name}: {text}" if len(runs) > 1 else text for run in runs for text in run.warnings]
    differing = differences(runs)
    return [*found, f"The runs differ in {', '.join(differing)}."] if differing else found
