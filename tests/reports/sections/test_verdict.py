"""Which implementation is the fastest, and where."""

import pytest

from bench.results.columns import Row
from reports.data.rows import load_run
from reports.sections import verdict
from reports.sections.material import material_of
from tests.support.report_rows import ENVIRONMENT, MakeRun, case, failed
from tests.support.report_sections import material_from, records, table_of


def test_regions_part_where_the_fastest_changes(make_run: MakeRun) -> None:
    times = {3: (4.0, 2.0), 5: (4.0, 2.0), 7: (4.0, 8.0), 9: (4.0, 8.0)}
    rows = [case(times[k][0], kernel_size=k, peak_mib=100) for k in times]
    rows += [case(times[k][1], kernel_size=k, implementation="triton", peak_mib=25) for k in times]
    rows += [case(2.0, m=1, peak_mib=100), case(1.0, m=1, implementation="triton", peak_mib=25)]
    section = verdict.section(material_from(make_run, rows))
    found = {row["region"]: row for row in records(table_of(section, "verdict"))}
    assert {name: row["fastest"] for name, row in found.items()} == {
        "all cases": "triton",
        "kernel size 3 to 5": "triton",
        "kernel size 7 to 9": "unfold",
        "m 1": "triton",
        "m 8": "unfold",
    }
    small = found["kernel size 3 to 5"]
    assert small["speed-up (×)"] == pytest.approx(2)
    assert (small["pairs"], small["lead (×)"], small["next"]) == (2, pytest.approx(2), "unfold")
    assert small["memory saved (%)"] == pytest.approx(75)
    assert found["all cases"]["problems"] == "3 of 5"
    assert found["all cases"]["speed-up (×)"] == pytest.approx((2**3 / 2**2) ** (1 / 5))
    assert "Elsewhere: unfold at kernel size 7 to 9; unfold at m 8." in section.paragraphs[-1]


@pytest.mark.parametrize(("noise", "following"), [(0.2, "unfold, a tie"), (0.01, "unfold")])
def test_a_lead_within_the_noise_floor_is_a_tie(make_run: MakeRun, noise: float, following: str) -> None:
    environment = {**ENVIRONMENT, "device": {"type": "cpu", "name": "cpu"}, "doctor": {"noise_floor": noise}}
    run = make_run([case(1.1), case(1.0, implementation="triton")], environment=environment)
    section = verdict.section(material_of([load_run(run, "run")]))
    assert table_of(section, "verdict")["next"].to_list() == [following]


def test_failures_are_in_the_verdict_with_reasons(make_run: MakeRun) -> None:
    rows = [case(1.0), failed("error", "why " * 99, implementation="triton"), failed("out_of_memory", "large", m=1)]
    section = verdict.section(material_from(make_run, rows))
    (row,) = records(table_of(section, "verdict"))
    assert "unfold 1 out_of_memory: large" in str(row["failed, and why"])
    assert "triton 1 error: why why" in str(row["failed, and why"])
    (details,) = section.details
    (text,) = details.paragraphs
    assert text.startswith("Operator, forward: unfold 1 out_of_memory: large; triton 1 error: why why")


def test_yardsticks_have_no_part_in_the_verdict(make_run: MakeRun) -> None:
    rows = [case(8.0), case(2.0, implementation="triton"), case(0.01, implementation="conv3x3", kind="yardstick")]
    section = verdict.section(material_from(make_run, rows))
    assert table_of(section, "verdict")["fastest"].to_list() == ["triton"]


@pytest.mark.parametrize("rows", [[], [failed("error", "no")]], ids=["none", "failed"])
def test_nothing_measured_says_what_to_run(make_run: MakeRun, rows: list[Row]) -> None:
    assert "python -m bench run" in verdict.section(material_from(make_run, rows)).empty
