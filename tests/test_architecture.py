"""Who imports whom: tests all, reports two modules of bench, bench the names of kernels, kernels nobody.

Every Python file of the repository is parsed, none is run. `violations` judges one file's text, so that the
checker is itself tested on texts that break the rules.
"""

import ast
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

import kernels
from kernels import IMPLEMENTATIONS
from tests import ROOT

OURS = ("kernels", "bench", "reports", "tests")
PUBLIC = frozenset(kernels.__all__)
IMPLEMENTATION_MODULES = frozenset(getattr(entry.module, "__name__", "") for entry in IMPLEMENTATIONS.values())
REPORTS_MAY_IMPORT = ("bench.results.folder", "bench.commands.comparing")
FREE_OF_TORCH = (
    "bench.results.folder",
    "bench.commands.comparing",
    "bench.commands.turns",
    "bench.results.export",
    "bench.commands.gate",
    "bench.results.merge",
    "bench.results.recovery",
    "bench.case.shards",
    "bench.cost.complexity",
    "bench.cost.network_counts",
    "bench.commands.table",
    "bench.cost.chips",
    "bench.cost.bounds",
    "bench.samples",
    "reports",
)


@dataclass(frozen=True)
class Import:
    """`from module import name`, or `import module` where there is no name; relative ones made absolute."""

    line: int
    module: str
    name: str | None
    relative: bool

    @property
    def target(self) -> str:
        """The dotted path of what is imported, be it a module or a name in one."""
        return self.module if self.name is None else f"{self.module}.{self.name}"


def module_of(path: Path) -> str:
    """The dotted name of a file relative to the root."""
    parts = path.with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def imports_of(tree: ast.AST, path: Path) -> Iterator[Import]:
    """Every import of a file, at whatever depth, those of import_module with a literal name among them."""
    package = path.parts[:-1]
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield Import(node.lineno, alias.name, None, relative=False)
        elif isinstance(node, ast.ImportFrom):
            base = package[: len(package) - node.level + 1] if node.level else ()
            module = ".".join([*base, *([node.module] if node.module else [])])
            for alias in node.names:
                yield Import(node.lineno, module, alias.name, relative=node.level > 0)
        elif isinstance(node, ast.Call) and ast.unparse(node.func).endswith(("import_module", "__import__")):
            literals = [argument.value for argument in node.args if isinstance(argument, ast.Constant)]
            for name in literals[:1]:
                yield Import(node.lineno, str(name), None, relative=False)


def is_within(name: str, package: str) -> bool:
    """Whether a dotted name is a package's or inside it."""
    return name == package or name.startswith(f"{package}.")


def owner_of(name: str) -> str | None:
    """The implementation that a dotted name belongs to."""
    return next((module for module in sorted(IMPLEMENTATION_MODULES) if is_within(name, module)), None)


def fault_of(one: Import, module: str) -> str | None:
    """Why a module may not import something, None where it may."""
    top, imported = (name.partition(".")[0] for name in (module, one.module))
    if imported == "torch" and any(is_within(module, free) for free in FREE_OF_TORCH):
        return f"{module} must be free of torch"
    if top == "tests" and imported == "tests":
        return fault_in_tests(one)
    if imported not in OURS or top == "tests":
        return None
    if top == "kernels":
        return fault_in_kernels(one, module)
    allowed = imported == top
    if top == "reports":
        allowed |= any(is_within(one.target, name) for name in REPORTS_MAY_IMPORT)
    if top == "bench":
        allowed |= one.module == "kernels" and one.name in {None, *PUBLIC}
    return None if allowed else f"{top} may not import {one.target}"


def fault_in_tests(one: Import) -> str | None:
    """A test module or a conftest is imported by pytest alone; what others share is in tests.support."""
    if any(part == "conftest" or part.startswith("test_") for part in one.target.split(".")):
        return f"tests may not import {one.target}: what they share is in tests.support"
    return None


def fault_in_kernels(one: Import, module: str) -> str | None:
    """`kernels` imports itself alone, relatively, and an implementation no other implementation."""
    if not one.relative or not is_within(one.module, "kernels"):
        return f"kernels may not import {one.target}: relative imports of its own modules only"
    importer, imported = owner_of(module), owner_of(one.target)
    if importer is not None and imported is not None and importer != imported:
        return f"{importer} may not import {imported}, another implementation"
    return None


def violations(source: str, path: Path) -> list[str]:
    """What breaks the rules in a file's text: imports against the direction, and edits of sys.path."""
    tree, module = ast.parse(source), module_of(path)
    found = []
    for one in imports_of(tree, path):
        fault = fault_of(one, module)
        if fault is not None:
            found.append(f"{path}:{one.line}: {fault}")
        if one.target == "sys.path":
            found.append(f"{path}:{one.line}: sys.path must be left alone")
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
            found += attribute_faults(node, node.value.id, path)
    return found


