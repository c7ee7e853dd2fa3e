"""How samples are taken of a GPU that is pretended, and of a real one where there is one."""

import gc
import time

import pytest
import torch

from bench.device import timers
from bench.device.timers import Known, Way, timer_of
from tests.support.gpu import Gpu, pretend

CUDA = torch.device("cuda")


def last_sample(gpu: Gpu) -> list[str]:
    """What a GPU was told for its last sample."""
    last = len(gpu.told) - gpu.told[::-1].index("wait", 1) if gpu.told.count("wait") > 1 else 0
    return gpu.told[last:]


def test_the_l2_is_flushed_before_a_cold_sample_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    gpu = pretend(monkeypatch, Gpu())
    for cold, told in ((True, ["write", "read 25", "hold"]), (False, ["hold"])):
        timer = timer_of(gpu.call, CUDA, Way(cold=cold))
        assert (timer.name, timer.sample()) == ("events", 0.25)
        assert last_sample(gpu) == [*told, "event", "call", "event", "wait"]


@pytest.mark.parametrize(("factor", "written"), [(None, 300), (2.0, 200)])
def test_what_is_read_after_the_flush_was_not_written(
    monkeypatch: pytest.MonkeyPatch, factor: float | None, written: int
) -> None:
    gpu = pretend(monkeypatch, Gpu())
    timer_of(gpu.call, CUDA, Way(cold=True) if factor is None else Way(cold=True, flush_factor=factor)).sample()
    # 25 numbers of four bytes are the L2's 100 bytes.
    assert (gpu.written, gpu.told.count("write"), gpu.told.count("read 25")) == (written, 2, 2)


def test_no_garbage_is_collected_during_a_capture(monkeypatch: pytest.MonkeyPatch) -> None:
    gpu = pretend(monkeypatch, Gpu(elapsed_ms=0.005))
    timer_of(gpu.call, CUDA, Way())
    captured = gpu.collects[-100:]
    assert captured == [False] * 100
    assert set(gpu.collects[:-100]) == {True}
    assert gc.isenabled()


def test_who_has_switched_garbage_collection_off_finds_it_off(monkeypatch: pytest.MonkeyPatch) -> None:
    for captures in (True, False):
        gpu = pretend(monkeypatch, Gpu(elapsed_ms=0.005, captures=captures))
        gc.disable()
        try:
            timer_of(gpu.call, CUDA, Way())
            assert not gc.isenabled()
        finally:
            gc.enable()


CALLS = {
    # The call's ms, whether from a cold L2 and with capture; the calls that a timer needs to begin with, and those that
    # it needs once it is known.
    "long": (30.0, False, True, 1, 0),
    "long, cold": (30.0, True, True, 1, 0),
    "short, cold": (0.005, True, True, 1, 0),
    "short, not captured": (0.005, False, False, 1, 0),
    # One, ten estimates, one on the other stream, and a hundred in the graph.
    "short": (0.005, False, True, 112, 112),
}


@pytest.mark.parametrize(("elapsed", "cold", "capture", "first", "then"), CALLS.values(), ids=CALLS)
def test_a_timer_costs_few_calls(
    monkeypatch: pytest.MonkeyPatch, elapsed: float, cold: bool, capture: bool, first: int, then: int
) -> None:
    gpu, known = pretend(monkeypatch, Gpu(elapsed_ms=elapsed)), Known()
    for calls in (first, then, then):
        gpu.told.clear()
        timer_of(gpu.call, CUDA, Way(cold=cold, capture=capture), known)
        assert gpu.told.count("call") == calls


def test_a_hold_is_searched_once(monkeypatch: pytest.MonkeyPatch) -> None:
    gpu, known = pretend(monkeypatch, Gpu(3_000_000, 0.25)), Known()
    timer = timer_of(gpu.call, CUDA, Way(), known)
    # 0.2, 0.4, 0.8, 1.6 and 3.2 million cycles.
    assert (gpu.told.count("call"), gpu.held, timer.name) == (5, 3_200_000, "events")
    timer_of(gpu.call, CUDA, Way(), known).sample()
    assert (gpu.told.count("call"), gpu.held) == (6, 3_200_000)


