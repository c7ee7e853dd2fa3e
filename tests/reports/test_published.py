"""The page on the published runs, and the other forms of the command."""

import re
from pathlib import Path

import pytest
from typer import Typer
from typer.testing import CliRunner

from reports.__main__ import main
from tests.support.report_rows import ENVIRONMENT, MakeRun, case, failed, sweep

PUBLISHED = Path("reports", "published")
HOSTILE = "<script>window.harmed = true</script>"


def command(*arguments: object) -> tuple[int, str, str]:
    app = Typer()
    app.command()(main)
    result = CliRunner().invoke(app, list(map(str, arguments)))
    assert result.exception is None or isinstance(result.exception, SystemExit), repr(result.exception)
    return result.exit_code, result.stdout, result.stderr


def test_index_tells_of_every_run(make_run: MakeRun) -> None:
    old = make_run(
        [case(1.0), case(0.5, implementation=HOSTILE), failed("error", "no", m=1)],
        "first run",
        {**ENVIRONMENT, "started": "2025-01-02T03:04:05+00:00"},
    )
    make_run([case(1.0, device="NVIDIA H200")], "second", {**ENVIRONMENT, "started": "2026-01-02T03:04:05+00:00"})
    make_run([], "third", {})
    (old / "report").mkdir()
    (old / "report" / "index.html").touch()
    code, printed, _ = command("--index", old.parent)
    assert (code, printed.split()) == (0, ["index", str(old.parent / "index.html")])
    page = (old.parent / "index.html").read_text(encoding="utf-8")
    assert re.findall(r"<h2 .*>(.*)</h2>", page) == ["second", "first run", "third"]
    links = re.findall(r'href="([^"#:]*)"', page)
    assert links == [
        *(f"second/{name}" for name in ("results.csv", "environment.json")),
        *(f"first%20run/{name}" for name in ("report/index.html", "results.csv", "environment.json")),
        *(f"third/{name}" for name in ("results.csv", "environment.json")),
    ]
    for text in ("NVIDIA H200", "2 ok, 1 error", "torch 2.13.0", "<code>python -m bench run axes</code>", "2025-01-02"):
        assert text in page
    assert HOSTILE not in page
    assert "&lt;script&gt;window" in page


def test_index_of_the_published_runs_names_them_all() -> None:
    page = (PUBLISHED / "index.html").read_text(encoding="utf-8")
    runs = {path.parent.name for path in PUBLISHED.glob("*/environment.json")}
    assert set(re.findall(r"<h2 .*>(.*)</h2>", page)) == runs, (
        "make it again: python -m reports --index reports/published"
    )
    links = re.findall(r'href="([^"#:]*)"', page)
    assert [link for link in links if not (PUBLISHED / link).is_file()] == []


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        ([], "give run folders"),
        (["--index", ".", "run"], "give run folders"),
        (["--index", ".", "--figure", "a"], "give run folders"),
        (["--index", "."], "holds no run folders"),
        (["--index", "elsewhere"], "holds no run folders"),
    ],
)
def test_what_makes_no_sense_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, arguments: list[str], told: str
) -> None:
    monkeypatch.chdir(tmp_path)
    code, _, errors = command(*arguments)
    assert code == 2
    assert told in errors
    assert list(tmp_path.iterdir()) == []


def test_one_figure_alone(make_run: MakeRun, tmp_path: Path) -> None:
    run = make_run(sweep({"unfold": 1.0, "triton": 9.0}))
    code, _, errors = command(run, "--figure", "axis")
    assert (code, len(errors.splitlines())) == (2, 1)
    assert "no figure 'axis'" in errors
    assert command(run)[0] == 0
    names = sorted(path.stem for path in (run / "report" / "plots").glob("*.csv"))
    code, printed, _ = command(run, "--figure", names[0], "--out", tmp_path / "out")
    assert (code, [line.split()[0] for line in printed.splitlines()]) == (0, ["svg", "png", "csv"])
    for kind in ("svg", "csv"):
        file = Path("plots", f"{names[0]}.{kind}")
        assert (tmp_path / "out" / file).read_bytes() == (run / "report" / file).read_bytes()