def attribute_faults(node: ast.Attribute, owner: str, path: Path) -> list[str]:
    """What is wrong with reading `owner.attribute`."""
    where = f"{path}:{node.lineno}"
    if (owner, node.attr) == ("sys", "path"):
        return [f"{where}: sys.path must be left alone"]
    if path.parts[0] == "bench" and owner == "kernels" and node.attr not in PUBLIC:
        return [f"{where}: bench may not use kernels.{node.attr}"]
    return []


def python_files() -> list[Path]:
    """Every file that git tracks or would track, relative to the root."""
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard", "*.py"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    return [Path(line) for line in listed.stdout.splitlines() if (ROOT / line).exists()]


def test_every_file_keeps_to_the_direction() -> None:
    files = python_files()
    assert {"kernels/functional.py", "tests/test_architecture.py"} <= {path.as_posix() for path in files}
    assert [fault for path in files for fault in violations((ROOT / path).read_text(), path)] == []


BROKEN = {
    "kernels absolutely": ("kernels/layer.py", "from kernels.problem import Problem"),
    "kernels of bench": ("kernels/layer.py", "import bench.results.folder"),
    "kernels of tests, inside a function": ("kernels/layer.py", "def f():\n    from tests import oracle"),
    "an implementation of another": ("kernels/implementations/chunked/__init__.py", "from .unfold import run"),
    "an implementation of another, as a name": ("kernels/implementations/chunked/__init__.py", "from . import unfold"),
    "a package of an implementation": ("kernels/implementations/triton_fused/forward.py", "from ..compiled import run"),
    "an implementation by import_module": (
        "kernels/implementations/chunked/__init__.py",
        "import_module('kernels.implementations.unfold')",
    ),
    "bench of internals": ("bench/run/worker_process.py", "from kernels.problem import Problem"),
    "bench of an internal module": ("bench/run/worker_process.py", "from kernels import registry"),
    "bench of a submodule": ("bench/run/worker_process.py", "import kernels.implementations.unfold as unfold"),
    "bench of an internal module, as an attribute": ("bench/run/worker_process.py", "kernels.registry.resolve()"),
    "bench of reports": ("bench/measure/runner.py", "from reports import tables"),
    "bench of tests": ("bench/run/worker_process.py", "from tests.support.oracle import local_relation"),
    "reports of kernels": ("reports/sections/rows.py", "import kernels"),
    "reports of the runner": ("reports/sections/rows.py", "from bench import runner"),
    "reports of a longer name": ("reports/sections/rows.py", "from bench.results_of_old import x"),
    "reports of torch": ("reports/drawing/plots.py", "import torch"),
    "results of torch": ("bench/results/folder.py", "from torch import Tensor"),
    "complexity of torch": ("bench/cost/complexity.py", "import torch.nn"),
    "tests of another test": ("tests/test_x.py", "from tests.bench.test_y import case"),
    "tests of a conftest": ("tests/support/x.py", "from tests.bench.conftest import case"),
    "a test as a module": ("tests/support/x.py", "import tests.bench.conftest"),
    "sys.path": ("tests/conftest.py", "import sys\nsys.path.insert(0, '.')"),
    "sys.path by name": ("bench/__main__.py", "from sys import path"),
    "sys.path by assignment": ("reports/__main__.py", "import sys\nsys.path = []"),
}


@pytest.mark.parametrize(("path", "source"), BROKEN.values(), ids=BROKEN.keys())
def test_violations_are_found(path: str, source: str) -> None:
    assert len(violations(source, Path(path))) == 1


ALLOWED = {
    "kernels relatively": ("kernels/layer.py", "from .problem import Problem"),
    "kernels from a subpackage": ("kernels/implementations/triton_fused/forward.py", "from ..problem import Problem"),
    "a part of an implementation of its own": (
        "kernels/implementations/triton_fused/launch.py",
        "from .forward import kernel",
    ),
    "kernels of torch": ("kernels/layer.py", "import torch"),
    "bench of public names": ("bench/run/worker_process.py", "from kernels import Problem, local_relation"),
    "bench of kernels": ("bench/run/worker_process.py", "import kernels\nkernels.local_relation(*inputs)"),
    "bench of itself": (
        "bench/run/worker_process.py",
        "from bench.results.folder import PARAMETERS\nfrom . import timing",
    ),
    "reports of results": (
        "reports/sections/rows.py",
        "from bench.results.folder import PARAMETERS\nfrom bench import compare",
    ),
    "tests of what they share": ("tests/bench/test_x.py", "from tests.support.bench_cases import case"),
    "tests of anything": (
        "tests/kernels/test_x.py",
        "from kernels.implementations.unfold import run\nimport bench.measure.runner",
    ),
}


@pytest.mark.parametrize(("path", "source"), ALLOWED.values(), ids=ALLOWED.keys())
def test_what_is_allowed_passes(path: str, source: str) -> None:
    assert violations(source, Path(path)) == []
