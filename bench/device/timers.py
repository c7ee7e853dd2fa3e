"""Where a sample comes from: blocks of wall clock on a CPU; on a GPU, events on a held stream, or a graph's replay."""

import gc
import math
import statistics
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

import torch

from .flush import FLUSH_FACTOR, Flush

Call = Callable[[], object]

# Clock cycles for which a GPU is held before a sample: 0.1 ms at 2 GHz to begin with, 10 ms at the most.
_FIRST_HOLD, _LONGEST_HOLD, _HERTZ = 200_000, 20_000_000, 2e9
# A call below this is repeated within a graph, for as long as a sample ought to take, so many times at the most.
_SHORT_MS, _REPLAY_MS, _MOST_CALLS = 0.05, 0.5, 200
# Samples from which a GPU's time of a call is estimated, and its host's time where a graph takes over; one of so many
# times a short call's length needs no more of them.
_ESTIMATES, _CLEARLY_LONG = 10, 4

# Why this process captures no more graphs.
capture_failures: list[str] = []


@dataclass
class Known:
    """What earlier rounds have found of a call on a GPU.

    Args:
        holds: Cycles for which the GPU is held, by the timer's name: enough to queue the call, or its replay.
        long: Whether the call is too long for a graph.
    """

    holds: dict[str, int] = field(default_factory=dict)
    long: bool = False


@dataclass(frozen=True)
class Timer:
    """One sample of a call in ms, how it is taken, and the host's times to queue a call, in ms, as far as known."""

    sample: Callable[[], float]
    source: Callable[[], str]
    host_ms: list[float] = field(default_factory=list)

    @property
    def name(self) -> str:
        """How its samples so far were taken."""
        return self.source()


@dataclass(frozen=True)
class Way:
    """How a call may be timed.

    Args:
        block_seconds: How long a block of calls takes that is one sample on a CPU.
        cold: Whether the L2 is flushed before each sample.
        capture: Whether a short call from a hot L2 may be replayed from a graph.
        flush_factor: How many times the L2's size a flush writes.
    """

    block_seconds: float = 0.002
    cold: bool = False
    capture: bool = True
    flush_factor: float = FLUSH_FACTOR


def timer_of(call: Call, device: torch.device, way: Way, known: Known | None = None) -> Timer:
    """The source that fits a device and a call; what it finds of the call joins `known`."""
    if device.type != "cuda":
        return _wall(call, way.block_seconds)
    known = Known() if known is None else known
    flush = Flush(device, way.flush_factor) if way.cold else None
    stream = HeldStream(call, device, known.holds, flush=flush)
    if way.capture and not way.cold and not known.long and not capture_failures:
        replayed = _replayed(call, device, stream, known)
        if replayed is not None:
            return replayed
    elif stream.fresh:
        stream.settled()
    stream.forget()
    return Timer(stream.sample, stream.source, stream.host_ms)


def _replayed(call: Call, device: torch.device, stream: "HeldStream", known: Known) -> Timer | None:
    """The replay of a graph; None where the call is not short, or cannot be captured."""
    estimate = stream.settled()
    if estimate < _CLEARLY_LONG * _SHORT_MS:
        stream.forget()
        estimate = statistics.median(stream.sample() for _ in range(_ESTIMATES))
    known.long = estimate >= _SHORT_MS
    if known.long or estimate <= 0:
        return None
    calls = min(_MOST_CALLS, math.ceil(_REPLAY_MS / estimate))
    replay = captured(call, device, calls)
    if replay is None:
        return None
    replays = HeldStream(replay, device, known.holds, name="graph")
    if replays.fresh:
        replays.settled()
    return Timer(lambda: replays.sample() / calls, replays.source, stream.host_ms)


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

    return Timer(sample, lambda: "wall")


