"""What the documentation is made of and speaks of: pages, commands, sessions of noxfile.py."""

import ast
import csv
import importlib
import importlib.util
from collections.abc import Mapping
from functools import cache
from typing import Any

import typer

from tests import ROOT

PROGRAMS = ("bench", "reports")


def pages() -> dict[str, str]:
    """The text of every page, by its path from the root."""
    top = [ROOT / name for name in ("README.md", "CHANGELOG.md", "CONTRIBUTING.md")]
    paths = [*top, *sorted((ROOT / "docs").glob("*.md"))]
    return {path.relative_to(ROOT).as_posix(): path.read_text(encoding="utf-8") for path in paths}


@cache
def program(module: str) -> Any:
    """The click command of `python -m MODULE`."""
    found = importlib.util.find_spec(module)
    package = found is not None and found.submodule_search_locations is not None
    loaded = importlib.import_module(f"{module}.__main__" if package else module)
    app = getattr(loaded, "app", None)
    if app is None:
        app = typer.Typer(add_completion=False)
        app.command()(loaded.main)
    return typer.main.get_command(app)


def sessions() -> Mapping[str, ast.FunctionDef]:
    """The sessions of noxfile.py, by name."""
    functions = [
        node for node in ast.parse((ROOT / "noxfile.py").read_text()).body if isinstance(node, ast.FunctionDef)
    ]
    return {one.name: one for one in functions if any("nox.session" in ast.unparse(d) for d in one.decorator_list)}


def behind(session: ast.FunctionDef) -> list[str]:
    """The command of a session's first `session.run("python", "-m", …)`, after these; empty where there is none."""
    for node in ast.walk(session):
        if isinstance(node, ast.Call) and ast.unparse(node.func) == "session.run":
            words = [word.value for word in node.args if isinstance(word, ast.Constant) and isinstance(word.value, str)]
            if words[:2] == ["python", "-m"]:
                return words[2:]
    return []


def recorded() -> list[dict[str, str]]:
    """The counts of the compiled kernels that are recorded for the version of Triton that the tests passed with."""
    (path,) = (ROOT / "bench").rglob("offline_record.csv")
    with path.open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    pins = dict(line.split("==") for line in (ROOT / "constraints.txt").read_text().splitlines() if "==" in line)
    return [row for row in rows if row["triton"] == pins["triton"]]
