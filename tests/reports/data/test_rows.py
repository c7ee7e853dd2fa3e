"""Run folders that are cut off, old, strange or not there."""

from pathlib import Path

import pandas as pd
import pytest

from bench.errors import RunFolderError
from bench.results.columns import COLUMNS, TABLE
from reports.data.rows import load_run, load_runs
from tests.support.report_rows import MakeRun, case, failed, sweep, table_alone


@pytest.mark.parametrize("cut", [1, 2, 30, 100])
def test_torn_last_line_is_left_out(make_run: MakeRun, cut: int) -> None:
    run = make_run([case(1.0), case(2.0, m=1), failed("error", 'a "quoted", reason\nof two lines', m=2)])
    table = table_alone(run)
    table.write_bytes(table.read_bytes().rstrip(b"\r\n")[:-cut])
    read = load_run(run, "run")
    assert list(read.rows["m"]) == [8, 1]
    assert "cut off" in read.warnings[0]


def test_lines_glued_together_are_left_out(make_run: MakeRun) -> None:
    run = make_run([case(1.0), case(2.0, m=1), case(3.0, m=2)])
    table = table_alone(run)
    lines = table.read_text(encoding="utf-8").splitlines(keepends=True)
    table.write_text(lines[0] + lines[1] + lines[2][:40] + lines[3], encoding="utf-8")
    read = load_run(run, "run")
    assert list(read.rows["m"]) == [8]
    assert read.warnings == ["1 of results.csv's lines cut off or glued together: left out."]


@pytest.mark.parametrize("text", ["", "\n", ",".join(COLUMNS), ",".join(COLUMNS) + "\n"])
def test_table_without_rows(make_run: MakeRun, text: str) -> None:
    run = make_run([])
    table_alone(run).write_text(text, encoding="utf-8")
    assert load_run(run, "run").rows.empty


def test_columns_that_there_are_not_and_that_nobody_knows(make_run: MakeRun) -> None:
    run = make_run([])
    text = "implementation,status,latency_ms,colour,weight\nunfold,ok,1.5,red,3\n"
    table_alone(run).write_text(text, encoding="utf-8")
    read = load_run(run, "run")
    assert (read.rows["latency_ms"][0], read.rows["weight"][0]) == (1.5, 3)
    assert read.rows["colour"][0] == "red"
    assert read.rows["mode"][0] == "unspecified"
    assert f"lacks {len(COLUMNS) - 3} of {len(COLUMNS)} columns" in read.warnings[0]


def test_rows_and_their_table_read_alike(gpu_run: Path, make_run: MakeRun) -> None:
    run = make_run([*sweep({"unfold": 1.0}), failed("error", "no", m=3), case(1.0, scope="network", depth=50)])
    from_lines = load_run(run, "run").rows
    table_alone(run)
    pd.testing.assert_frame_equal(load_run(run, "run").rows, from_lines)
    numbers = [name for name, column in TABLE.items() if column.type.json in {"integer", "number"}]
    for rows in (from_lines, load_run(gpu_run, "gpu").rows):
        assert all(map(pd.api.types.is_numeric_dtype, (rows[name] for name in [*numbers, "depth"])))


def test_values_that_are_no_numbers(make_run: MakeRun) -> None:
    run = make_run([{**case(1.0), "latency_ms": "fast"}, {**case(1.0, m=1), "latency_ms": "nan"}])
    table_alone(run)
    read = load_run(run, "run")
    assert list(read.rows["latency_ms"].isna()) == [True, True]
    assert read.warnings == ["1 values in column latency_ms are no numbers: left out."]


def test_numbers_beyond_all_bounds(make_run: MakeRun) -> None:
    run = make_run([case(1.0, depth=10**400, samples=10**400)])
    assert load_run(run, "run").rows[["depth", "samples"]].isna().all(axis=None)
    table_alone(run)
    assert load_run(run, "run").rows[["depth", "samples"]].isna().all(axis=None)


def test_last_row_of_a_repeated_case_counts(make_run: MakeRun) -> None:
    read = load_run(make_run([failed("crashed", "gone"), case(2.0)]), "run")
    assert list(read.rows["status"]) == ["ok"]
    assert "run again" in read.warnings[0]


def test_failed_row_without_device_joins_the_only_one(make_run: MakeRun) -> None:
    rows = [case(1.0, device="cuda"), failed("crashed", "gone", m=1, device=None)]
    assert set(load_run(make_run(rows), "run").rows["device"]) == {"cuda"}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda run: table_alone(run).unlink(), "neither results.jsonl nor results.csv"),
        (lambda run: (run / "environment.json").unlink(), "no environment.json"),
        (lambda run: (run / "environment.json").write_text("{"), "not JSON"),
        (lambda run: (run / "environment.json").write_bytes(b"\xff{"), "not UTF-8"),
        (lambda run: (run / "environment.json").write_text("[1]"), "schema_version None"),
        (
            lambda run: table_alone(run).write_text("a,b\n1,2\n"),
            "no column implementation and no column status",
        ),
    ],
)
def test_folder_that_is_no_run(make_run: MakeRun, change: object, message: str) -> None:
    run = make_run([case(1.0)])
    assert callable(change)
    change(run)
    with pytest.raises(RunFolderError, match=message):
        load_run(run, "run")


def test_same_run_twice(make_run: MakeRun) -> None:
    run = make_run([case(1.0)])
    with pytest.raises(RunFolderError, match="more than once"):
        load_runs([run, run / ".." / "run"])
