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
    assert [figure.name for figure in section.figures] == ["formula_operator_forward"]


def test_residuals_are_drawn_along_each_axis(make_run: MakeRun) -> None:
    rows = [case(1e-3 * c, channels=c, paper_cost=c) for c in (16, 32, 64, 128, 256)]
    rows += [case(6.4, m=1, paper_cost=64.1), case(0.064, m=16, paper_cost=63.9)]
    section = formula.section(material_from(make_run, rows))
    data = section.figures[0].data
    along = data[data["panel"] == "m"].set_index("x")["y"]
    # 100 between m = 1 and 16, at one cost.
    assert along[1] / along[16] == pytest.approx(100, rel=0.01)
    assert set(data["panel"]) == {"cost", "channels", "m"}
    # The one case that is 100 times off lifts the line to 100^(1/7), 1.9 times all others.
    (sentence,) = [text for text in section.paragraphs if text.startswith("unfold")]
    assert sentence == "unfold: the paper's formula is within 1.5× in 0 of 7 cases, and farthest off along m (99.8×)."
    (why,) = section.details[1].paragraphs
    assert "sharing a weight saves more" in why
