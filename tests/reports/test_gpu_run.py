"""A made-up run of a GPU: bounds, memory, networks, yardsticks and trust, against what was put in."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from reports.contents import build, view_of
from reports.data.rows import load_run, load_runs
from reports.sections import axes, bounds, memory, networks, trust
from reports.sections import yardsticks as beside
from reports.sections.view import View
from tests.support import synthetic
from tests.support.views import records, table_of

PLACE = synthetic.DEVICE


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return synthetic.gpu_run(tmp_path_factory.mktemp("runs") / "gpu")


@pytest.fixture(scope="module")
def view(run: Path) -> View:
    return view_of([load_run(run, "gpu")])


def test_what_is_above_the_bound_is_called_a_fault(view: View) -> None:
    section = bounds.section(view)
    (fault,) = [text for text in section.paragraphs if text.startswith("FAULT")]
    assert fault.startswith("FAULT: 1 case of unfold above 100 % of the bound.")
    (row,) = records(table_of(section, "above_bound"))
    assert row["share (%)"] == pytest.approx(140)


def test_roofs_say_where_they_are_from(view: View) -> None:
    (text,) = [text for text in bounds.section(view).paragraphs if text.startswith("Roofs of")]
    assert "bandwidth is measured by doctor" in text
    assert "exponentials is the data sheet's" in text


def test_shares_of_the_bound_in_numbers(view: View) -> None:
    rows = view.cases[(view.cases["implementation"] == "triton") & (view.cases["mode"] == "forward")]
    rows = rows[(rows["cache"] == "hot") & (rows["scope"] == "operator")]
    share = pd.to_numeric(rows["bound_fraction"]).dropna()
    (row,) = [
        row
        for row in records(table_of(bounds.section(view), "bounds"))
        if (row["implementation"], row["mode"], row["cache"]) == ("triton", "forward", "hot")
    ]
    assert row["cases"] == len(share)
    assert row["mean (%)"] == pytest.approx(100 * float(np.exp(np.log(share).mean())))
    assert row["most (%)"] == pytest.approx(100 * share.max())


def test_the_roofline_has_all_four_bounds(view: View) -> None:
    (figure,) = [one for one in bounds.section(view).figures if one.name == "roofline_operator-bfloat16-cold_forward"]
    names = set(figure.data["line"])
    assert {"memory", "arithmetic", "exponentials", "instruction issue", "triton", "unfold"} <= names
    memory_roof = figure.data[figure.data["line"] == "memory"]
    # FLOP per byte times bytes per second.
    assert (memory_roof["y"] / memory_roof["x"]).to_list() == pytest.approx([4.1, 4.1])


def test_the_l2_is_marked_where_the_working_set_outgrows_it(view: View) -> None:
    (group,) = [group for group in view.groups if group.label == "operator, bfloat16, cold"]
    (resolution,) = [one for one in group.slices if one.axis.name == "resolution"]
    text, marks = axes.working_set(resolution, "forward", view.devices[PLACE])
    # 64 images of 2·200 + 2·200/8 numbers of 2 bytes per pixel.
    assert marks == {"L2, 50 MiB": pytest.approx((50 * 2**20 / (64 * 450 * 2)) ** 0.5)}
    assert "outgrow the L2's 50 MiB" in text
    (stride,) = [one for one in group.slices if one.axis.name == "stride"]
    assert axes.working_set(stride, "forward", view.devices[PLACE])[0].endswith("fit the L2's 50 MiB throughout.")
    assert axes.working_set(resolution, "forward", {}) == ("", {})


def test_the_frontier_and_the_cases_beyond_it(view: View) -> None:
    section = memory.section(view)
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


def test_networks_against_resnets(view: View) -> None:
    section = networks.section(view)
    found = {
        (row["implementation"], row["depth"], row["mode"], row["torch.compile"]): row["of ResNet's"]
        for row in records(table_of(section, "networks"))
    }
    assert found["triton", 50, "training", "True"] == pytest.approx(0.93)
    assert found["triton", 50, "training", "False"] == pytest.approx(0.8)
    assert found["unfold", 26, "forward", "False"] == pytest.approx(0.05)
    assert any(text.startswith("LR-Net-50, training: triton gives") for text in section.paragraphs)
    assert len(section.figures) == 2
    parts = records(table_of(section, "layer_parts"))
    assert [row["aggregation (%)"] for row in parts] == pytest.approx([60] * 15)
    assert [row["projections (%)"] for row in parts] == pytest.approx([35] * 15)


def test_yardsticks_are_measured_by_the_fastest(view: View) -> None:
    for row in records(table_of(beside.section(view), "yardsticks")):
        # triton is the fastest, and they take these shares of its time.
        assert row["mean"] == pytest.approx({"conv3x3": 1 / 0.3, "copy": 10}[str(row["yardstick"])], rel=0.01)


def test_trust_tells_of_noise_throttling_and_checks(view: View) -> None:
    section = trust.section(view)
    text = " ".join(section.paragraphs)
    assert "was made by `python -m bench run gpu --out 'runs/a b'` at commit 0123456789ab." in text
    assert "noise floor of gpu is 1.3%" in text
    tainted = int((view.cases["tainted"] == "True").sum())
    assert f"{tainted} cases of {len(view.cases)} tainted by throttling ({tainted} power_cap)" in text
    assert table_of(section, "doctor")["verdict"].to_list() == ["WARN"]
    assert table_of(section, "samples")["tainted cases"].sum() == tainted
    stops = table_of(section, "stops")
    assert set(stops["meaning"]) == {"the interval was narrow enough", "the time of the case was over"}


def test_every_figure_says_how_it_is_made_again(run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("reports.contents.draw_all", list)
    report = build(load_runs([run]))
    names = [figure.name for figure in report.figures]
    assert len(set(names)) == len(names)
    for figure in report.figures:
        assert figure.command == f"python -m reports {run} --figure {figure.name}"
        assert len(figure.alt) > 40
        assert len(figure.data)
    (table,) = [table for table in report.tables if table.name == "figures"]
    assert table.frame["figure"].to_list() == names
    assert [section.id for section in report.sections] == [
        *("verdict", "axes", "formula", "bounds", "memory", "map", "networks", "yardsticks", "runs", "trust", "rows")
    ]
    assert all(section.tables or section.figures or section.empty for section in report.sections)
