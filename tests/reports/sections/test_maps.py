"""Speed-ups over two parameters."""

import pytest

from reports.sections import maps
from tests.support.report_rows import MakeRun, case
from tests.support.report_sections import material_from, records, table_of


def test_map_has_the_speedup_of_each_cell(make_run: MakeRun) -> None:
    rows = [case(8.0, kernel_size=k, m=m) for k in (3, 7) for m in (1, 8)]
    rows += [case(8.0 / (k * m), kernel_size=k, m=m, implementation="triton") for k in (3, 7) for m in (1, 8)]
    section = maps.section(material_from(make_run, rows))
    (figure,) = section.figures
    cells = {(row["m"], row["kernel_size"]): row["speedup"] for row in records(figure.data)}
    assert cells == {(m, k): pytest.approx(k * m) for k in (3, 7) for m in (1, 8)}
    assert "triton from 3× to 56×" in figure.alt
    assert table_of(section, "speedup")["speedup"].to_list() == [pytest.approx((3 * 7 * 24 * 56) ** 0.25)]
    assert maps.section(material_from(lambda rows: make_run(rows, "one"), [case(1.0)])).empty
