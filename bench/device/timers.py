"""Where a sample comes from: blocks of wall clock on a CPU; on a GPU, events on a held stream, or a graph's replay."""

import math
import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass, field

import torch

Call = Callable[[], object]

# Clock cycles for which a GPU is held before a sample: 0.1 ms at 2 GHz to begin with, 10 ms at the most.
_FIRST_HOLD, _LONGEST_HOLD = 200_000, 20_000_000
# A call below this is repeated within a graph, for as long as a sample ought to take, so many times at the most.
_SHORT_MS, _REPLAY_MS, _MOST_CALLS = 0.05, 0.5, 200
# Samples from which a GPU's time of a call is estimated, and its host's time where a graph takes over.
_ESTIMATES = 10

# Why this process captures no more graphs.
capture_failures: list[str] = []


@dataclass(frozen=True)
class Timer:
    """One sample of a call in ms, how it is taken, and the host's times to queue a call, in ms, as far as known."""

    name: str
    sample: Callable[[], float]
    host_ms: list[float] = field(default_factory=list)


def timer_of(call: Call, device: torch.device, block_seconds: float, *, cold: bool, capture: bool) -> Timer:
    """The source that fits a device and a call; with `capture`, a short one from a hot L2 is replayed from a graph."""
    if device.type != "cuda":
        return _wall(call, block_seconds)
    stream = HeldStream(call, device, cold=cold)
    estimate = statistics.median(stream.sample() for _ in range(_ESTIMATES))
    if capture and not cold and 0 < estimate < _SHORT_MS:
        calls = min(_MOST_CALLS, math.ceil(_REPLAY_MS / estimate))
        replay = captured(call, device, calls)
        if replay is not None:
            replays = HeldStream(replay, device, cold=False)
            return Timer("graph", lambda: replays.sample() / calls, stream.host_ms)
    stream.host_ms.clear()
    return Timer("events", stream.sample, stream.host_ms)


def _wall(call: Call, block_seconds: float) -> Timer:
    """Mean of a block of calls, long enough for the clock."""
    start = time.perf_counter()
    call()
    calls = max(1, round(block_seconds / max(time.perf_counter() - start, 1e-9)))

    def sample() -> float:
        start = time.perf_counter()
        for _ in range(calls):
            call()
        return (time.perf_counter() - start) / calls * 1e3

    return Timer("wall", sample)


class HeldStream:
    """Device time of one call, between two events.

    The GPU is held busy while the host queues the call, so that gaps between launches are not measured. Where the
    first event has passed before all is queued, the hold was too short, and the next one is twice as long.

    Args:
        call: What is timed.
        device: The GPU.
        cold: Whether the L2 is flushed before each sample.
    """

    def __init__(self, call: Call, device: torch.device, *, cold: bool) -> None:
        self._call, self._device, self._hold = call, device, _FIRST_HOLD
        size = 2 * torch.cuda.get_device_properties(device).L2_cache_size
        self._flush = torch.empty(size, dtype=torch.int8, device=device) if cold else None
        self.host_ms: list[float] = []
        before = 0
        while before < self._hold:
            before = self._hold
            self.sample()
        self.host_ms.clear()

    def sample(self) -> float:
        """The time of one call on the GPU in ms; the host's time to queue it joins `host_ms`."""
        start, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))
        with torch.cuda.device(self._device):
            if self._flush is not None:
                self._flush.zero_()
            torch.cuda._sleep(self._hold)  # noqa: SLF001  the one kernel that waits without touching the L2
            start.record()
            queued = time.perf_counter()
            self._call()
            self.host_ms.append((time.perf_counter() - queued) * 1e3)
            end.record()
        if start.query():
            self._hold = min(2 * self._hold, _LONGEST_HOLD)
        end.synchronize()
        return float(start.elapsed_time(end))


def captured(call: Call, device: torch.device, calls: int) -> Call | None:
    """So many calls as the replay of one CUDA graph, or None where the call cannot be captured.

    The replay has run once when this returns. A capture that fails may leave torch's allocator astray, so it is put
    right as far as that is possible, the reason joins `capture_failures`, and this process captures nothing more.
    """
    if capture_failures:
        return None
    side, graph, pool = torch.cuda.Stream(device), torch.cuda.CUDAGraph(), torch.cuda.graph_pool_handle()
    try:
        # A capture that fails leaves its stream current: the outer context restores the one before.
        with torch.cuda.device(device), torch.cuda.stream(side):
            # What the first call on a stream allocates, as libraries' workspaces, stays out of the graph.
            call()
            torch.cuda.synchronize(device)
            with torch.cuda.graph(graph, pool=pool, stream=side, capture_error_mode="relaxed"):
                for _ in range(calls):
                    call()
        with torch.cuda.device(device):
            graph.replay()
            torch.cuda.synchronize(device)
    except RuntimeError as error:
        capture_failures.append(f"{type(error).__name__}: {(str(error).splitlines() or [''])[0]}")
        _leave_pool(device, pool)
        return None
    return graph.replay


def _leave_pool(device: torch.device, pool: tuple[int, int]) -> None:
    """Let the allocator forget a pool that a failed capture has left open; empty_cache would fail otherwise."""
    index = torch.cuda.current_device() if device.index is None else device.index
    try:
        torch._C._cuda_endAllocateToPool(index, pool)  # noqa: SLF001  torch has no public way
    except (AttributeError, RuntimeError) as error:
        # It was closed already, or this torch names it otherwise.
        capture_failures.append(f"{type(error).__name__}: {(str(error).splitlines() or [''])[0]}")
