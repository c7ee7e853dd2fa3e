"""Peaks, and the largest case that fits."""

from reports.sections import memory
from reports.sections.material import Material
from tests.support.report_sections import records, table_of


def test_the_frontier_and_the_cases_beyond_it(gpu: Material) -> None:
    section = memory.section(gpu)
    found = {
        row["implementation"]: (row["largest that fits"], row["least that does not"])
        for row in records(table_of(section, "frontier"))
        if (row["axis"], row["dtype"], row["cache"], row["mode"]) == ("resolution", "bfloat16", "cold", "forward")
    }
    assert found["unfold"] == (112, 224)
    assert found["triton"][0] == 448
    (figure,) = [one for one in section.figures if one.name == "memory_operator-bfloat16-cold_forward"]
    lost = figure.data[figure.data["line"] == "unfold, lost"]
    assert lost["x"].to_list() == [224, 448]
    assert (lost["y"] > 100_000).all()
