"""Tests are collected where packages are missing that a few of them need: a GPU's machine may have pytest alone.

What a file imports as it is loaded is followed through our modules; none is run.
"""

import ast
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from tests import ROOT

OPTIONAL = frozenset(
    {"axe_playwright_python", "hypothesis", "jsonschema", "playwright", "ray", "sklearn", "xdist", "yaml"}
)
TESTS = sorted(path for path in (ROOT / "tests").rglob("*.py") if path.name.startswith(("test_", "conftest")))


def loaded(body: list[ast.stmt]) -> Iterator[ast.stmt]:
    """The statements that run as a module is loaded: not those of functions, not those for the type checker."""
    for one in body:
        yield one
        if isinstance(one, ast.If) and ast.unparse(one.test).endswith("TYPE_CHECKING"):
            continue
        if not isinstance(one, ast.FunctionDef | ast.AsyncFunctionDef):
            for name in ("body", "orelse", "handlers", "finalbody"):
                yield from loaded([inner for inner in getattr(one, name, []) if isinstance(inner, ast.stmt)])


def names_of(one: ast.stmt, package: list[str]) -> list[str]:
    """The dotted names that a statement imports, be they modules or names in them; relative ones made absolute."""
    if isinstance(one, ast.Import):
        return [alias.name for alias in one.names]
    if isinstance(one, ast.ImportFrom):
        base = package[: len(package) - one.level + 1] if one.level else []
        module = ".".join([*base, *([one.module] if one.module else [])])
        return [f"{module}.{alias.name}" for alias in one.names]
    return []


def file_of(name: str, root: Path) -> Path | None:
    """The file of one of our modules."""
    place = root.joinpath(*name.split("."))
    return next((file for file in (place.with_suffix(".py"), place / "__init__.py") if file.is_file()), None)


@dataclass(frozen=True)
class Loaded:
    """What a file does as it is loaded: packages it imports, packages it asks pytest for, files of ours it loads."""

    needed: frozenset[str]
    asked: frozenset[str]
    files: frozenset[Path]


@cache
def read(file: Path, root: Path) -> Loaded:
    """One file by itself; what it asks for first, it does not need."""
    needed, asked, files = set[str](), set[str](), set[Path]()
    for one in loaded(ast.parse(file.read_text()).body):
        value = getattr(one, "value", None)
        if isinstance(value, ast.Call) and ast.unparse(value.func) == "pytest.importorskip":
            asked.add(ast.literal_eval(value.args[0]))
        for name in names_of(one, list(file.relative_to(root).parent.parts)):
            parts = name.split(".")
            needed |= (OPTIONAL & {parts[0]}) - asked
            files |= {found for end in range(len(parts)) if (found := file_of(".".join(parts[: end + 1]), root))}
    return Loaded(frozenset(needed), frozenset(asked), frozenset(files))


def needs(file: Path, root: Path = ROOT) -> set[str]:
    """The optional packages without which a file, or one that it loads, is not loaded."""
    seen, left, needed = set[Path](), [file], set[str]()
    while left:
        one = left.pop()
        seen.add(one)
        needed |= read(one, root).needed
        left += read(one, root).files - seen
    return needed - read(file, root).asked


def test_all_are_collected_without_what_few_need() -> None:
    assert len(TESTS) > 100
    assert {file.relative_to(ROOT).as_posix(): found for file in TESTS if (found := needs(file))} == {}


def test_a_package_that_is_needed_is_found_behind_a_module(tmp_path: Path) -> None:
    (tmp_path / "ours").mkdir()
    (tmp_path / "ours/learned.py").write_text("from sklearn.datasets import load_digits\n")
    (tmp_path / "ours/late.py").write_text("def load():\n    import ray\n")
    bare, asking = tmp_path / "bare.py", tmp_path / "asking.py"
    bare.write_text("from ours import late, learned\n")
    asking.write_text("import pytest\npytest.importorskip('sklearn')\nfrom ours.learned import load_digits\n")
    assert needs(bare, tmp_path) == {"sklearn"}
    assert needs(asking, tmp_path) == set()