class HeldStream:
    """Device time of one call, between two events.

    The GPU is held busy while the host queues the call, so that gaps between launches are not measured. Where the
    first event has passed before all is queued, the hold was too short, and the next one is longer, up to 10 ms. Beyond
    that, or where more launches are queued than the driver takes (about 1024), the time is the host's as well.

    Args:
        call: What is timed.
        device: The GPU.
        holds: The cycles of a hold, by name: kept by who asks, so that they are searched once.
        flush: Run before each sample, if there is one.
        name: Of the hold, and of the timer.
    """

    def __init__(
        self,
        call: Call,
        device: torch.device,
        holds: dict[str, int],
        *,
        flush: Call | None = None,
        name: str = "events",
    ) -> None:
        self._call, self._device, self._flush, self._name, self._holds = call, device, flush, name, holds
        self._overtaken: list[bool] = []
        self.host_ms: list[float] = []
        self.fresh = name not in holds
        holds.setdefault(name, _FIRST_HOLD)

    def source(self) -> str:
        """The timer's name: "host" where the longest hold was too short for most samples."""
        return "host" if 2 * sum(self._overtaken) > len(self._overtaken) else self._name

    def forget(self) -> None:
        """Let what was sampled so far count for nothing but the hold."""
        self.host_ms.clear()
        self._overtaken.clear()

    def settled(self) -> float:
        """Sample until the hold is long enough, or the longest; the last sample in ms."""
        while True:
            before = self._holds[self._name]
            sample = self.sample()
            if self._holds[self._name] in (before, _LONGEST_HOLD):
                return sample

    def sample(self) -> float:
        """The time of one call on the GPU in ms; the host's time to queue it joins `host_ms`."""
        start, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))
        hold = self._holds[self._name]
        with torch.cuda.device(self._device):
            if self._flush is not None:
                self._flush()
            torch.cuda._sleep(hold)  # noqa: SLF001  the one kernel that waits without touching the L2
            start.record()
            queued = time.perf_counter()
            self._call()
            host_seconds = time.perf_counter() - queued
            end.record()
        passed = start.query()
        self.host_ms.append(host_seconds * 1e3)
        self._overtaken.append(passed and hold == _LONGEST_HOLD)
        if passed:
            # Half of what the host took, as a first call takes longer than the others.
            self._holds[self._name] = min(max(2 * hold, round(host_seconds * _HERTZ / 2)), _LONGEST_HOLD)
        end.synchronize()
        return float(start.elapsed_time(end))


@contextmanager
def no_garbage_collection() -> Iterator[None]:
    """Collect no garbage within: a compiled kernel that is collected during a capture breaks it."""
    before = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if before:
            gc.enable()


def captured(call: Call, device: torch.device, calls: int) -> Call | None:
    """So many calls as the replay of one CUDA graph, or None where the call cannot be captured.

    The replay has run once when this returns. A capture that fails may leave torch's allocator astray, so it is put
    right as far as that is possible, the reason joins `capture_failures`, and this process captures nothing more.
    """
    side, graph, pool = torch.cuda.Stream(device), torch.cuda.CUDAGraph(), torch.cuda.graph_pool_handle()
    try:
        # A capture that fails leaves its stream current: the outer context restores the one before.
        with torch.cuda.device(device), torch.cuda.stream(side):
            # What the first call on a stream allocates, as libraries' workspaces, stays out of the graph.
            call()
            torch.cuda.synchronize(device)
            capturing = torch.cuda.graph(graph, pool=pool, stream=side, capture_error_mode="relaxed")
            with no_garbage_collection(), capturing:
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


def index_of(device: torch.device) -> int:
    """The number of a GPU, that of the current one for "cuda" alone."""
    return torch.cuda.current_device() if device.index is None else device.index


def _leave_pool(device: torch.device, pool: tuple[int, int]) -> None:
    """Let the allocator forget a pool that a failed capture has left open; empty_cache would fail otherwise."""
    try:
        torch._C._cuda_endAllocateToPool(index_of(device), pool)  # noqa: SLF001  torch has no public way
    except (AttributeError, RuntimeError) as error:
        # It was closed already, or this torch names it otherwise.
        capture_failures.append(f"{type(error).__name__}: {(str(error).splitlines() or [''])[0]}")
