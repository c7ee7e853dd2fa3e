"""Small problems and cases of the suite, and its command run in an empty folder."""

from collections.abc import Callable
from pathlib import Path
from typing import Any, Self

import pytest
import torch
from typer.testing import CliRunner

from bench.__main__ import app
from bench.case.case import Case
from bench.measure.runner import Runner
from bench.run.messages import Setup
from kernels import Problem
from tests.support.measured import Measured

CPU = torch.device("cpu")
every_device = pytest.mark.parametrize(
    "device", [CPU, pytest.param(torch.device("cuda"), marks=pytest.mark.gpu)], ids=["cpu", "cuda"]
)

# Arguments of the command → exit code, what it said on stdout, and on stderr.
Invoke = Callable[..., tuple[int, str, str]]


def problem(**changes: Any) -> Problem:
    """A small problem with "same" padding, m not dividing C, and whatever is to be different."""
    sizes = {"batch": 2, "channels": 6, "height": 5, "width": 4, "kernel_size": 3, "m": 4, "padding": 1}
    return Problem(**{**sizes, **changes})


def case(implementation: str = "chunked", mode: str = "forward", scope: str = "operator", **changes: Any) -> Case:
    """A case of the small problem."""
    return Case(problem(**changes), scope, mode, implementation)


def network_case(implementation: str = "chunked", mode: str = "forward", **changes: Any) -> Case:
    """A case of the smallest network and image."""
    image = {"batch": 2, "channels": 1, "height": 32, "width": 32, "kernel_size": 3, "m": 32, "padding": 1}
    of_networks = {name: changes.pop(name) for name in ("torch_compile",) if name in changes}
    return Case(Problem(**{**image, **changes}), "network", mode, implementation, depth=26, **of_networks)


@pytest.fixture(autouse=True)
def _own_cache(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing that a user has kept, as launch settings or the doctor's roofs, is found by a test."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path_factory.mktemp("cache")))


class InProcess:
    """A worker that is no process: what a test plants here is what is measured."""

    def __init__(self, setup: Setup, *_: Any, **__: Any) -> None:
        self.runner = Runner(torch.device(setup.device), setup.timing)
        self.prepare, self.turn, self.fits = self.runner.prepare, self.runner.turn, self.runner.fits

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def stop(self) -> None:
        pass

    def call(self, function: Callable[..., Any], *arguments: Any) -> Any:
        return function(*arguments)


@pytest.fixture
def runner() -> Measured:
    """Measures a case at once, on the CPU."""
    return Measured()


@pytest.fixture
def in_process(monkeypatch: pytest.MonkeyPatch) -> None:
    """Runs measure in this process."""
    monkeypatch.setattr("bench.run.slot.Worker", InProcess)


@pytest.fixture
def invoke(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Invoke:
    """`python -m bench` in an empty folder, on a terminal of 300 columns."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "300")

    def run(*arguments: str | Path) -> tuple[int, str, str]:
        result = CliRunner().invoke(app, [str(argument) for argument in arguments])
        if result.exception is not None and not isinstance(result.exception, SystemExit):
            raise result.exception
        return result.exit_code, result.stdout, result.stderr

    return run
