"""How samples are taken of a GPU that is pretended, and of a real one where there is one."""

import time
from contextlib import nullcontext
from types import SimpleNamespace
from typing import Any

import pytest
import torch

from bench.device import timers
from bench.device.timers import timer_of

CUDA = torch.device("cuda")


class Gpu:
    """A GPU whose stream takes time of its own: what it was told, and what its events say."""

    def __init__(self, queueing_cycles: int = 0, elapsed_ms: float = 0.25, *, captures: bool = True) -> None:
        self.queueing_cycles, self.held, self.captures = queueing_cycles, 0, captures
        self.told: list[str] = []
        self.now, self.streams = 0.0, ["first"]
        gpu = self

        class Event:
            def __init__(self, *, enable_timing: bool) -> None:
                assert enable_timing

            def record(self) -> None:
                gpu.told.append("event")

            def query(self) -> bool:
                return gpu.held < gpu.queueing_cycles

            def synchronize(self) -> None:
                gpu.told.append("wait")

            def elapsed_time(self, _: object) -> float:
                replays = gpu.told[-4:].count("replay")
                return elapsed_ms * (100 if replays else 1)

        cuda: dict[str, Any] = {
            "Event": Event,
            "Stream": lambda _: "side",
            "CUDAGraph": lambda: SimpleNamespace(replay=lambda: gpu.told.append("replay")),
            "graph_pool_handle": lambda: "pool",
            "current_device": lambda: 0,
            "stream": self.stream,
            "graph": self.graph,
            "device": lambda _: nullcontext(),
            "synchronize": lambda _: None,
            "get_device_properties": lambda _: SimpleNamespace(L2_cache_size=100),
            "_sleep": self.hold,
        }
        left = SimpleNamespace(_cuda_endAllocateToPool=lambda index, pool: self.told.append(f"left {index} {pool}"))
        self.torch = SimpleNamespace(cuda=SimpleNamespace(**cuda), empty=self.empty, int8="int8", _C=left)

    def hold(self, cycles: int) -> None:
        self.held = cycles
        self.told.append("hold")

    def empty(self, size: int, **_: object) -> SimpleNamespace:
        assert size == 200
        return SimpleNamespace(zero_=lambda: self.told.append("flush"))

    def call(self) -> None:
        self.now += 0.003
        self.told.append("call")

    def stream(self, stream: str) -> "Stack":
        return Stack(self.streams, stream, leaves=True)

    def graph(self, _: object, *, pool: str, stream: str, capture_error_mode: str) -> "Stack":
        assert (pool, capture_error_mode) == ("pool", "relaxed")
        if not self.captures:
            self.told.append("refused")
        return Stack(self.streams, stream, leaves=self.captures)


class Stack:
    """A context whose stream is current within; one that does not leave it raises at its end, as a failed capture."""

    def __init__(self, streams: list[str], stream: str, *, leaves: bool) -> None:
        self.streams, self.stream, self.leaves, self.depth = streams, stream, leaves, len(streams)

    def __enter__(self) -> None:
        self.streams.append(self.stream)

    def __exit__(self, *_: object) -> None:
        if not self.leaves:
            raise RuntimeError("CUDA error: operation failed due to a previous error during capture")
        del self.streams[self.depth :]


def pretend(monkeypatch: pytest.MonkeyPatch, gpu: Gpu) -> Gpu:
    monkeypatch.setattr(timers, "torch", gpu.torch)
    monkeypatch.setattr(timers, "capture_failures", [])
    monkeypatch.setattr(timers, "time", SimpleNamespace(perf_counter=lambda: gpu.now))
    return gpu


def last_sample(gpu: Gpu) -> list[str]:
    """What a GPU was told for its last sample."""
    last = len(gpu.told) - gpu.told[::-1].index("wait", 1) if gpu.told.count("wait") > 1 else 0
    return gpu.told[last:]


def test_the_l2_is_flushed_before_a_cold_sample_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    gpu = pretend(monkeypatch, Gpu())
    for cold, told in ((True, ["flush", "hold"]), (False, ["hold"])):
        timer = timer_of(gpu.call, CUDA, 0.002, cold=cold, capture=True)
        assert (timer.name, timer.sample()) == ("events", 0.25)
        assert last_sample(gpu) == [*told, "event", "call", "event", "wait"]


@pytest.mark.parametrize(("queueing", "held"), [(0, 200_000), (300_000, 400_000), (10**12, 20_000_000)])
def test_the_gpu_is_held_until_all_is_queued(monkeypatch: pytest.MonkeyPatch, queueing: int, held: int) -> None:
    gpu = pretend(monkeypatch, Gpu(queueing))
    timer_of(gpu.call, CUDA, 0.002, cold=False, capture=True)
    assert gpu.held == held


def test_the_host_time_is_that_of_queueing(monkeypatch: pytest.MonkeyPatch) -> None:
    gpu = pretend(monkeypatch, Gpu())
    timer = timer_of(gpu.call, CUDA, 0.002, cold=False, capture=True)
    assert timer.host_ms == []
    timer.sample()
    assert timer.host_ms == pytest.approx([3.0])


def test_a_short_call_is_replayed_from_a_graph(monkeypatch: pytest.MonkeyPatch) -> None:
    gpu = pretend(monkeypatch, Gpu(elapsed_ms=0.005))
    timer = timer_of(gpu.call, CUDA, 0.002, cold=False, capture=True)
    assert timer.name == "graph"
    calls = gpu.told.count("call")
    # 100 calls of 5 µs are captured: the replay takes 0.5 ms.
    assert timer.sample() == pytest.approx(0.005)
    assert last_sample(gpu) == ["hold", "event", "replay", "event", "wait"]
    assert gpu.told.count("call") == calls
    assert timer.host_ms == pytest.approx([3.0] * 10)
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
    timer = timer_of(gpu.call, CUDA, 0.002, cold=cold, capture=capture)
    assert (timer.name, timer.sample()) == ("events", elapsed)
    assert "replay" not in gpu.told
    assert ("refused" in gpu.told) is not captures
    assert gpu.streams == ["first"]


def test_after_a_capture_that_failed_the_pool_is_left_and_no_other_is_tried(monkeypatch: pytest.MonkeyPatch) -> None:
    gpu = pretend(monkeypatch, Gpu(elapsed_ms=0.005, captures=False))
    for _ in range(2):
        assert timer_of(gpu.call, CUDA, 0.002, cold=False, capture=True).name == "events"
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

    timer = timer_of(slow_to_queue, CUDA, 0.002, cold=False, capture=False)
    assert min(timer.sample() for _ in range(9)) < 1.0
    assert min(timer.host_ms) >= 2.0


@pytest.mark.gpu
@pytest.mark.parametrize("capture", [True, False])
def test_replay_and_events_agree(capture: bool) -> None:
    a = torch.ones(2**20, device=CUDA)
    timer = timer_of(lambda: a.add_(1), CUDA, 0.002, cold=False, capture=capture)
    assert timer.name in {"events", "graph" if capture else "events"}
    # 8 MiB through the L2 or the memory: more than a µs, and below 50.
    assert 0.001 < min(timer.sample() for _ in range(9)) < 0.05
