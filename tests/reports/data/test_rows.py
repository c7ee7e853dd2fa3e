"""Run folders that are cut off, old, strange or not there."""

import csv
from pathlib import Path

import pytest

from bench.results.folder import COLUMNS, RunFolderError
from reports.data.rows import load_run, load_runs
from tests.support.report_rows import MakeRun, case, failed


def lines_of(run: Path) -> list[str]:
    return (run / "results.csv").read_text(encoding="utf-8").splitlines(keepends=True)


def rewrite(run: Path, rows: list[dict[str, object]]) -> None:
    with (run / "results.csv").open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)


@pytest.mark.parametrize("cut", [1, 2, 30, 100])
def test_torn_last_line_is_left_out(make_run: MakeRun, cut: int) -> None:
    run = make_run([case(1.0), case(2.0, m=1), failed("error", 'a "quoted", reason\nof two lines', m=2)])
    text = (run / "results.csv").read_text(encoding="utf-8")
    with (run / "results.csv").open("w", newline="", encoding="utf-8") as file:
        file.write(text.rstrip("\n")[:-cut])
    read = load_run(run, "run")
    assert list(read.rows["m"]) == [8, 1]
    assert "cut off" in read.warnings[0]


def test_lines_glued_together_are_left_out(make_run: MakeRun) -> None:
    run = make_run([case(1.0), case(2.0, m=1), case(3.0, m=2)])
    lines = lines_of(run)
    (run / "results.csv").write_text(lines[0] + lines[1] + lines[2][:40] + lines[3], encoding="utf-8")
    read = load_run(run, "run")
    assert list(read.rows["m"]) == [8]
    assert read.warnings == ["1 line of results.csv cut off or glued together; left out."]


@pytest.mark.parametrize("text", ["", "\n", ",".join(COLUMNS), ",".join(COLUMNS) + "\n"])
def test_table_without_rows(make_run: MakeRun, text: str) -> None:
    run = make_run([])
    (run / "results.csv").write_text(text, encoding="utf-8")
    assert load_run(run, "run").rows.empty


def test_older_and_newer_columns(make_run: MakeRun) -> None:
    run = make_run([])
    row: dict[str, object] = {
        "implementation": "unfold",
        "status": "ok",
        "latency_ms": "1.5",
        "colour": "red",
    }
    rewrite(run, [row])
    read = load_run(run, "run")
    assert read.rows["latency_ms"][0] == 1.5
    assert read.rows["colour"][0] == "red"
    assert read.rows["mode"][0] == "unspecified"
    assert f"lacks {len(COLUMNS) - 3} columns" in read.warnings[0]


def test_values_that_are_no_numbers(make_run: MakeRun) -> None:
    run = make_run([{**case(1.0), "latency_ms": "fast"}, {**case(1.0, m=1), "latency_ms": "nan"}])
    read = load_run(run, "run")
    assert list(read.rows["latency_ms"].isna()) == [True, True]
    assert read.warnings == ["1 value in column latency_ms is no number; left out."]


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
        (lambda run: (run / "results.csv").unlink(), "no results.csv"),
        (lambda run: (run / "environment.json").unlink(), "no environment.json"),
        (lambda run: (run / "environment.json").write_text("{"), "not JSON"),
        (lambda run: (run / "environment.json").write_bytes(b"\xff{"), "not UTF-8"),
        (lambda run: (run / "environment.json").write_text("[1]"), "schema_version None"),
        (
            lambda run: (run / "results.csv").write_text("a,b\n1,2\n"),
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
