"""Who imports whom: tests all, reports two modules of bench, bench the names of kernels, kernels nobody.

Every Python file of the repository is parsed, none is run. `violations` judges one file's text, so that the
checker is itself tested on texts that break the rules.
"""

import ast
import subprocess
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

import kernels
from kernels import IMPLEMENTATIONS
from tests import ROOT

OURS = ("kernels", "bench", "reports", "tests")
PUBLIC = frozenset(kernels.__all__)
IMPLEMENTATION_MODULES = frozenset(getattr(entry.module, "__name__", "") for entry in IMPLEMENTATIONS.values())
# What a room of bench may import of the others, and of kernels; "typing" is kernels for the type checker alone. A room
# that is not named is not imported.
ROOMS: Mapping[str, frozenset[str]] = {
    name: frozenset(allowed.split())
    for name, allowed in {
        "errors": "",
        "processes": "",
        "samples": "",
        "locks": "errors",
        "cost": "typing",
        "results": "cost samples locks errors",
        "device": "kernels cost samples locks errors",
        "case": "kernels cost results device errors",
        "measure": "kernels cost results device case samples errors",
        "run": "kernels cost results device case measure samples locks processes errors",
        "offline": "kernels cost results case processes errors",
        "profile": "kernels cost results device case measure run offline samples locks processes errors",
        "learn": "kernels case device results locks errors",
        "commands": "kernels cost results device case measure run offline profile learn samples locks processes errors",
        "__main__": "kernels cost results device case measure run offline profile learn commands processes errors",
        "console": "__main__ errors",
    }.items()
}
# Errors are a leaf, and those of a run folder are raised by bench.results.
REPORTS_MAY_IMPORT = ("bench.results", "bench.errors", "bench.SUITE", "bench.REPORTS")
PLACES = ("INSTALLED", "ROOT", "SOURCES", "RUNS", "PUBLISHED", "WORDS", "SUITE", "REPORTS", "module_command")
BENCH_ITSELF = {f"bench.{name}" for name in PLACES}
FREE_OF_TORCH = (
    *("bench.errors", "bench.locks", "bench.processes", "bench.samples", "bench.cost", "bench.results"),
    *("bench.commands.gate", "bench.commands.on_runs", "bench.commands.output", "bench.commands.submit"),
    *("bench.commands.history", "bench.commands.table", "reports"),
)
MOST_FLOORS = 10


@dataclass(frozen=True)
class Import:
    """`from module import name`, or `import module` where there is no name; relative ones made absolute."""

    line: int
    module: str
    name: str | None
    relative: bool
    typing: bool = False

    @property
    def target(self) -> str:
        """The dotted path of what is imported, be it a module or a name in one."""
        return self.module if self.name is None else f"{self.module}.{self.name}"


def module_of(path: Path) -> str:
    """The dotted name of a file relative to the root."""
    parts = path.with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def imports_of(tree: ast.AST, path: Path, *, typing: bool = False) -> Iterator[Import]:
    """Every import of a file, at whatever depth, those of import_module with a literal name among them."""
    package = path.parts[:-1]
    for node in ast.iter_child_nodes(tree):
        only_typing = typing or (isinstance(node, ast.If) and ast.unparse(node.test).endswith("TYPE_CHECKING"))
        yield from imports_of(node, path, typing=only_typing)
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield Import(node.lineno, alias.name, None, relative=False, typing=typing)
        elif isinstance(node, ast.ImportFrom):
            base = package[: len(package) - node.level + 1] if node.level else ()
            module = ".".join([*base, *([node.module] if node.module else [])])
            for alias in node.names:
                yield Import(node.lineno, module, alias.name, relative=node.level > 0, typing=typing)
        elif isinstance(node, ast.Call) and ast.unparse(node.func).endswith(("import_module", "__import__")):
            literals = [argument.value for argument in node.args if isinstance(argument, ast.Constant)]
            for name in literals[:1]:
                yield Import(node.lineno, str(name), None, relative=False, typing=typing)


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
        return fault_in_bench(one, module)
    return None if allowed else f"{top} may not import {one.target}"


