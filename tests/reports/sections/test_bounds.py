"""Shares of the bound and the roofline of a made-up GPU, against what was put in."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from reports.report import Section
from reports.sections import bounds
from reports.sections.material import Material
from tests.support.report_sections import records, table_of


@pytest.fixture(scope="module")
def section(gpu: Material) -> Section:
    return bounds.section(gpu)


def test_what_is_above_the_bound_is_called_a_fault(section: Section) -> None:
    (fault,) = [text for text in section.paragraphs if text.startswith("FAULT")]
    assert fault.startswith("FAULT: 1 case of unfold above 100 % of the bound.")
    (row,) = records(table_of(section, "above_bound"))
    assert row["share (%)"] == pytest.approx(140)


def test_roofs_say_where_they_are_from(section: Section) -> None:
    (details,) = section.details
    (text,) = [text for text in details.paragraphs if text.startswith("Roofs of")]
    assert "bandwidth is measured by doctor" in text
    assert "exponentials is the data sheet's" in text


def test_shares_of_the_bound_in_numbers(gpu: Material, section: Section) -> None:
    rows = gpu.cases[(gpu.cases["implementation"] == "triton") & (gpu.cases["mode"] == "forward")]
    rows = rows[(rows["cache"] == "hot") & (rows["scope"] == "operator")]
    share = pd.to_numeric(rows["bound_fraction"]).dropna()
    (row,) = [
        row
        for row in records(table_of(section, "bounds"))
        if (row["implementation"], row["mode"], row["cache"]) == ("triton", "forward", "hot")
    ]
    assert row["cases"] == len(share)
    assert row["mean (%)"] == pytest.approx(100 * float(np.exp(np.log(share).mean())))
    assert row["most (%)"] == pytest.approx(100 * share.max())


def test_the_roofline_has_all_four_bounds(gpu: Material, section: Section) -> None:
    (figure,) = [one for one in section.figures if one.name == "roofline_operator-bfloat16-cold"]
    figure = replace(figure, data=figure.data[figure.data["panel"] == "forward"])
    names = set(figure.data["line"])
    assert {"memory", "arithmetic", "exponentials", "instruction issue", "triton", "unfold"} <= names
    memory_roof = figure.data[figure.data["line"] == "memory"]
    # FLOP per byte times bytes per second.
    assert (memory_roof["y"] / memory_roof["x"]).to_list() == pytest.approx([4.1, 4.1])
    # The way up to the roof is to where all of the bound is reached.
    points = figure.data[figure.data["line"] == "triton"]
    shares = gpu.cases.loc[gpu.cases["implementation"] == "triton", "bound_fraction"].dropna().astype(float)
    assert {round(float(share), 6) for share in points["y"] / points["roof"]} <= {round(share, 6) for share in shares}
