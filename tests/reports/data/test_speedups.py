"""Speed-ups, and the verdict with its regions."""

import math
from typing import Any

import pytest

from bench.results.columns import Row
from reports.contents import view_of
from reports.data.parameters import implementations
from reports.data.rows import load_run
from reports.data.speedups import speedups
from reports.sections import maps, verdict
from reports.sections import rows as tables
from tests.support.report_rows import ENVIRONMENT, MakeRun, case, failed, sweep
from tests.support.views import records, table_of, view_from


def test_speedup_is_the_geometric_mean_of_the_pairs(make_run: MakeRun) -> None:
    rows = [
        case(8.0, m=1),
        case(2.0, m=1, implementation="triton"),
        case(9.0, m=2),
        case(1.0, m=2, implementation="triton"),
        failed("out_of_memory", "too large", m=4),
        case(1.0, m=4, implementation="triton"),
        case(5.0, m=8),
        failed("unsupported", "no", m=8, implementation="triton"),
        case(1.0, m=16, implementation="triton"),
        case(5.0, m=32),
    ]
    (speedup,) = speedups(view_from(make_run, rows).cases).to_dict("records")
    assert speedup["implementation"] == "triton"
    assert speedup["speedup"] == pytest.approx(math.sqrt(4 * 9))
    assert (speedup["least"], speedup["most"], speedup["pairs"]) == (4, 9, 2)
    expected = {"1 unfold out_of_memory", "1 unsupported", "1 unfold not run", "1 not run"}
    assert set(speedup["left out"].split(", ")) == expected


@pytest.mark.parametrize("other", [{"mode": "backward"}, {"scope": "layer"}, {"device": "cuda"}, {"cache": "cold"}])
def test_modes_scopes_devices_and_settings_are_never_paired(make_run: MakeRun, other: dict[str, Any]) -> None:
    view = view_from(make_run, [case(8.0), case(1.0, implementation="triton", **other)])
    assert set(speedups(view.cases)["pairs"]) == {0}


def test_regions_part_where_the_fastest_changes(make_run: MakeRun) -> None:
    times = {3: (4.0, 2.0), 5: (4.0, 2.0), 7: (4.0, 8.0), 9: (4.0, 8.0)}
    rows = [case(times[k][0], kernel_size=k, peak_mib=100) for k in times]
    rows += [case(times[k][1], kernel_size=k, implementation="triton", peak_mib=25) for k in times]
    rows += [case(2.0, m=1, peak_mib=100), case(1.0, m=1, implementation="triton", peak_mib=25)]
    section = verdict.section(view_from(make_run, rows))
    found = {row["region"]: row for row in records(table_of(section, "verdict"))}
    assert {name: row["fastest"] for name, row in found.items()} == {
        "all cases": "triton",
        "kernel size 3 to 5": "triton",
        "kernel size 7 to 9": "unfold",
        "m 1": "triton",
        "m 8": "unfold",
    }
    small = found["kernel size 3 to 5"]
    assert small["speed-up over unfold"] == pytest.approx(2)
    assert (small["pairs"], small["lead over the next"], small["next"]) == (2, pytest.approx(2), "unfold")
    assert small["memory saved (%)"] == pytest.approx(75)
    assert found["all cases"]["fastest in"] == "3 of 5"
    assert found["all cases"]["speed-up over unfold"] == pytest.approx((2**3 / 2**2) ** (1 / 5))
    assert "Elsewhere: unfold at kernel size 7 to 9; unfold at m 8." in section.paragraphs[-1]


@pytest.mark.parametrize(("noise", "fastest"), [(0.2, "triton (tie with unfold)"), (0.01, "triton")])
def test_a_lead_within_the_noise_floor_is_a_tie(make_run: MakeRun, noise: float, fastest: str) -> None:
    environment = {**ENVIRONMENT, "device": {"type": "cpu", "name": "cpu"}, "doctor": {"noise_floor": noise}}
    run = make_run([case(1.1), case(1.0, implementation="triton")], environment=environment)
    section = verdict.section(view_of([load_run(run, "run")]))
    assert table_of(section, "verdict")["fastest"].to_list() == [fastest]


def test_failures_are_in_the_verdict_with_reasons(make_run: MakeRun) -> None:
    rows = [case(1.0), failed("error", "why " * 99, implementation="triton"), failed("out_of_memory", "large", m=1)]
    section = verdict.section(view_from(make_run, rows))
    (row,) = records(table_of(section, "verdict"))
    assert "unfold 1 out_of_memory: large" in str(row["failed, and why"])
    assert "triton 1 error: why why" in str(row["failed, and why"])
    assert section.paragraphs[-1].startswith("triton was measured in none of its 1 case (error: why")
    assert len(section.paragraphs[-1]) < 150


def test_yardsticks_have_no_part_in_the_verdict(make_run: MakeRun) -> None:
    rows = [case(8.0), case(2.0, implementation="triton"), case(0.01, implementation="conv3x3", kind="yardstick")]
    view = view_from(make_run, rows)
    assert list(speedups(implementations(view.cases))["implementation"]) == ["triton"]
    assert table_of(verdict.section(view), "verdict")["fastest"].to_list() == ["triton"]
    table = tables.row_table(view.cases).frame
    assert table.loc[table["kind"] == "yardstick", "speedup"].isna().all()


@pytest.mark.parametrize("rows", [[], [failed("error", "no")]], ids=["none", "failed"])
def test_nothing_measured_says_what_to_run(make_run: MakeRun, rows: list[Row]) -> None:
    assert "python -m bench run" in verdict.section(view_from(make_run, rows)).empty


def test_row_table_has_a_row_per_case_and_its_speedup(make_run: MakeRun) -> None:
    table = tables.row_table(view_from(make_run, sweep({"unfold": 1.0, "triton": 9.0})).cases)
    pairs = zip(table.frame["implementation"], table.frame["speedup"].round(6), strict=True)
    assert (len(table.frame), set(pairs)) == (20, {("unfold", 1), ("triton", 9)})
    assert "batch" not in table.folded().frame
    assert table.folded().constants["batch"] == 2


def test_map_has_the_speedup_of_each_cell(make_run: MakeRun) -> None:
    rows = [case(8.0, kernel_size=k, m=m) for k in (3, 7) for m in (1, 8)]
    rows += [case(8.0 / (k * m), kernel_size=k, m=m, implementation="triton") for k in (3, 7) for m in (1, 8)]
    section = maps.section(view_from(make_run, rows))
    (figure,) = section.figures
    cells = {(row["m"], row["kernel_size"]): row["speedup"] for row in records(figure.data)}
    assert cells == {(m, k): pytest.approx(k * m) for k in (3, 7) for m in (1, 8)}
    assert "triton from 3× to 56×" in figure.alt
    assert table_of(section, "speedup")["speedup"].to_list() == [pytest.approx((3 * 7 * 24 * 56) ** 0.25)]
    assert maps.section(view_from(lambda rows: make_run(rows, "one"), [case(1.0)])).empty