def fault_in_bench(one: Import, module: str) -> str | None:
    """A room imports what `ROOMS` says, and of kernels the public names."""
    room = room_of(module)
    if is_within(one.module, "kernels"):
        public = one.module == "kernels" and one.name in {None, *PUBLIC}
        known = "kernels" in ROOMS.get(room, ()) or ("typing" in ROOMS.get(room, ()) and one.typing)
        return None if public and known else f"{module} may not import {one.target}"
    if not is_within(one.module, "bench"):
        return f"{module} may not import {one.target}"
    other = room_of(one.target)
    if other not in ROOMS:  # bench itself, which holds places and names alone
        return None if one.target in BENCH_ITSELF else f"{module} may not import {one.target}"
    allowed = room == other or other in ROOMS.get(room, ())
    return None if allowed else f"{module} may not import {one.target}: {room} is not above {other}"


def room_of(name: str) -> str:
    """The room of bench that a dotted name is in."""
    return [*name.split("."), ""][1]


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


def graph(package: str, *, rooms: bool) -> dict[str, set[str]]:
    """Which modules of a package, or which of its rooms, import which; typing imports count."""
    files = {module_of(path): path for path in python_files() if path.parts[0] == package}
    found: dict[str, set[str]] = {}
    for module, path in files.items():
        for one in imports_of(ast.parse((ROOT / path).read_text()), path):
            target = one.target if one.target in files else one.module
            if target not in files or target == package:
                continue
            ends = [room_of(name) if rooms else name for name in (module, target)]
            found.setdefault(ends[0], set())
            if ends[0] != ends[1]:
                found[ends[0]].add(ends[1])
    return found


def floors(arrows: Mapping[str, set[str]]) -> list[list[str]]:
    """What stands on nothing, what stands on that alone, and so on. A circle raises graphlib.CycleError."""
    height: dict[str, int] = {}
    for name in TopologicalSorter(arrows).static_order():
        height[name] = 1 + max((height[below] for below in arrows.get(name, ())), default=-1)
    return [sorted(name for name, at in height.items() if at == floor) for floor in range(max(height.values()) + 1)]


def test_rooms_stand_on_few_floors() -> None:
    found = floors(graph("bench", rooms=True))
    print(*(f"{number}: {', '.join(names)}" for number, names in enumerate(found)), sep="\n")  # noqa: T201
    assert {name for names in found for name in names} == set(ROOMS)
    assert len(found) <= MOST_FLOORS
    assert found[-2:] == [["__main__"], ["console"]]


@pytest.mark.parametrize("package", ["bench", "reports"])
def test_no_module_is_in_a_circle(package: str) -> None:
    assert len(floors(graph(package, rooms=False))) > 1


def test_a_circle_is_found() -> None:
    with pytest.raises(CycleError):
        floors({"a": {"b"}, "b": {"c"}, "c": {"a"}})
    assert floors({"a": {"b", "c"}, "b": {"c"}}) == [["c"], ["b"], ["a"]]


def test_what_is_free_of_torch_loads_without_it() -> None:
    names = [one for one in map(module_of, python_files()) if any(is_within(one, free) for free in FREE_OF_TORCH)]
    loaded = [name for name in names if not name.endswith("__main__")]
    code = f"import sys, {', '.join(loaded)}; print(*{{'torch', 'kernels', 'triton'}} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False)
    assert (done.stdout.strip(), done.returncode) == ("", 0), done.stderr


def test_implementations_are_all_that_their_folder_holds() -> None:
    held = {
        path.parts[2].removesuffix(".py") for path in python_files() if path.parts[:2] == ("kernels", "implementations")
    }
    assert held - {"__init__"} == {module.rpartition(".")[2] for module in IMPLEMENTATION_MODULES}


