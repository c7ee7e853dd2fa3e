"""Which runs and devices are put together."""

from reports.data.parameters import pool
from reports.data.rows import load_run, load_runs
from reports.data.slices import group_rows
from tests.support.report_rows import MakeRun, case


def test_devices_are_kept_apart(make_run: MakeRun) -> None:
    run = make_run([case(1.0), case(1.0, m=1, device="cuda")])
    assert [group.key[0] for group in group_rows(pool([load_run(run, "run")]))] == ["cpu", "cuda"]


def test_runs_are_pooled_unless_they_overlap(make_run: MakeRun) -> None:
    first = make_run([case(1.0)], "first")
    second = make_run([case(1.0, implementation="triton")], "second")
    again = make_run([case(1.5)], "again")
    assert len(group_rows(pool(load_runs([first, second])))) == 1
    places = [group.key[0] for group in group_rows(pool(load_runs([first, again])))]
    assert places == ["cpu, run first", "cpu, run again"]
