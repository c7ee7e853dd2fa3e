"""Every case leaves a row, whatever comes of it; numbers that were not measured are not there."""

import time
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor

from bench import rotation, sources
from bench import runner as runner_module
from bench.bounds import bounds_us, largest, mode_work
from bench.cases import Case
from bench.chips import CHIPS
from bench.devices import chip_of, device_name
from bench.forecast import predicted_mib
from bench.metrics import counts, limits
from bench.results import COLUMNS, PARAMETERS, Row
from bench.rotation import Rotation, Schedule
from bench.runner import Runner
from bench.timing import Timing
from bench.workloads import Tensors, draw
from bench.yardsticks import YARDSTICKS
from kernels import Problem, chunked, predicted_bytes
from kernels.triton_fused import launch
from kernels.triton_fused.settings import heuristic
from tests.bench.conftest import CPU, case, every_device

TIMING = Timing(seconds=0.0, warmup_seconds=0.0, block_seconds=0.0)
MEASURED = {"latency_ms", "latency_p20_ms", "latency_p80_ms", "samples", "images_per_s", "tflops", "gbps", "peak_mib"}


class Measured(Rotation):
    """A runner whose cases are measured one at a time, each in one turn."""

    def __init__(self, device: torch.device = CPU) -> None:
        name, chip = device_name(device), chip_of(device)
        super().__init__(Runner(device, TIMING), Schedule(rounds=1), name, chip)

    def row(self, one: Case) -> Row:
        (done,) = self.run([one])
        self.samples_ms = done.latency.samples_ms
        return done.row


@pytest.fixture
def runner() -> Measured:
    return Measured()


def require_no_numbers(row: Row, runner: Measured) -> None:
    """Nothing was measured, and no number stands in for it."""
    assert {name for name in MEASURED if row.get(name) is not None} == set()
    assert runner.samples_ms == []
    assert row["reason"]
    assert "\n" not in row["reason"]
    assert row.keys() <= set(COLUMNS)


def raising(error: BaseException) -> Callable[..., Any]:
    """An implementation that fails."""

    def run(*_: Any, **__: Any) -> Tensor:
        raise error

    return run


@every_device
@pytest.mark.parametrize("mode", ["forward", "backward", "forward_backward"])
@pytest.mark.parametrize("scope", ["operator", "layer"])
@pytest.mark.parametrize("implementation", ["unfold", "chunked"])
def test_a_measured_case(device: torch.device, implementation: str, scope: str, mode: str) -> None:
    runner, one = Measured(device), case(implementation, mode, scope)
    row = runner.row(one)
    assert row["status"] == "ok", row["reason"]
    bounded = {"bound", "bound_fraction"} if chip_of(device) and scope == "operator" else set()
    absent = {"reason", "fingerprint", "bound", "bound_fraction", "energy_mj"} - bounded
    assert row.keys() == {*COLUMNS, *bounded} - absent
    assert {name: row[name] for name in PARAMETERS} == one.parameters()
    assert {name: row[name] for name in counts(one)} == counts(one)
    assert 0 < row["latency_p20_ms"] <= row["latency_ms"] <= row["latency_p80_ms"]
    assert row["samples"] == len(runner.samples_ms) == TIMING.least(device)
    assert min(runner.samples_ms) <= row["latency_ms"] <= max(runner.samples_ms)
    assert 0 <= row["error"] <= 1e-4
    assert row["predicted_mib"] > 0
    assert row["images_per_s"] == pytest.approx(2 / row["latency_ms"] * 1e3)
    assert row["peak_mib"] is None or row["peak_mib"] >= 0


