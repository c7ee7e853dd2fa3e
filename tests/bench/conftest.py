"""Measuring in this process, and the command run in an empty folder."""

from pathlib import Path

import pytest
from typer.testing import CliRunner

from bench.__main__ import app
from kernels.implementations.native.library import folder
from tests.support.in_process import InProcess, Invoke
from tests.support.measured import Measured

# Found before the tests have a cache of their own.
LIBRARIES = folder()


@pytest.fixture(autouse=True)
def _own_cache(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing that a user has kept, as launch settings or the doctor's roofs, is found by a test.

    The C++ kernels alone are, whose compilation takes half a minute.
    """
    cache = tmp_path_factory.mktemp("cache")
    LIBRARIES.mkdir(parents=True, exist_ok=True)
    (cache / "local-relation").mkdir()
    (cache / "local-relation" / "native").symlink_to(LIBRARIES)
    monkeypatch.setenv("XDG_CACHE_HOME", str(cache))


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
