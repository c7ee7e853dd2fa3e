"""The command: where a report goes, what it refuses, and what it imports."""

import csv
import subprocess
import sys
from pathlib import Path

import pytest

from reports.data.rows import load_run
from reports.folder import OutputError
from reports.output import write_report
from tests.support.report_pages import page_of, report
from tests.support.report_rows import MakeRun, case, failed


def test_new_report_takes_the_place_of_the_old(make_run: MakeRun) -> None:
    run = make_run([failed("error", "no")])
    page_of(run)
    (run / "report" / "plots" / "old.png").touch()
    page_of(run)
    assert not (run / "report" / "plots" / "old.png").exists()


def test_folder_of_others_is_left_alone(make_run: MakeRun, tmp_path: Path) -> None:
    run = make_run([case(1.0)])
    code, _, errors = report(run, "--out", str(run))
    assert (code, len(errors.splitlines())) == (2, 1)
    assert "no part of a report" in errors
    (tmp_path / "file").touch()
    assert report(run, "--out", str(tmp_path / "file"))[0] == 2
    assert (run / "results.csv").exists()


def test_failure_leaves_the_old_report(make_run: MakeRun, monkeypatch: pytest.MonkeyPatch) -> None:
    run = make_run([case(1.0)])
    page_of(run)

    def fail(_: object) -> str:
        raise OutputError("no page")

    monkeypatch.setattr("reports.output.render", fail)
    with pytest.raises(OutputError):
        write_report([load_run(run, "run")], run / "report")
    assert (run / "report" / "index.html").exists()
    assert {path.name for path in run.iterdir() if path.is_dir()} == {"report"}


def test_several_runs_need_a_folder(make_run: MakeRun, tmp_path: Path) -> None:
    first = make_run([case(1.0)], "first")
    second = make_run([case(1.0)], "second", {"versions": {"torch": "2.14.0"}})
    code, _, errors = report(first, str(second))
    assert (code, errors.splitlines()) == (2, [errors.strip()])
    assert "--out" in errors
    assert report(first, str(second), "--out", str(tmp_path / "out"))[0] == 0
    page = (tmp_path / "out" / "index.html").read_text(encoding="utf-8")
    assert "The runs differ in versions.torch." in page
    assert "cpu, run second" in page
    with (tmp_path / "out" / "tables" / "rows.csv").open(newline="", encoding="utf-8") as file:
        assert [row["device"] for row in csv.DictReader(file)] == ["cpu, run first", "cpu, run second"]


def test_misspelt_folder_is_one_line(tmp_path: Path) -> None:
    code, _, errors = report(tmp_path / "rnu")
    assert (code, len(errors.splitlines())) == (2, 1)
    assert "is not a folder" in errors


def test_torch_and_kernels_are_not_imported(make_run: MakeRun) -> None:
    run = make_run([case(1.0), case(2.0, m=1)])
    code = (
        "import sys; from pathlib import Path; from reports.__main__ import main; "
        f"main([Path({str(run)!r})]); "
        "sys.exit(bool({'torch', 'triton', 'kernels'} & sys.modules.keys()))"
    )
    subprocess.run([sys.executable, "-c", code], check=True, capture_output=True)


def test_help_is_quick_to_import() -> None:
    code = (
        "import sys, reports.__main__; sys.exit(bool({'matplotlib', 'pandas', 'scipy', 'jinja2'} & sys.modules.keys()))"
    )
    subprocess.run([sys.executable, "-c", code], check=True, capture_output=True)
