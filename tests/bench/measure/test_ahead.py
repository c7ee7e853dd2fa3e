"""Compiling ahead: what is compiled, in how long, and what is said of it."""

import os
import time
from pathlib import Path

import pytest
import torch

from bench.measure.ahead import (
    Compilation,
    Outcome,
    compilations_of,
    compile_ahead,
    compile_one,
    forget_choices_since,
)
from tests.support.bench_cases import CPU, case, problem


def test_a_problem_is_compiled_once() -> None:
    cases = [case("compiled"), case("compiled", "backward"), case("compiled", scope="layer"), case("unfold")]
    assert compilations_of([*cases, case("copy"), case("compiled", m=3)], CPU) == [
        Compilation(problem(), "compiled", "cpu"),
        Compilation(problem(m=3), "compiled", "cpu"),
    ]


def test_what_is_unsupported_is_not_compiled(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("kernels.implementations.triton_fused.launch.interpreting", lambda: False)
    (task,) = compilations_of([case("triton")], CPU)
    monkeypatch.setattr("bench.measure.ahead.draw", lambda *_: pytest.fail("a refused problem is not drawn"))
    assert compile_one(task) is None
    assert compile_one(compilations_of([case("triton")], torch.device("meta"))[0]) is None


def test_a_task_runs_forward_and_backward(monkeypatch: pytest.MonkeyPatch) -> None:
    modes = []
    monkeypatch.setattr("bench.measure.ahead.call", lambda _, mode: lambda: modes.append(mode))
    assert compile_one(Compilation(problem(), "chunked", "cpu")) is None
    assert modes == ["forward", "forward_backward"]


def test_an_implementation_without_a_backward_is_compiled_forward(monkeypatch: pytest.MonkeyPatch) -> None:
    modes = []
    monkeypatch.setattr("bench.measure.ahead.call", lambda _, mode: lambda: modes.append(mode))
    (task,) = compilations_of([case("flex")], CPU)
    assert compile_one(task) is None
    assert modes == ["forward"]


@pytest.mark.parametrize("implementation", ["chunked", "folded"])
def test_a_task_leaves_the_memory_to_the_next(monkeypatch: pytest.MonkeyPatch, implementation: str) -> None:
    released: list[torch.device] = []
    monkeypatch.setattr("bench.measure.ahead.release", released.append)
    monkeypatch.setattr("bench.measure.ahead.call", lambda *_: released.clear)
    compile_one(Compilation(problem(), implementation, "cpu"))
    assert released == [CPU]


def test_a_device_that_cannot_be_released_is_a_failure(monkeypatch: pytest.MonkeyPatch) -> None:
    def release(_: torch.device) -> None:
        raise RuntimeError("an illegal memory access was encountered")

    monkeypatch.setattr("bench.measure.ahead.release", release)
    assert compile_one(Compilation(problem(), "chunked", "cpu")) == (
        "chunked: RuntimeError: an illegal memory access was encountered"
    )


def test_a_task_that_fails_says_why() -> None:
    failure = compile_one(Compilation(problem(), "folded", "cpu"))
    assert failure is not None
    assert failure.startswith("folded: ValueError: implementation must be one of")
    assert "\n" not in failure


@pytest.mark.slow
def test_tasks_run_in_processes_of_their_own() -> None:
    tasks = [
        Compilation(problem(), "chunked", "cpu"),
        Compilation(problem(), "folded", "cpu"),
        Compilation(problem(m=3), "chunked", "cpu"),
    ]
    done = compile_ahead(tasks, 120.0, workers=2)
    assert (done.tasks, len(done.failures), done.unfinished) == (3, 1, 0)
    assert done.seconds > 0
    assert "compiled ahead: 2 of 3" in str(done)
    assert "1 failed, the first with folded: ValueError" in str(done)


def test_no_longer_than_it_may_take() -> None:
    done = compile_ahead([Compilation(problem(), "chunked", "cpu")], 0.0, workers=1)
    assert (done.failures, done.unfinished) == ([], 1)
    assert "1 not in time" in str(done)
    assert compile_ahead([], 1.0) == Outcome(0, [], 0, 0.0)


def test_choices_made_under_load_are_forgotten(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TORCHINDUCTOR_CACHE_DIR", str(tmp_path))
    (tmp_path / "ab").mkdir()
    files = {name: tmp_path / "ab" / name for name in ("old.best_config", "new.best_config", "kernel.py")}
    for file in files.values():
        file.touch()
    now = time.time()
    os.utime(files["old.best_config"], (now - 100, now - 100))
    forget_choices_since(now - 50)
    assert {file.name for file in (tmp_path / "ab").iterdir()} == {"old.best_config", "kernel.py"}
