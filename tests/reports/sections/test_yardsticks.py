"""What the layer's time is worth."""

import pytest

from reports.sections import yardsticks
from reports.sections.material import Material
from tests.support.report_sections import records, table_of


def test_yardsticks_are_measured_by_the_fastest(gpu: Material) -> None:
    for row in records(table_of(yardsticks.section(gpu), "yardsticks")):
        # triton is the fastest, and they take these shares of its time.
        assert row["mean"] == pytest.approx({"conv3x3": 1 / 0.3, "copy": 10}[str(row["yardstick"])], rel=0.01)
