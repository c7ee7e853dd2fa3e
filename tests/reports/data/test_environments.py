"""In what runs differ."""

from reports.data.environments import differences, environment_table
from reports.data.rows import load_runs
from tests.support.report_rows import MakeRun, case


def test_what_a_merged_run_keeps_of_its_parts_is_no_difference(make_run: MakeRun) -> None:
    environment = {"device": {"type": "cpu", "name": "cpu"}, "versions": {"torch": "2"}, "code": {"git_commit": "a"}}
    devices = [{"host": "one", "name": "cpu"}, {"host": "two", "name": "cpu"}]
    merged = {
        **environment,
        "code": {"git_commit": "b"},
        "devices": devices,
        "parts": [environment],
        "doctor": {"torch": "2", "checks": [{"name": "timer"}]},
        "sweep": {"name": "quick"},
    }
    runs = load_runs([make_run([case(1.0)], "whole", environment), make_run([case(1.0)], "merged", merged)])
    assert differences(runs) == ["code.git_commit"]
    assert not environment_table(runs).frame["key"].str.startswith("parts").any()