def test_memory_is_empty_where_it_cannot_be_measured(runner: Measured, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(runner_module, "unmeasurable", lambda _: "sealed")
    row = runner.row(case())
    assert (row["status"], row.get("peak_mib")) == ("ok", None)


def test_the_first_call_is_of_the_case_that_made_it(runner: Measured) -> None:
    rows = [runner.row(case(mode=mode)) for mode in ("forward", "backward", "forward_backward")]
    assert [row.get("compile_s") is None for row in rows] == [False, False, True]
    assert rows[0]["tune_s"] == 0.0


def test_a_process_that_captures_no_more_says_so(runner: Measured, monkeypatch: pytest.MonkeyPatch) -> None:
    assert not runner.steps.turn(case()).capture_failed
    monkeypatch.setattr(sources, "capture_failures", ["RuntimeError: cannot be captured"])
    monkeypatch.setattr(runner_module, "capture_failures", sources.capture_failures)
    assert runner.steps.turn(case()).capture_failed


def test_inputs_are_those_that_were_drawn(runner: Measured) -> None:
    # Query and key, 2·2·5·4 numbers each; value and the output's gradient, 2·6·5·4 each; prior, 2·3·3. Four bytes each.
    assert runner.row(case())["inputs_mib"] == pytest.approx(4 * (2 * 80 + 2 * 240 + 18) / 2**20)


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
    monkeypatch.setattr(runner_module, "draw", raising(AssertionError("tried")))
    row = runner.row(case())
    assert row["status"] == "out_of_memory"
    assert "not tried" in row["reason"]
    assert row["predicted_mib"] == needed
    require_no_numbers(row, runner)


def test_a_yardstick_is_timed_and_not_checked(runner: Measured) -> None:
    for name in YARDSTICKS:
        row = runner.row(case(name, "backward"))
        assert (row["status"], row["kind"]) == ("ok", "yardstick")
        assert row["latency_ms"] > 0
        assert row["images_per_s"] == pytest.approx(2 / row["latency_ms"] * 1e3)
        assert not {"error", "predicted_mib", "paper_cost"} & row.keys()


def test_a_copy_has_the_bound_of_the_memory(runner: Measured, monkeypatch: pytest.MonkeyPatch) -> None:
    runner.chip = CHIPS["H200 SXM"]
    row = runner.row(case("copy"))
    # It all fits the L2, which is hot, and so has no bound.
    assert "bound" not in row
    assert row["gbps"] == pytest.approx(row["min_bytes"] / row["latency_ms"] / 1e6)
    monkeypatch.setattr(rotation, "limits", lambda work, chip, _, latency_ms: limits(work, chip, "cold", latency_ms))
    row = runner.row(case("copy"))
    assert row["bound"] == "memory"
    assert row["gbps"] == pytest.approx(4800 * row["bound_fraction"])
    assert "bound" not in runner.row(case("depthwise"))


def test_the_bound_is_the_operators(runner: Measured) -> None:
    runner.chip = CHIPS["H200 SXM"]
    row, layer = runner.row(case()), runner.row(case(scope="layer"))
    bounds = bounds_us(mode_work(case().problem, "forward"), CHIPS["H200 SXM"])
    del bounds["memory"]  # its bytes fit the hot L2
    assert row["bound"] == largest(bounds)
    assert row["bound_fraction"] * row["latency_ms"] * 1e3 == pytest.approx(max(bounds.values()))
    assert layer["status"] == "ok"
    assert "bound" not in layer


def test_a_cold_cache_needs_a_gpu(runner: Measured) -> None:
    for name in ("unfold", "copy"):
        one = case(name)
        row = runner.row(Case(one.problem, one.scope, one.mode, one.implementation, "cold"))
        assert (row["status"], row["cache"]) == ("unsupported", "cold")
        assert "not flushed" in row["reason"]
        require_no_numbers(row, runner)


def test_after_the_deadline_nothing_is_run(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(runner_module, "draw", raising(AssertionError("run")))
    runner = Measured()
    runner.schedule = Schedule(deadline=time.monotonic())
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


def test_an_error_without_words_has_a_reason(runner: Measured, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(chunked, "run", raising(KeyError()))
    assert runner.row(case())["reason"] == "KeyError: KeyError()"


def test_an_interrupt_is_not_a_row(runner: Measured, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(chunked, "run", raising(KeyboardInterrupt()))
    with pytest.raises(KeyboardInterrupt):
        runner.row(case())


def test_tensors_are_drawn_once_per_problem(runner: Measured, monkeypatch: pytest.MonkeyPatch) -> None:
    drawn: list[tuple[Problem, str]] = []

    def counting(problem: Problem, scope: str, device: torch.device) -> Tensors:
        drawn.append((problem, scope))
        return draw(problem, scope, device)

    monkeypatch.setattr(runner_module, "draw", counting)
    cases = [case("unfold"), case(mode="backward"), case(scope="layer"), case("unfold", scope="layer"), case(m=3)]
    assert [runner.row(one)["status"] for one in cases] == ["ok"] * 5
    assert drawn == [(cases[index].problem, cases[index].scope) for index in (0, 2, 4)]


@pytest.mark.parametrize("mode", ["forward", "backward"])
def test_a_layer_needs_its_convolutions_too(mode: str) -> None:
    one, layer = case(mode=mode), case(mode=mode, scope="layer")
    operator = predicted_bytes("chunked", one.problem, CPU, backward=one.backward)
    assert predicted_mib(one, CPU) == operator / 2**20
    # Query 2·2·5·4, key the same and output 2·6·5·4 numbers of four bytes, and as many gradients.
    maps = 4 * (2 * 80 + 240) * (2 if layer.backward else 1)
    assert predicted_mib(layer, CPU) == (operator + maps) / 2**20


@pytest.mark.parametrize("posed", [case(kernel_size=1, padding=0), case(height=1, width=1)], ids=str)
def test_gradients_that_are_zero_are_no_error(runner: Measured, posed: Case) -> None:
    for mode in ("forward", "backward"):
        row = runner.row(Case(posed.problem, posed.scope, mode, "chunked"))
        assert row["status"] == "ok", row["reason"]


@pytest.mark.parametrize(("mode", "kernels"), [("forward", ["forward"]), ("backward", ["forward", "query", "key"])])
def test_rows_say_which_launch_settings_ran(runner: Measured, mode: str, kernels: list[str]) -> None:
    row = runner.row(case("triton", mode))
    assert row["status"] == "ok", row["reason"]
    assert [part.partition(":")[0] for part in row["settings"].split()] == kernels
    assert str(heuristic("forward", case("triton", mode).problem)) in row["settings"]
    assert runner.row(case("unfold", mode))["settings"] is None
