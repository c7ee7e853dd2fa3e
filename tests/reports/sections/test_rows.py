"""The table of all rows."""

from reports.sections.rows import row_table
from tests.support.report_rows import MakeRun, case, sweep
from tests.support.report_sections import material_from


def test_row_table_has_a_row_per_case_and_its_speedup(make_run: MakeRun) -> None:
    table = row_table(material_from(make_run, sweep({"unfold": 1.0, "triton": 9.0})).cases)
    pairs = zip(table.frame["implementation"], table.frame["speedup"].round(6), strict=True)
    assert (len(table.frame), set(pairs)) == (20, {("unfold", 1), ("triton", 9)})
    assert "batch" not in table.folded().frame
    assert table.folded().constants["batch"] == 2


def test_yardsticks_have_no_speedup(make_run: MakeRun) -> None:
    rows = [case(8.0), case(2.0, implementation="triton"), case(0.01, implementation="conv3x3", kind="yardstick")]
    table = row_table(material_from(make_run, rows).cases).frame
    assert table.loc[table["kind"] == "yardstick", "speedup"].isna().all()