def test_a_call_that_takes_the_host_long_is_held_for_the_longest_time_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    gpu, known = pretend(monkeypatch, Gpu(10**12, 300.0)), Known()
    gpu.queueing_s = 0.3
    timer = timer_of(gpu.call, CUDA, Way(), known)
    assert (gpu.told.count("call"), known.holds) == (1, {"events": 20_000_000})
    timer.sample()
    # Its launches are not all queued while the GPU is held, so that its time is the host's too, and is called so.
    assert timer.name == "host"


@pytest.mark.parametrize(("queueing", "held"), [(0, 200_000), (300_000, 400_000), (10**12, 20_000_000)])
def test_the_gpu_is_held_until_all_is_queued(monkeypatch: pytest.MonkeyPatch, queueing: int, held: int) -> None:
    gpu = pretend(monkeypatch, Gpu(queueing))
    timer_of(gpu.call, CUDA, Way()).sample()
    assert gpu.held == held


def test_the_host_time_is_that_of_queueing(monkeypatch: pytest.MonkeyPatch) -> None:
    gpu = pretend(monkeypatch, Gpu())
    timer = timer_of(gpu.call, CUDA, Way())
    assert timer.host_ms == []
    timer.sample()
    assert timer.host_ms == pytest.approx([0.03])


def test_a_short_call_is_replayed_from_a_graph(monkeypatch: pytest.MonkeyPatch) -> None:
    gpu = pretend(monkeypatch, Gpu(elapsed_ms=0.005))
    timer = timer_of(gpu.call, CUDA, Way())
    assert timer.name == "graph"
    calls = gpu.told.count("call")
    # 100 calls of 5 µs are captured: the replay takes 0.5 ms.
    assert timer.sample() == pytest.approx(0.005)
    assert last_sample(gpu) == ["hold", "event", "replay", "event", "wait"]
    assert gpu.told.count("call") == calls
    assert timer.host_ms == pytest.approx([0.03] * 10)
    assert gpu.streams == ["first"]


@pytest.mark.parametrize(
    ("elapsed", "cold", "capture", "captures"),
    [(0.05, False, True, True), (0.005, True, True, True), (0.005, False, False, True), (0.005, False, True, False)],
    ids=["long", "cold", "not allowed", "cannot be captured"],
)
def test_what_is_not_replayed_is_timed_by_events(
    monkeypatch: pytest.MonkeyPatch, elapsed: float, cold: bool, capture: bool, captures: bool
) -> None:
    gpu = pretend(monkeypatch, Gpu(elapsed_ms=elapsed, captures=captures))
    timer = timer_of(gpu.call, CUDA, Way(cold=cold, capture=capture))
    assert (timer.name, timer.sample()) == ("events", elapsed)
    assert "replay" not in gpu.told
    assert ("refused" in gpu.told) is not captures
    assert gpu.streams == ["first"]


def test_after_a_capture_that_failed_the_pool_is_left_and_no_other_is_tried(monkeypatch: pytest.MonkeyPatch) -> None:
    gpu = pretend(monkeypatch, Gpu(elapsed_ms=0.005, captures=False))
    for _ in range(2):
        assert timer_of(gpu.call, CUDA, Way()).name == "events"
    assert gpu.told.count("refused") == gpu.told.count("left 0 pool") == 1
    assert timers.capture_failures == [
        "RuntimeError: CUDA error: operation failed due to a previous error during capture"
    ]


@pytest.mark.gpu
def test_a_short_kernel_is_timed_without_its_launch() -> None:
    a = torch.ones(8, device=CUDA)

    def slow_to_queue() -> None:
        time.sleep(0.002)
        a.add_(1)

    timer = timer_of(slow_to_queue, CUDA, Way(capture=False))
    assert min(timer.sample() for _ in range(9)) < 1.0
    assert min(timer.host_ms) >= 2.0


@pytest.mark.gpu
@pytest.mark.parametrize("capture", [True, False])
def test_replay_and_events_agree(capture: bool) -> None:
    a = torch.ones(2**20, device=CUDA)
    timer = timer_of(lambda: a.add_(1), CUDA, Way(capture=capture))
    assert timer.name in {"events", "graph" if capture else "events"}
    # 8 MiB through the L2 or the memory: more than a µs, and below 50.
    assert 0.001 < min(timer.sample() for _ in range(9)) < 0.05
