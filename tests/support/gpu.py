"""A pretended GPU, whose stream takes time of its own, for timers and samplers."""

import gc
from contextlib import nullcontext
from types import SimpleNamespace
from typing import Any

import pytest

from bench.device import flush, timers, timing


class Gpu:
    """A GPU whose stream takes time of its own: what it was told, and what its events say."""

    def __init__(self, queueing_cycles: int = 0, elapsed_ms: float = 0.25, *, captures: bool = True) -> None:
        self.queueing_cycles, self.held, self.captures = queueing_cycles, 0, captures
        self.told: list[str] = []
        self.now, self.streams, self.queueing_s = 0.0, ["first"], 0.00003
        self.collects: list[bool] = []
        self.device_s, self.unfinished = 0.0, 0
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
                gpu.wait()

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
            "synchronize": lambda _: self.wait(),
            "get_device_properties": lambda _: SimpleNamespace(L2_cache_size=100),
            "_sleep": self.hold,
        }
        left = SimpleNamespace(_cuda_endAllocateToPool=lambda index, pool: self.told.append(f"left {index} {pool}"))
        made = {"empty": self.empty, "zeros": self.zeros, "sum": self.sum, "int8": "int8", "float32": "float32"}
        self.torch = SimpleNamespace(cuda=SimpleNamespace(**cuda), _C=left, **made)

    def hold(self, cycles: int) -> None:
        self.held = cycles
        self.told.append("hold")

    def empty(self, size: int, **_: object) -> SimpleNamespace:
        self.written = size
        return SimpleNamespace(zero_=lambda: self.told.append("write"))

    def zeros(self, size: Any, **_: object) -> Any:
        return size

    def sum(self, size: Any, **_: object) -> None:
        self.told.append(f"read {size}")

    def call(self) -> None:
        self.now += self.queueing_s
        self.collects.append(gc.isenabled())
        self.unfinished += 1
        self.told.append("call")

    def wait(self) -> None:
        """Calls take their time on the device, as far as `device_s` says so."""
        self.now += self.unfinished * self.device_s
        self.unfinished = 0

    def sleep(self, seconds: float) -> None:
        self.now += seconds
        self.told.append("pause")

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
    for module in (timers, flush, timing):
        monkeypatch.setattr(module, "torch", gpu.torch)
    monkeypatch.setattr(timers, "capture_failures", [])
    for module in (timers, timing):
        monkeypatch.setattr(module, "time", SimpleNamespace(perf_counter=lambda: gpu.now, sleep=gpu.sleep))
    return gpu
