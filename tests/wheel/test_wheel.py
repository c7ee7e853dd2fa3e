"""The wheel holds the kernels, the suite and the reports under local_relation, and works away from the checkout."""

import ast
import os
import re
import subprocess
import sys
import tarfile
from collections.abc import Iterator
from email.parser import Parser
from pathlib import Path

import pytest
import torch

from bench.errors import Exit
from kernels import local_relation
from tests.support.built import Built, sources

pytestmark = pytest.mark.slow

FOLDERS = {
    "kernels": "local_relation",
    "bench": "local_relation/bench",
    "reports": "local_relation/reports",
}
SUITE = ("-c", "from local_relation.bench.console import main; main()")
PROGRAM = """
import sys
import torch
import local_relation
inputs = torch.load("inputs.pt")
output = local_relation.local_relation(*inputs, kernel_size=3, m=2, implementation="unfold")
torch.save(output, "output.pt")
print(local_relation.__file__)
print("kernels" in sys.modules)
modules = [entry.module.__name__ for entry in local_relation.IMPLEMENTATIONS.values()]
print(all(name.startswith("local_relation.") for name in modules))
"""


def called(installed: Path, folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
    """What Python did with these words in a folder, the unpacked wheel being all that it finds of ours."""
    variables = {**os.environ, "PYTHONPATH": str(installed)}
    return subprocess.run(
        [sys.executable, *words], cwd=folder, env=variables, check=False, capture_output=True, text=True
    )


def modules(installed: Path) -> Iterator[tuple[str, ast.Module]]:
    """Each module of the wheel."""
    for path in sorted(installed.rglob("*.py")):
        yield path.relative_to(installed).as_posix(), ast.parse(path.read_text(encoding="utf-8"))


def test_it_holds_what_the_folders_hold(installed: Path) -> None:
    wanted = {
        f"{FOLDERS[path.parts[0]]}/{Path(*path.parts[1:]).as_posix()}"
        for path in sources()
        if path.parts[0] in FOLDERS and path.suffix != ".md"
    }
    files = {path.relative_to(installed).as_posix() for path in installed.rglob("*") if path.is_file()}
    assert {name for name in files if ".dist-info/" not in name} == wanted
    assert {"local_relation/py.typed", "local_relation/reports/pages/templates/plots.js"} <= wanted


def test_its_metadata_have_licence_extras_and_the_command(installed: Path) -> None:
    (folder,) = installed.glob("local_relation-*.dist-info")
    about = Parser().parsestr((folder / "METADATA").read_text(encoding="utf-8"))
    assert (about["License-Expression"], about["Description-Content-Type"]) == ("MIT", "text/markdown")
    assert set(about.get_all("Provides-Extra", [])) == {"bench", "learn", "ray", "test"}
    assert (folder / "licenses" / "LICENSE").is_file()
    assert "local-relation-bench = local_relation.bench.console:main" in (folder / "entry_points.txt").read_text()


def test_none_of_its_modules_knows_the_names_of_a_checkout(installed: Path) -> None:
    found = []
    for name, tree in modules(installed):
        for node in ast.walk(tree):
            imported = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            if isinstance(node, ast.ImportFrom) and not node.level:
                imported = [str(node.module)]
            found += [f"{name}: {one}" for one in imported if one.partition(".")[0] in FOLDERS]
    assert found == []


def test_the_modules_that_it_starts_are_there(installed: Path) -> None:
    started = {
        str(node.args[0].value)
        for _, tree in modules(installed)
        for node in ast.walk(tree)
        if isinstance(node, ast.Call) and ast.unparse(node.func) == "module_command"
        if isinstance(node.args[0], ast.Constant)
    }
    assert started == {"bench.run.worker_process", "bench.profile.nsight_target", "reports"}
    for name in started:
        path = installed.joinpath("local_relation", *name.split("."))
        assert path.with_suffix(".py").is_file() or (path / "__main__.py").is_file()


def test_no_command_is_named_as_in_a_checkout(installed: Path) -> None:
    """But in docstrings, and in the one place that knows both."""
    found = []
    for name, tree in modules(installed):
        told = {
            id(node.body[0].value)
            for node in ast.walk(tree)
            if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef)
            if node.body and isinstance(node.body[0], ast.Expr)
        }
        found += [
            f"{name}: {node.value}"
            for node in ast.walk(tree)
            if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in told
            if re.search(r"python -m (bench|reports)", node.value)
        ]
    assert found == ["local_relation/bench/__init__.py: python -m reports"]


def test_it_computes_the_same_elsewhere(installed: Path, tmp_path: Path) -> None:
    generator = torch.Generator().manual_seed(0)
    shapes = ((1, 2, 5, 4), (1, 2, 5, 4), (1, 4, 5, 4), (2, 3, 3))
    inputs = [torch.randn(shape, generator=generator) for shape in shapes]
    torch.save(inputs, tmp_path / "inputs.pt")
    done = called(installed, tmp_path, "-c", PROGRAM)
    assert done.returncode == 0, done.stderr
    place, leaked, renamed = done.stdout.split()
    assert Path(place).parent == installed / "local_relation"
    assert (leaked, renamed) == ("False", "True")
    expected = local_relation(*inputs, kernel_size=3, m=2, implementation="unfold")
    assert torch.equal(torch.load(tmp_path / "output.pt"), expected)


def test_its_command_explains_itself(installed: Path, tmp_path: Path) -> None:
    done = called(installed, tmp_path, *SUITE, "--help")
    assert done.returncode == 0, done.stderr
    assert re.search(r"\brun\b.*\breport\b", done.stdout, re.DOTALL)
    of_report = called(installed, tmp_path, *SUITE, "report", "--help")
    assert of_report.returncode == 0, of_report.stderr
    assert "Usage: local-relation-bench report [OPTIONS] [RUN…]..." in of_report.stdout
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("gate", "main"), "error: a gate compares a commit with a working tree: it needs a checkout, and"),
        (("gpu",), "error: the GPU's tests are in a checkout alone: `local-relation-bench gpu --no-tests` measures"),
    ],
    ids=["gate", "gpu"],
)
def test_what_needs_a_checkout_says_so(installed: Path, tmp_path: Path, words: tuple[str, ...], told: str) -> None:
    done = called(installed, tmp_path, *SUITE, *words)
    assert (done.returncode, done.stderr.startswith(told)) == (Exit.USAGE, True), done.stderr
    assert list(tmp_path.iterdir()) == []


def test_without_the_extra_it_says_which(installed: Path, tmp_path: Path) -> None:
    script = "import sys; sys.modules['typer'] = None; from local_relation.bench.console import main; main()"
    done = called(installed, tmp_path, "-c", script, "--help")
    assert done.stderr == 'error: the suite needs typer: pip install "local-relation[bench]"\n'
    assert done.returncode == Exit.USAGE


def test_the_source_distribution_has_tests_and_no_runs(built: Built) -> None:
    with tarfile.open(built.sdist) as archive:
        names = {Path(*Path(name).parts[1:]).as_posix() for name in archive.getnames()}
    assert {"setup.py", "tests/wheel/test_wheel.py", "noxfile.py", "constraints.txt", "docs/README.md"} <= names
    assert [name for name in names if name.startswith(("reports/published/", "reports/runs/"))] == []
