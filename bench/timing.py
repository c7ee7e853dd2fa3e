"""Latency: CUDA events around one call, from a cold or a hot L2, or blocks of wall clock on a CPU."""

import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass

import torch

Call = Callable[[], object]

# Clock cycles for which a GPU is held before a sample: 0.1 ms at 2 GHz to begin with, 10 ms at the most.
_FIRST_HOLD, _LONGEST_HOLD = 200_000, 20_000_000


@dataclass(frozen=True)
class Timing:
    """How long a case is measured."""

    seconds: float = 0.5
    min_samples: int = 7
    warmup_seconds: float = 0.025
    block_seconds: float = 0.002


@dataclass(frozen=True)
class Latency:
    """The median and the 20th and 80th percentiles of samples, all in ms."""

    samples_ms: list[float]

    def columns(self) -> dict[str, float]:
        """The columns of a row."""
        fifths = statistics.quantiles(self.samples_ms, n=5, method="inclusive")
        return {
            "latency_ms": statistics.median(self.samples_ms),
            "latency_p20_ms": fifths[0],
            "latency_p80_ms": fifths[-1],
            "samples": len(self.samples_ms),
        }


def measure(call: Call, device: torch.device, timing: Timing, cache: str = "hot") -> Latency:
    """Time a call that has been compiled already, from a "cold" L2 (CUDA only) or a "hot" one; warms up first."""
    cold = cache == "cold"
    sample = _cuda_sampler(call, device, cold=cold) if device.type == "cuda" else _cpu_sampler(call, timing)
    _until(sample, timing.warmup_seconds, least=1)
    return Latency(_until(sample, timing.seconds, timing.min_samples))


def _until(sample: Callable[[], float], seconds: float, least: int) -> list[float]:
    """Samples until the time has passed, `least` at the least."""
    samples: list[float] = []
    start = time.perf_counter()
    while len(samples) < least or time.perf_counter() - start < seconds:
        samples.append(sample())
    return samples


def _cpu_sampler(call: Call, timing: Timing) -> Callable[[], float]:
    """Mean of a block of calls, long enough for the clock."""
    start = time.perf_counter()
    call()
    calls = max(1, round(timing.block_seconds / (time.perf_counter() - start)))

    def sample() -> float:
        start = time.perf_counter()
        for _ in range(calls):
            call()
        return (time.perf_counter() - start) / calls * 1e3

    return sample


def _cuda_sampler(call: Call, device: torch.device, *, cold: bool) -> Callable[[], float]:
    """Device time of one call.

    The GPU is held busy while the host queues the call, so that gaps between launches are not measured. Where the
    first event has passed before all is queued, the hold was too short, and the next one is twice as long.
    """
    flush = torch.empty(2 * torch.cuda.get_device_properties(device).L2_cache_size, dtype=torch.int8, device=device)
    hold = _FIRST_HOLD

    def sample() -> float:
        nonlocal hold
        start, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))
        with torch.cuda.device(device):
            if cold:
                flush.zero_()
            torch.cuda._sleep(hold)  # noqa: SLF001  the one kernel that waits without touching the L2
            start.record()
            call()
            end.record()
        if start.query():
            hold = min(2 * hold, _LONGEST_HOLD)
        end.synchronize()
        return float(start.elapsed_time(end))

    before = 0
    while before < hold:
        before = hold
        sample()
    return sample
