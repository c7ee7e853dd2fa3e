"""Latency: CUDA events with the L2 cache flushed before each sample, or blocks of wall clock on a CPU."""

import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass

import torch

Call = Callable[[], object]


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


def measure(call: Call, device: torch.device, timing: Timing) -> Latency:
    """Time a call that has been compiled already; warms up first."""
    sample = _cuda_sampler(call, device) if device.type == "cuda" else _cpu_sampler(call, timing)
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


def _cuda_sampler(call: Call, device: torch.device) -> Callable[[], float]:
    """Device time of one call on a cold L2; the flush also gives the host time to queue the call."""
    flush = torch.empty(2 * torch.cuda.get_device_properties(device).L2_cache_size, dtype=torch.int8, device=device)

    def sample() -> float:
        start, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))
        flush.zero_()
        start.record()
        call()
        end.record()
        end.synchronize()
        return float(start.elapsed_time(end))

    return sample
