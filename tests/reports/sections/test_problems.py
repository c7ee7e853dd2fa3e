"""All that was timed of a problem, side by side."""

import pytest

from reports.data.rows import load_run
from reports.sections import problems
from reports.sections.material import material_of
from tests.support.report_rows import ENVIRONMENT, MakeRun, case, failed
from tests.support.report_sections import material_from, records, table_of


def test_a_row_has_every_time_of_its_problem(make_run: MakeRun) -> None:
    rows = [
        case(8.0, auto=False, bound_arithmetic_ms=0.5),
        case(2.0, auto=False, implementation="compiled", bound_arithmetic_ms=0.5),
        case(2.5, auto=True, implementation="native", bound_arithmetic_ms=0.5),
        case(1.0, implementation="conv3x3", kind="yardstick"),
        case(3.0, auto=False, height=7, width=7),
        case(1.0, auto=True, height=7, width=7, implementation="native"),
        failed("error", "no", height=7, width=7, implementation="compiled", auto=False),
    ]
    section = problems.section(material_from(make_run, rows))
    wide, narrow = sorted(records(table_of(section, "problems")), key=lambda row: -int(str(row["height"])))
    assert {name: wide[name] for name in ("unfold", "compiled", "native", "conv3x3", "fastest", "auto")} == {
        "unfold": 8.0,
        "compiled": 2.0,
        "native": 2.5,
        "conv3x3": 1.0,
        "fastest": "compiled",
        "auto": "native",
    }
    assert (wide["auto / fastest"], wide["share of arithmetic (%)"]) == (pytest.approx(1.25), pytest.approx(25))
    assert (narrow["fastest"], narrow["auto / fastest"]) == ("native", 1)
    assert narrow["compiled"] != narrow["compiled"], "what failed has no time"
    (text,) = section.paragraphs
    assert text.startswith(
        "cpu, operator, forward: auto is within 10% of the fastest in 1 of 2 problems, and takes 1.25×"
    )


def test_runs_that_do_not_tell_what_auto_takes(make_run: MakeRun) -> None:
    section = problems.section(material_from(make_run, [case(8.0), case(2.0, implementation="triton")]))
    (row,) = records(table_of(section, "problems"))
    assert (row["fastest"], section.paragraphs) == ("triton", [])


def test_on_a_cpu_doctors_rate_bounds_the_arithmetic(make_run: MakeRun) -> None:
    environment = {**ENVIRONMENT, "device": {"type": "cpu", "name": "cpu"}, "doctor": {"roofs": {"fma": 1e9}}}
    run = make_run([case(8.0, flops=4_000_000)], environment=environment)
    section = problems.section(material_of([load_run(run, "run")]))
    # Two million multiply–adds, a thousand million of them a second: 2 ms of 8.
    assert table_of(section, "problems")["share of arithmetic (%)"].to_list() == [pytest.approx(25)]


def test_nothing_timed_says_what_to_run(make_run: MakeRun) -> None:
    assert "python -m bench run" in problems.section(material_from(make_run, [failed("error", "no")])).empty
