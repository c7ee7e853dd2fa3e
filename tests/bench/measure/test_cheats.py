"""Implementations that cheat: each is right when it is checked before timing, or seems to be, and ends as incorrect."""

import sys
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
import torch
from torch import Tensor

from bench.device import clocks
from bench.device.timers import Timer
from bench.measure import recheck as recheck_module
from bench.measure.prepared import PreparedProblem
from bench.measure.recheck import recheck
from kernels.implementations import chunked
from tests.support.bench_cases import CPU, case
from tests.support.measured import Measured

RIGHT: Any = chunked.run
Run = Callable[..., Any]
# Calls of the first call and of the check before timing.
HONEST_CALLS = 2


class Lazy(Tensor):
    """Computes when somebody looks at it."""

    work: Callable[[], Tensor]

    @staticmethod
    def of(work: Callable[[], Tensor], like: Tensor) -> "Lazy":
        found = Tensor._make_wrapper_subclass(Lazy, like.shape, dtype=like.dtype)
        found.work = work
        return found

    @classmethod
    def __torch_dispatch__(cls, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:  # type: ignore[override]
        return func(*(one.work() if isinstance(one, Lazy) else one for one in args), **(kwargs or {}))


def kept(_: pytest.MonkeyPatch) -> Run:
    """Keeps its output for the next call with tensors at the same places."""
    outputs: dict[Any, Tensor] = {}

    def run(problem: Any, *tensors: Tensor, **options: Any) -> Any:
        key = torch.is_grad_enabled(), *(tensor.data_ptr() for tensor in tensors)
        if key not in outputs:
            outputs[key] = RIGHT(problem, *tensors, **options)
        return outputs[key]

    return run


def lazy(_: pytest.MonkeyPatch) -> Run:
    def run(problem: Any, *tensors: Tensor, **options: Any) -> Any:
        return Lazy.of(lambda: RIGHT(problem, *tensors, **options), tensors[2])

    return run


def threaded(start: Callable[[Callable[[], None]], object]) -> Callable[[pytest.MonkeyPatch], Run]:
    """Returns while another thread works; the first calls wait for it."""

    def cheat(_: pytest.MonkeyPatch) -> Run:
        calls: list[Any] = []

        def run(problem: Any, *tensors: Tensor, **options: Any) -> Any:
            calls.append(tensors)
            if len(calls) <= HONEST_CALLS:
                return RIGHT(problem, *tensors, **options)
            out = torch.zeros_like(tensors[2])

            def work() -> None:
                time.sleep(0.01)
                with torch.no_grad():
                    out.copy_(RIGHT(problem, *tensors, **options))

            start(work)
            return out

        return run

    return cheat


POOL = ThreadPoolExecutor(1)
POOL.submit(lambda: None).result()


def slower_clock(monkeypatch: pytest.MonkeyPatch) -> Run:
    """Makes time pass ten times more slowly."""
    clock = time.perf_counter

    def run(*arguments: Any, **options: Any) -> Any:
        monkeypatch.setattr(time, "perf_counter", lambda: clock() / 10)
        return RIGHT(*arguments, **options)

    return run


def clock_for_a_moment(monkeypatch: pytest.MonkeyPatch) -> Run:
    """Lies to whoever reads the clock next, and leaves no trace."""
    clock = time.perf_counter

    def lie() -> float:
        monkeypatch.setattr(time, "perf_counter", clock)
        return clock() - 1e-4

    def run(*arguments: Any, **options: Any) -> Any:
        out = RIGHT(*arguments, **options)
        monkeypatch.setattr(time, "perf_counter", lie)
        return out

    return run


def shorter_events(monkeypatch: pytest.MonkeyPatch) -> Run:
    """Makes every time between two events a microsecond."""

    def run(*arguments: Any, **options: Any) -> Any:
        monkeypatch.setattr(torch.cuda.Event, "elapsed_time", lambda *_: 1e-3)
        return RIGHT(*arguments, **options)

    return run


def changing(which: int, from_call: int) -> Callable[[pytest.MonkeyPatch], Run]:
    """Writes zeros into one of its inputs, from some call on."""

    def cheat(_: pytest.MonkeyPatch) -> Run:
        calls: list[int] = []

        def run(problem: Any, *tensors: Tensor, **options: Any) -> Any:
            calls.append(len(calls))
            if len(calls) >= from_call:
                tensors[which].data.zero_()
            return RIGHT(problem, *tensors, **options)

        return run

    return cheat


def right_at_first(_: pytest.MonkeyPatch) -> Run:
    """Counts its calls: the first ones are checked."""
    calls: list[int] = []

    def run(*arguments: Any, **options: Any) -> Any:
        calls.append(len(calls))
        return RIGHT(*arguments, **options) * (1.0 if len(calls) <= HONEST_CALLS else 0.5)

    return run


def right_when_seen(_: pytest.MonkeyPatch) -> Run:
    """Looks for the check among its callers."""

    def run(*arguments: Any, **options: Any) -> Any:
        frame: Any = sys._getframe()
        names = set()
        while frame is not None:
            names.add(frame.f_code.co_name)
            frame = frame.f_back
        return RIGHT(*arguments, **options) * (1.0 if "error_of" in names else 0.5)

    return run


ANEW = "against float64 on inputs drawn anew after timing"
CHEATS: dict[str, tuple[Callable[[pytest.MonkeyPatch], Run], str]] = {
    "output kept": (kept, f"{ANEW}: the results are those of the inputs before, kept"),
    "lazy tensor": (lazy, "a result is of the type Lazy, which may leave work to whoever looks at it"),
    "a thread of its own": (
        threaded(lambda work: threading.Thread(target=work, name="sweatshop").start()),
        "a thread goes on after the call has returned: sweatshop",
    ),
    "a thread that was there before": (
        threaded(POOL.submit),
        f"{ANEW}: the results were not there yet when the call returned, a thread or another stream went on",
    ),
    "patched clock": (slower_clock, "the timer was tampered with: time.perf_counter is not what it was"),
    "patched for a moment": (clock_for_a_moment, "the timer was tampered with: time.perf_counter is not what it was"),
    "patched events": (shorter_events, "the timer was tampered with: torch.cuda.Event.elapsed_time is not what it was"),
    "input changed at once": (changing(0, 1), "the inputs were changed in place: query"),
    "input changed later": (changing(2, HONEST_CALLS + 1), "the inputs were changed in place: value"),
    "prior changed later": (changing(3, HONEST_CALLS + 1), "the inputs were changed in place: prior"),
    "right at first": (right_at_first, f"{ANEW}, at most 1e-04"),
    "right when seen": (right_when_seen, f"{ANEW}, at most 1e-04"),
}


@pytest.mark.parametrize(("cheat", "reason"), CHEATS.values(), ids=CHEATS)
def test_each_ends_as_incorrect_with_its_reason(
    runner: Measured, monkeypatch: pytest.MonkeyPatch, cheat: Callable[[pytest.MonkeyPatch], Run], reason: str
) -> None:
    with monkeypatch.context() as planted:
        planted.setattr(chunked, "run", cheat(planted))
        row = runner.row(case())
    assert (row["status"], reason in row["reason"]) == ("incorrect", True), row["reason"]
    # Memory may have been weighed by then; no time is told.
    assert (row.get("latency_ms"), row.get("images_per_s"), runner.samples_ms) == (None, None, [])
    assert runner.row(case())["status"] == "ok"


GRADIENT_CHEATS = ("right at first", "input changed later")


@pytest.mark.parametrize("mode", ["backward", "forward_backward"])
@pytest.mark.parametrize("name", GRADIENT_CHEATS)
def test_gradients_are_checked_again_too(
    runner: Measured, monkeypatch: pytest.MonkeyPatch, name: str, mode: str
) -> None:
    cheat, reason = CHEATS[name]
    monkeypatch.setattr(chunked, "run", cheat(monkeypatch))
    row = runner.row(case(mode=mode, batch=5))
    assert (row["status"], reason in row["reason"]) == ("incorrect", True), row["reason"]


def wrong_gradient(which: int) -> Run:
    """Half the gradient of one input, from the third call on."""
    calls: list[int] = []

    def run(problem: Any, *tensors: Tensor, **options: Any) -> Any:
        calls.append(len(calls))
        given = list(tensors)
        if len(calls) > HONEST_CALLS:
            given[which] = 0.5 * given[which] + 0.5 * given[which].detach()
        return RIGHT(problem, *given, **options)

    return run


@pytest.mark.parametrize("which", range(4))
@pytest.mark.parametrize("mode", ["backward", "forward_backward"])
def test_every_gradient_is_checked_again(
    runner: Measured, monkeypatch: pytest.MonkeyPatch, mode: str, which: int
) -> None:
    monkeypatch.setattr(chunked, "run", wrong_gradient(which))
    row = runner.row(case(mode=mode, batch=5))
    assert (row["status"], ANEW in row["reason"]) == ("incorrect", True), row["reason"]


@pytest.mark.parametrize("scope", ["operator", "layer"])
@pytest.mark.parametrize("mode", ["forward", "backward", "forward_backward"])
@pytest.mark.parametrize("changes", [{}, {"batch": 5}, {"dtype": "bfloat16", "memory_format": "channels_last"}])
def test_inputs_are_as_they_were_afterwards(scope: str, mode: str, changes: dict[str, Any]) -> None:
    one = case("unfold", mode, scope, **changes)
    prepared = PreparedProblem(one.problem, scope, CPU)
    before = {name: tensor.clone() for name, tensor in prepared.tensors.items()}
    assert recheck(one, prepared, lambda: prepared.timed(one), CPU, capture=True) is None
    for name, tensor in prepared.tensors.items():
        assert torch.equal(tensor, before[name]), name
    assert prepared.changed() is None


def test_inputs_are_drawn_anew_within_what_is_timed(monkeypatch: pytest.MonkeyPatch) -> None:
    """So that work on a stream that does not wait for the timer's own sees the numbers from before."""
    log: list[str] = []

    def held(call: Callable[[], object], *_: Any, **__: Any) -> Timer:
        def sample() -> float:
            log.append("start")
            call()
            log.append("end")
            return 1.0

        call()
        return Timer(sample, lambda: "events")

    one = case("unfold")
    prepared = PreparedProblem(one.problem, one.scope, CPU)
    monkeypatch.setattr(recheck_module, "timer_of", held)

    def logged(name: str, function: Callable[..., Any]) -> Callable[..., Any]:
        def call(*given: Any) -> Any:
            log.append(name)
            return function(*given)

        return call

    monkeypatch.setattr(prepared, "renew", logged("renew", prepared.renew))
    monkeypatch.setattr(prepared, "checked", logged("copy", prepared.checked))
    timed = logged("call", prepared.timed(one))
    assert recheck(one, prepared, lambda: timed, CPU, capture=True) is None
    assert log == ["call", "copy", "start", "renew", "call", "copy", "end"]


def test_a_permutation_of_an_input_is_a_change() -> None:
    prepared = PreparedProblem(case().problem, "operator", CPU)
    for name, tensor in prepared.tensors.items():
        for dim in range(tensor.dim()):
            tensor.copy_(tensor.flip(dim))
            assert prepared.changed() == f"the inputs were changed in place: {name}"
            tensor.copy_(tensor.flip(dim))
        assert prepared.changed() is None


def test_a_clock_is_held_against_another(monkeypatch: pytest.MonkeyPatch) -> None:
    interval = clocks.Interval.begin()
    assert interval.disagreement() is None
    monkeypatch.setattr(clocks, "_ANOTHER_CLOCK", lambda _: time.monotonic_ns() + 10**9)
    assert "another clock of 1.00" in str(interval.disagreement())


@pytest.mark.parametrize("reading", range(4))
def test_a_process_that_waits_for_its_turn_between_two_clocks_is_no_cheat(
    monkeypatch: pytest.MonkeyPatch, reading: int
) -> None:
    another, count = time.clock_gettime_ns, iter(range(10**6))

    def late(clock: int) -> int:
        if next(count) == reading:
            time.sleep(0.02)
        return another(clock)

    monkeypatch.setattr(clocks, "_ANOTHER_CLOCK", late)
    assert clocks.Interval.begin().disagreement() is None


@pytest.mark.gpu
@pytest.mark.parametrize("waits", [False, True], ids=["from the start", "not at the end"])
def test_a_side_stream_is_found(monkeypatch: pytest.MonkeyPatch, *, waits: bool) -> None:
    device, calls = torch.device("cuda"), []

    def run(problem: Any, *tensors: Tensor, **options: Any) -> Any:
        calls.append(tensors)
        if len(calls) <= HONEST_CALLS:
            return RIGHT(problem, *tensors, **options)
        out, side = torch.zeros_like(tensors[2]), torch.cuda.Stream(device)
        if waits:
            side.wait_stream(torch.cuda.current_stream(device))
        with torch.cuda.stream(side):
            torch.cuda._sleep(1_000_000)
            out.copy_(RIGHT(problem, *tensors, **options))
        return out

    monkeypatch.setattr(chunked, "run", run)
    row = Measured(device).row(case())
    assert row["status"] == "incorrect"
    assert ANEW in row["reason"]
