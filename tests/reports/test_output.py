"""Where a report goes, what it replaces, and one figure alone."""

import csv
from pathlib import Path

import pytest

from reports.data.rows import load_run
from reports.errors import OutputError
from reports.output import write_report
from tests.support.report_pages import command, page_of
from tests.support.report_rows import MakeRun, case, failed


@pytest.mark.usefixtures("undrawn")
def test_new_report_takes_the_place_of_the_old(make_run: MakeRun) -> None:
    run = make_run([failed("error", "no")])
    page_of(run)
    (run / "report" / "plots" / "old.png").touch()
    page_of(run)
    assert not (run / "report" / "plots" / "old.png").exists()


def test_folder_of_others_is_left_alone(make_run: MakeRun, tmp_path: Path) -> None:
    run = make_run([case(1.0)])
    code, _, errors = command(run, "--out", str(run))
    assert (code, len(errors.splitlines())) == (2, 1)
    assert "no part of a report" in errors
    (tmp_path / "file").touch()
    assert command(run, "--out", str(tmp_path / "file"))[0] == 2
    assert (run / "results.csv").exists()


@pytest.mark.usefixtures("undrawn")
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


@pytest.mark.usefixtures("undrawn")
def test_several_runs_need_a_folder(make_run: MakeRun, tmp_path: Path) -> None:
    first = make_run([case(1.0)], "first")
    second = make_run([case(1.0)], "second", {"versions": {"torch": "2.14.0"}})
    code, _, errors = command(first, str(second))
    assert (code, errors.splitlines()) == (2, [errors.strip()])
    assert "--out" in errors
    assert command(first, str(second), "--out", str(tmp_path / "out"))[0] == 0
    page = (tmp_path / "out" / "index.html").read_text(encoding="utf-8")
    assert "The runs differ in versions.torch." in page
    assert "cpu, run second" in page
    with (tmp_path / "out" / "tables" / "rows.csv").open(newline="", encoding="utf-8") as file:
        assert [row["device"] for row in csv.DictReader(file)] == ["cpu, run first", "cpu, run second"]


def test_one_figure_alone(swept: Path, tmp_path: Path) -> None:
    code, _, errors = command(swept, "--figure", "axis")
    assert (code, len(errors.splitlines())) == (2, 1)
    assert "no figure 'axis'" in errors
    for name in ("opening", "axis_operator_kernel-size_forward"):
        code, printed, _ = command(swept, "--figure", name, "--out", tmp_path / "out")
        assert (code, [line.split()[0] for line in printed.splitlines()]) == (0, ["svg", "png", "csv"])
        for kind in ("svg", "csv"):
            file = Path("plots", f"{name}.{kind}")
            assert (tmp_path / "out" / file).read_bytes() == (swept / "report" / file).read_bytes()


def test_the_command_says_where_everything_is(make_run: MakeRun) -> None:
    run = make_run([case(1.0)])
    code, printed, _ = command(run)
    names = {"tables": "tables", "plots": "plots", "text": "report.md", "page": "index.html"}
    assert code == 0
    assert dict(line.split() for line in printed.splitlines()) == {
        what: str(run / "report" / name) for what, name in names.items()
    }
