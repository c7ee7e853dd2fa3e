"""The wheel in an environment of its own: a stranger's first run, its report, and a checked program."""

import csv
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests import ROOT
from tests.support.built import Built

pytestmark = [pytest.mark.slow, pytest.mark.extended]

Call = Callable[..., subprocess.CompletedProcess[str]]
PROGRAM = """
from torch import Tensor, zeros
from local_relation import LocalRelation2d, local_relation

layer = LocalRelation2d(16, kernel_size=3, m=8)
y: Tensor = local_relation(zeros(1), zeros(1), zeros(1), None, kernel_size=3, m="eight")
reveal_type(layer)
"""


@pytest.fixture(scope="module")
def call(built: Built, tmp_path_factory: pytest.TempPathFactory) -> Call:
    """Runs a program of a new environment that holds the wheel with the suite's extra, and mypy, in a folder."""
    folder = tmp_path_factory.mktemp("environment")
    subprocess.run([sys.executable, "-m", "venv", str(folder)], check=True)
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("PYTHON", "VIRTUAL_ENV"))}

    def run(program: str, *words: str, cwd: Path = folder) -> subprocess.CompletedProcess[str]:
        line = [str(folder / "bin" / program), *words]
        return subprocess.run(line, cwd=cwd, env=kept, check=False, capture_output=True, text=True)

    tested = ("--quiet", "--constraint", str(ROOT / "constraints.txt"))
    done = run("pip", "install", *tested, f"local-relation[bench] @ {built.wheel.as_uri()}", "mypy")
    assert done.returncode == 0, done.stderr
    return run


def test_a_run_and_its_report(call: Call, tmp_path: Path) -> None:
    problem = [word for axis in ("k=3", "m=8", "C=32", "hw=14", "s=1") for word in ("-a", axis)]
    words = ("--implementation", "unfold,compiled", "--mode", "forward", "--seconds", "0.05", "--device", "cpu")
    done = call("local-relation-bench", "run", "quick", *problem, *words, "--report", cwd=tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr
    (run,) = (tmp_path / "runs").iterdir()
    with (run / "results.csv").open(newline="", encoding="utf-8") as file:
        ended = [(row["implementation"], row["status"]) for row in csv.DictReader(file)]
    assert ended == [("unfold", "ok"), ("compiled", "ok")]
    assert "`python -m" not in (run / "report" / "report.md").read_text(encoding="utf-8")
    assert (run / "report" / "index.html").is_file()
    assert [path.name for path in tmp_path.iterdir()] == ["runs"]
    again = call("local-relation-bench", "report", str(run.relative_to(tmp_path)), "--out", "page", cwd=tmp_path)
    assert (again.returncode, (tmp_path / "page" / "index.html").is_file()) == (0, True), again.stderr
    same = call("local-relation-bench", "compare", str(run), str(run), cwd=tmp_path)
    assert "1.000 over 2 pairs" in same.stdout, same.stderr


def test_its_types_are_known(call: Call, tmp_path: Path) -> None:
    (tmp_path / "program.py").write_text(PROGRAM, encoding="utf-8")
    done = call("mypy", "--strict", "program.py", cwd=tmp_path)
    assert done.stdout.splitlines() == [
        'program.py:6: error: Argument "m" to "local_relation" has incompatible type "str"; expected "int"  [arg-type]',
        'program.py:7: note: Revealed type is "local_relation.layer.LocalRelation2d"',
        "Found 1 error in 1 file (checked 1 source file)",
    ]


def test_no_module_is_called_as_in_a_checkout(call: Call, tmp_path: Path) -> None:
    question = "from importlib.util import find_spec as find; print(find('kernels'), find('bench'), find('reports'))"
    assert call("python", "-c", question, cwd=tmp_path).stdout == "None None None\n"
