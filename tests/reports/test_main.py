"""The commands: what they refuse, and what they import."""

import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.report_pages import command
from tests.support.report_rows import MakeRun, case


def test_misspelt_folder_is_one_line(tmp_path: Path) -> None:
    code, _, errors = command(tmp_path / "rnu")
    assert (code, len(errors.splitlines())) == (2, 1)
    assert "is not a folder" in errors


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


def test_torch_and_kernels_are_not_imported(make_run: MakeRun) -> None:
    run = make_run([case(1.0), case(2.0, m=1)])
    code = (
        "import sys; from pathlib import Path; from reports.__main__ import main; "
        f"main([Path({str(run)!r})]); "
        "sys.exit(bool({'torch', 'triton', 'kernels'} & sys.modules.keys()))"
    )
    subprocess.run([sys.executable, "-c", code], check=True, capture_output=True)


def test_help_waits_for_no_library_of_numbers() -> None:
    code = (
        "import sys, reports.__main__; "
        "sys.exit(bool({'torch', 'matplotlib', 'pandas', 'numpy', 'scipy', 'jinja2'} & sys.modules.keys()))"
    )
    subprocess.run([sys.executable, "-c", code], check=True, capture_output=True)
    done = subprocess.run([sys.executable, "-m", "reports", "--help"], check=True, capture_output=True, text=True)
    assert "RUN" in done.stdout
