"""From rows to what the sections of a report are made from."""

from collections.abc import Iterable

import pandas as pd

from bench.results.columns import Row
from reports.data.rows import load_run
from reports.report import Section, Table
from reports.sections.material import Material, material_of
from tests.support.report_rows import MakeRun


def material_from(make_run: MakeRun, rows: Iterable[Row]) -> Material:
    """The material on a run of those rows."""
    return material_of([load_run(make_run(rows), "run")])


def table_of(section: Section, name: str) -> pd.DataFrame:
    """The section's table of that name."""
    (table,) = [one for one in section.tables if one.name == name]
    return table.frame


def records(table: Table | pd.DataFrame) -> list[dict[str, object]]:
    """The rows by the titles of their columns."""
    frame = table.frame if isinstance(table, Table) else table
    return [{str(name): value for name, value in row.items()} for row in frame.to_dict("records")]
