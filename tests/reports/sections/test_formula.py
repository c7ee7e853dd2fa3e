"""The formulas against measured times."""

import pytest

from reports.sections import formula
from tests.support.report_rows import MakeRun, case
from tests.support.report_sections import material_from, records, table_of


def test_both_formulas_are_fitted(make_run: MakeRun) -> None:
    rows = [case(1e-3 * c, channels=c, paper_cost=c**2, macs=c) for c in (16, 32, 64)]
    section = formula.section(material_from(make_run, rows))
    slopes = {row["formula"]: row["slope"] for row in records(table_of(section, "fits"))}
    assert slopes == {"paper's formula": pytest.approx(0.5), "exact count": pytest.approx(1)}
    assert [figure.name for figure in section.figures] == ["formula_operator"]
