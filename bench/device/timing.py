"""Latency: samples in rounds until their median is known well enough, with the GPU's state before and after each."""

import math
import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import torch

from ..samples import Block, Latency, half_width
from .nvml import Telemetry, telemetry_of
from .timers import Call, Timer, timer_of

__all__ = ["Block", "Call", "Latency", "Sampler", "Timing", "measure"]

# Samples at the least, by the type of device.
_LEAST = {"cpu": 7, "cuda": 30}
# The medians of two windows in a row that differ by this share at the most end the warm-up.
_WINDOW, _STABLE = 3, 0.02
# The longest warm-up, in those asked for.
_LONGEST = 10
# How much more often than the last time the interval is looked at.
_GROWTH = 1.1
# A throttled GPU is left alone for so long before its block is measured once more.
_PAUSE_SECONDS = 0.2


@dataclass(frozen=True)
class Timing:
    """How long a case is measured.

    Args:
        seconds: Time for the samples, at the most, once there are enough of them.
        min_samples: Samples at the least; 7 on a CPU and 30 on a GPU if None.
        warmup_seconds: Time for the warm-up at the least; ten times that at the most, where times do not become stable.
        block_seconds: How long a block of calls takes that is one sample on a CPU.
        target: Half the width of the median's 95 % interval, as a share of the median, that ends the samples.
        energy: Whether energy is measured, in a window of its own.
    """

    seconds: float = 0.5
    min_samples: int | None = None
    warmup_seconds: float = 0.025
    block_seconds: float = 0.002
    target: float = 0.01
    energy: bool = False

    def least(self, device: torch.device) -> int:
        """Samples at the least."""
        return self.min_samples if self.min_samples is not None else _LEAST[device.type]


class Sampler:
    """Takes samples of a call that has been compiled already, round by round, and makes a latency of all of them.

    Args:
        call: What is timed.
        device: Where it runs.
        timing: How long.
        cache: "cold" (CUDA only) or "hot".
        capture: Whether a short call may be replayed from a CUDA graph; not for one whose kept graph is of another
            stream, as in mode "backward".
        telemetry: Where the GPU's state is read; the device's own if None.
    """

    def __init__(
        self,
        call: Call,
        device: torch.device,
        timing: Timing,
        cache: str = "hot",
        *,
        capture: bool = True,
        telemetry: Telemetry | None = None,
    ) -> None:
        self._device, self._timing = device, timing
        self._telemetry = telemetry_of(device) if telemetry is None else telemetry
        self._open = partial(timer_of, call, device, timing.block_seconds, cold=cache == "cold", capture=capture)
        self._timer: Timer | None = None
        self._blocks: list[Block] = []
        self._set_aside: list[Block] = []
        self._warmup_s = 0.0

    def round(self, seconds: float | None = None, least: int | None = None) -> Block:
        """Warm up, then take a block of samples: `timing`'s own seconds and least number of samples if None.

        A block in which the GPU was throttled is set aside and measured once more.
        """
        start = time.perf_counter()
        timer = self._timer = self._timer or self._open()
        _warm_up(timer.sample, self._timing)
        self._warmup_s += time.perf_counter() - start
        limits = (
            self._timing.seconds if seconds is None else seconds,
            self._timing.least(self._device) if least is None else least,
        )
        block = self._block(timer, *limits)
        if block.throttled:
            self._set_aside.append(block)
            time.sleep(_PAUSE_SECONDS)
            block = self._block(timer, *limits)
        self._blocks.append(block)
        return block

    def latency(self) -> Latency:
        """What the rounds so far say.

        Raises:
            ValueError: There was no round yet.
        """
        if self._timer is None or not self._blocks:
            raise ValueError("a latency needs at least one round of samples, got none")
        return Latency(
            list(self._blocks),
            self._timing.target,
            self._timer.name,
            list(self._timer.host_ms),
            self._warmup_s,
            list(self._set_aside),
        )

    def _block(self, timer: Timer, seconds: float, least: int) -> Block:
        before = self._telemetry.read()
        samples, ended = _collect(timer.sample, seconds, least, self._timing.target)
        return Block(samples, ended, before, self._telemetry.read())


def measure(call: Call, device: torch.device, timing: Timing, cache: str = "hot", *, capture: bool = True) -> Latency:
    """Time a call that has been compiled already, from a "cold" L2 (CUDA only) or a "hot" one, in one round."""
    sampler = Sampler(call, device, timing, cache, capture=capture)
    sampler.round()
    return sampler.latency()


def _warm_up(sample: Callable[[], float], timing: Timing) -> None:
    """Run for the warm-up's time, and on until two windows of samples agree or ten times as much has passed."""
    start = time.perf_counter()
    samples: list[float] = []
    while True:
        samples.append(sample())
        passed = time.perf_counter() - start
        if passed >= timing.warmup_seconds and (_is_stable(samples) or passed >= _LONGEST * timing.warmup_seconds):
            return


def _is_stable(samples: list[float]) -> bool:
    if len(samples) < 2 * _WINDOW:
        return False
    before, after = statistics.median(samples[-2 * _WINDOW : -_WINDOW]), statistics.median(samples[-_WINDOW:])
    return abs(after - before) <= _STABLE * before


def _collect(sample: Callable[[], float], seconds: float, least: int, target: float) -> tuple[list[float], str]:
    """Samples, and what ended them: "interval", "seconds", or "samples" where the least number took all the time."""
    samples: list[float] = []
    start, look = time.perf_counter(), max(least, 1)
    while True:
        in_time = time.perf_counter() - start < seconds
        samples.append(sample())
        if len(samples) < least:
            continue
        if len(samples) >= look:
            if half_width(samples) <= target:
                return samples, "interval"
            look = math.ceil(_GROWTH * len(samples))
        if time.perf_counter() - start >= seconds:
            return samples, "seconds" if in_time else "samples"
