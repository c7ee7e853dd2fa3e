"""Everything that a report says, in order, and how it comes from runs."""

from collections.abc import Sequence
from dataclasses import replace

from .data.environments import differences
from .data.rows import ReportedRun
from .report import Figure, Report, Section
from .sections import (
    axes,
    bounds,
    comparison,
    formula,
    maps,
    memory,
    networks,
    rows,
    trust,
    verdict,
    yardsticks,
)
from .sections.material import Material, material_of

_SECTIONS = (verdict, axes, formula, bounds, memory, maps, networks, yardsticks, comparison, trust, rows)


def assemble(runs: Sequence[ReportedRun]) -> Report:
    """The report of the runs."""
    material = material_of(runs)
    sections = _sections(material)
    title = f"Local relation layer: {', '.join(run.name for run in runs)}"
    return Report(title, sections, _warnings(runs), material.studio.looks)


def all_figures(runs: Sequence[ReportedRun]) -> dict[str, Figure]:
    """Every figure of the report by its name, those that the page leaves out among them, none drawn yet."""
    return {figure.name: figure for section in _sections(material_of(runs, whole=True)) for figure in section.figures}


def _sections(material: Material) -> list[Section]:
    sections = [module.section(material) for module in _SECTIONS]
    figures = [figure for section in sections for figure in section.figures]
    return [
        replace(one, tables=[*one.tables, trust.command_table(figures)]) if one.id == "trust" and figures else one
        for one in sections
    ]


def _warnings(runs: Sequence[ReportedRun]) -> list[str]:
    found = [f"{run.name}: {text}" if len(runs) > 1 else text for run in runs for text in run.warnings]
    differing = differences(runs)
    return [*found, f"The runs differ in {', '.join(differing)}."] if differing else found