BROKEN = {
    "kernels absolutely": ("kernels/layer.py", "from kernels.problem import Problem"),
    "kernels of bench": ("kernels/layer.py", "import bench.results.folder"),
    "kernels of tests, inside a function": ("kernels/layer.py", "def f():\n    from tests import oracle"),
    "an implementation of another": ("kernels/implementations/compiled.py", "from .unfold import run"),
    "an implementation of another, as a name": ("kernels/implementations/compiled.py", "from . import unfold"),
    "a package of an implementation": ("kernels/implementations/triton_fused/forward.py", "from ..compiled import run"),
    "an implementation by import_module": (
        "kernels/implementations/chunked/__init__.py",
        "import_module('kernels.implementations.unfold')",
    ),
    "bench of internals": ("bench/run/worker_process.py", "from kernels.problem import Problem"),
    "bench of an internal module": ("bench/run/worker_process.py", "from kernels import registry"),
    "bench of a submodule": ("bench/run/worker_process.py", "import kernels.implementations.unfold as unfold"),
    "bench of an internal module, as an attribute": ("bench/run/worker_process.py", "kernels.registry.resolve()"),
    "bench of reports": ("bench/measure/runner.py", "from reports import report"),
    "bench of tests": ("bench/run/worker_process.py", "from tests.support.oracle import local_relation"),
    "errors of anything": ("bench/errors.py", "from .locks import locked"),
    "processes of anything": ("bench/processes.py", "from .errors import in_a_line"),
    "samples of anything": ("bench/samples.py", "from .errors import in_a_line"),
    "locks of more than errors": ("bench/locks.py", "from .results.folder import RunFolder"),
    "cost of kernels, not for typing": ("bench/cost/bounds.py", "from kernels import Problem"),
    "cost of cases": ("bench/cost/metrics.py", "from ..case.case import Case"),
    "results of cases, for typing": (
        "bench/results/folder.py",
        "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    from ..case.case import Case",
    ),
    "device of cases": ("bench/device/doctor.py", "from ..case.case import Case"),
    "case of measuring": ("bench/case/case.py", "from ..measure.yardsticks import TIMED"),
    "measure of runs": ("bench/measure/runner.py", "from ..run.schedule import Conduct"),
    "run of commands": ("bench/run/run.py", "from ..commands.progress import reporting"),
    "offline of measuring": ("bench/offline/examine.py", "from ..measure.workloads import draw"),
    "profile of commands": ("bench/profile/command.py", "from ..commands.run import run_sweep"),
    "learn of measuring": ("bench/learn/training.py", "from ..measure.workloads import draw"),
    "commands of the main module": ("bench/commands/run.py", "from ..__main__ import app"),
    "a room that is not known": ("bench/attic/old.py", "from ..errors import Exit"),
    "a file of bench beside the rooms": ("bench/measure/runner.py", "from .. import session"),
    "results of a longer name": ("bench/results/folder.py", "from bench.costs import x"),
    "reports of kernels": ("reports/sections/rows.py", "import kernels"),
    "reports of the runner": ("reports/sections/rows.py", "from bench.measure import runner"),
    "reports of a longer name": ("reports/sections/rows.py", "from bench.results_of_old import x"),
    "reports of torch": ("reports/drawing/plots.py", "import torch"),
    "results of torch": ("bench/results/folder.py", "from torch import Tensor"),
    "complexity of torch": ("bench/cost/complexity.py", "import torch.nn"),
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
    "cost of kernels for typing": (
        "bench/cost/bounds.py",
        "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    from kernels import Problem",
    ),
    "a room of itself and of one below": ("bench/run/slot.py", "from .worker import Worker\nfrom ..locks import owned"),
    "bench of the checkout's place": ("bench/profile/nsight.py", "from .. import ROOT"),
    "main of a command": ("bench/__main__.py", "from .commands.run import run_sweep"),
    "reports of results": (
        "reports/sections/rows.py",
        "from bench.results.columns import PARAMETERS\nfrom bench.errors import RunFolderError",
    ),
    "tests of anything": (
        "tests/kernels/test_x.py",
        "from kernels.implementations.unfold import run\nimport bench.measure.runner",
    ),
}


@pytest.mark.parametrize(("path", "source"), ALLOWED.values(), ids=ALLOWED.keys())
def test_what_is_allowed_passes(path: str, source: str) -> None:
    assert violations(source, Path(path)) == []
