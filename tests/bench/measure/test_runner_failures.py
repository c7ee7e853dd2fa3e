"""A case that cannot be measured leaves a row with its status and reason, and no number."""

import time
from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import Tensor

from bench.case.case import Case
from bench.cost.metrics import counts
from bench.measure import runner as runner_module
from bench.measure.preflight import predicted_mib
from bench.measure.runner import Runner
from bench.measure.workloads import draw
from kernels.implementations import chunked
from kernels.implementations.triton_fused import launch
from tests.support.bench_cases import CPU, case
from tests.support.measured import TIMING, Measured, raising, require_no_numbers


def test_unsupported(runner: Measured, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(launch, "interpreting", lambda: False)
    row = runner.row(case("triton"))
    assert row["status"] == "unsupported"
    assert "Triton kernels run on cuda tensors, got cpu" in row["reason"]
    require_no_numbers(row, runner)
    assert row["macs"] == counts(case())["macs"]


@pytest.mark.parametrize(
    ("factor", "said"), [(0.0, "relative error 1.00e+00 against float64, at most 1e-04"), (torch.nan, "nan")]
)
def test_incorrect_is_not_timed(runner: Measured, monkeypatch: pytest.MonkeyPatch, factor: float, said: str) -> None:
    right, calls = chunked.run, []

    def run(*args: Any) -> Tensor:
        calls.append(args)
        return factor * right(*args)

    monkeypatch.setattr(chunked, "run", run)
    for mode in ("forward", "backward", "forward_backward"):
        calls.clear()
        row = runner.row(case(mode=mode))
        assert row["status"] == "incorrect"
        assert said in row["reason"]
        # Once as the first call, once for the check and never again; forward_backward is checked as backward was.
        assert len(calls) == 2 * (mode != "forward_backward")
        require_no_numbers(row, runner)


def test_wrong_gradients_are_incorrect(runner: Measured, monkeypatch: pytest.MonkeyPatch) -> None:
    right = chunked.run

    def run(problem: Any, query: Tensor, key: Tensor, *rest: Any) -> Tensor:
        return right(problem, query, key.detach() + 0 * key, *rest)

    monkeypatch.setattr(chunked, "run", run)
    assert runner.row(case(mode="forward"))["status"] == "ok"
    for mode in ("backward", "forward_backward"):
        row = runner.row(case(mode=mode))
        assert row["status"] == "incorrect"
        assert row["error"] == pytest.approx(1.0)
        require_no_numbers(row, runner)


@pytest.mark.parametrize(
    "error",
    [
        torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 20 GiB.\nMore."),
        MemoryError(),
        RuntimeError("[enforce fail at alloc_cpu.cpp:117] DefaultCPUAllocator: can't allocate memory"),
    ],
    ids=lambda error: type(error).__name__,
)
def test_out_of_memory(runner: Measured, monkeypatch: pytest.MonkeyPatch, error: Exception) -> None:
    monkeypatch.setattr(chunked, "run", raising(error))
    row = runner.row(case())
    assert row["status"] == "out_of_memory"
    assert type(error).__name__ in row["reason"]
    require_no_numbers(row, runner)


def test_what_cannot_fit_is_not_tried(runner: Measured, monkeypatch: pytest.MonkeyPatch) -> None:
    needed = predicted_mib(case(), CPU)
    monkeypatch.setattr(runner_module, "free_bytes", lambda _: int(needed * 2**20) - 1)
    monkeypatch.setattr("bench.measure.prepared.draw", raising(AssertionError("tried")))
    row = runner.row(case())
    assert row["status"] == "out_of_memory"
    assert "not tried" in row["reason"]
    assert row["predicted_mib"] == needed
    require_no_numbers(row, runner)


def test_a_cold_cache_needs_a_gpu(runner: Measured) -> None:
    for name in ("unfold", "copy"):
        one = case(name)
        row = runner.row(Case(one.problem, one.scope, one.mode, one.implementation, "cold"))
        assert (row["status"], row["cache"]) == ("unsupported", "cold")
        assert "not flushed" in row["reason"]
        require_no_numbers(row, runner)


def test_after_the_deadline_nothing_is_run(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("bench.measure.prepared.draw", raising(AssertionError("run")))
    runner = Measured()
    runner.conduct = replace(runner.conduct, deadline=time.monotonic())
    row = runner.row(case())
    assert row["status"] == "timeout"
    require_no_numbers(row, runner)


def test_an_error_ends_the_case_and_not_the_sweep(runner: Measured, monkeypatch: pytest.MonkeyPatch) -> None:
    before = runner.row(case("unfold"))
    with monkeypatch.context() as broken:
        broken.setattr(chunked, "run", raising(ZeroDivisionError("of one line\nand another")))
        row = runner.row(case())
    assert (row["status"], row["reason"]) == ("error", "ZeroDivisionError: of one line")
    require_no_numbers(row, runner)
    after = [runner.row(case("unfold")), runner.row(case())]
    assert [one["status"] for one in (before, *after)] == ["ok"] * 3


@pytest.mark.parametrize(
    ("error", "draws"), [(ValueError("not this"), 1), (MemoryError(), 2)], ids=["an error", "memory"]
)
def test_a_failed_case_makes_nothing_again(
    runner: Measured, monkeypatch: pytest.MonkeyPatch, error: Exception, draws: int
) -> None:
    drawn: list[object] = []

    def counting(*asked: Any) -> Any:
        drawn.append(asked)
        return draw(*asked)

    monkeypatch.setattr("bench.measure.prepared.draw", counting)
    with monkeypatch.context() as broken:
        broken.setattr(chunked, "run", raising(error))
        assert runner.row(case())["status"] != "ok"
    assert runner.row(case("unfold"))["status"] == "ok"
    assert len(drawn) == draws


def test_a_device_that_answers_no_more_keeps_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(runner_module, "still_usable", lambda _: False)
    monkeypatch.setattr(chunked, "run", raising(ValueError("sticky")))
    measuring = Runner(CPU, TIMING)
    assert measuring.prepare(case()).status == "crashed"
    assert measuring._prepared is None


def test_an_error_without_words_has_a_reason(runner: Measured, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(chunked, "run", raising(KeyError()))
    assert runner.row(case())["reason"] == "KeyError: KeyError()"


def test_an_interrupt_is_not_a_row(runner: Measured, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(chunked, "run", raising(KeyboardInterrupt()))
    with pytest.raises(KeyboardInterrupt):
        runner.row(case())
