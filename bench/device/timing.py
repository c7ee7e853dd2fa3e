"""Latency: samples in rounds until their median is known well enough, with the GPU's state before and after each."""

import math
import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import torch

from ..samples import Block, Latency, half_width
from .flush import FLUSH_FACTOR
from .nvml import Telemetry, telemetry_of
from .timers import Call, Known, Timer, Way, timer_of

__all__ = ["Block", "Call", "Latency", "Sampler", "Timing", "measure"]

# Samples at the least, by the type of device.
_LEAST = {"cpu": 7, "cuda": 30}
# The medians of two windows in a row that differ by this share at the most end the warm-up.
_WINDOW, _STABLE = 3, 0.02
# The longest warm-up, in those asked for.
_LONGEST = 10
# Once so many times a round's seconds are spent, so many samples are enough.
_LONG, _FEWEST = 5, 3
# The clock is waited for so long, and is up at that share of its maximum.
_CLOCK_SECONDS, _CLOCK_SHARE = 0.1, 0.9
# How much more often than the last time the interval is looked at.
_GROWTH = 1.1
# A throttled GPU is left alone for so long before its block is measured once more.
_PAUSE_SECONDS = 0.2


@dataclass(frozen=True)
class Timing:
    """How long a case is measured.

    Args:
        seconds: Time for the samples, at the most, once there are enough of them; 0 for the least number of them.
        min_samples: Samples at the least; 7 on a CPU and 30 on a GPU if None. Three are enough once five times the
            seconds are spent.
        warmup_seconds: Time for the warm-up at the least; ten times that at the most, where times do not become stable.
        block_seconds: How long a block of calls takes that is one sample on a CPU.
        target: Half the width of the median's 95 % interval, as a share of the median, that ends the samples.
        energy: Whether energy is measured, in a window of its own.
        flush_factor: How many times the L2's size is written to flush it.
    """

    seconds: float = 0.5
    min_samples: int | None = None
    warmup_seconds: float = 0.025
    block_seconds: float = 0.002
    target: float = 0.01
    energy: bool = False
    flush_factor: float = FLUSH_FACTOR

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
        known: What earlier rounds have found of the call; this one adds to it.
    """

    def __init__(  # noqa: PLR0913
        self,
        call: Call,
        device: torch.device,
        timing: Timing,
        cache: str = "hot",
        *,
        capture: bool = True,
        telemetry: Telemetry | None = None,
        known: Known | None = None,
    ) -> None:
        self._call, self._device, self._timing = call, device, timing
        self._telemetry = telemetry_of(device) if telemetry is None else telemetry
        self._patience, self._not_retaken = self._telemetry.patience, False
        way = Way(timing.block_seconds, cold=cache == "cold", capture=capture, flush_factor=timing.flush_factor)
        self._open = partial(timer_of, call, device, way, known)
        self._timer: Timer | None = None
        self._blocks: list[Block] = []
        self._set_aside: list[Block] = []
        self._warmup_s = 0.0

    def round(self, seconds: float | None = None, least: int | None = None) -> Block:
        """Warm up, then take a block of samples: `timing`'s own seconds and least number of samples if None.

        A block in which the GPU was throttled is set aside and measured once more after a pause, without another
        warm-up; where that was in vain three times in a row, it is kept.
        """
        start = time.perf_counter()
        timer = self._timer = self._timer or self._opened()
        _warm_up(timer.sample, self._timing, start, self._clock_is_up)
        self._warmup_s += time.perf_counter() - start
        limits = (
            self._timing.seconds if seconds is None else seconds,
            self._timing.least(self._device) if least is None else least,
        )
        block = self._block(timer, *limits)
        if block.throttled:
            if self._patience.with_throttling():
                self._set_aside.append(block)
                time.sleep(_PAUSE_SECONDS)
                block = self._block(timer, *limits)
            else:
                self._not_retaken = True
        self._patience.saw(throttled=block.throttled)
        self._blocks.append(block)
        return block

    def _opened(self) -> Timer:
        """The timer of the call; on a GPU the call was made once before, as what is compiled may have to be loaded."""
        if self._device.type == "cuda":
            self._call()
            torch.cuda.synchronize(self._device)
        return self._open()

    def _clock_is_up(self, waited: float) -> bool:
        """Whether the GPU's clock is up after so many seconds, or has been waited for long enough, or is not known."""
        if not self._patience.with_clock():
            return True
        now, most = self._telemetry.sm_mhz(), self._telemetry.most_sm_mhz()
        if now is None or most is None:
            return True
        up = now >= _CLOCK_SHARE * most
        if up or waited >= _CLOCK_SECONDS:
            self._patience.saw(clock_up=up)
            return True
        return False

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
            self._not_retaken,
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


def _warm_up(sample: Callable[[], float], timing: Timing, start: float, ready: Callable[[float], bool]) -> None:
    """Run from `start` for the warm-up's time, and on until two windows of samples agree and the device is ready.

    After ten times as much time the windows need not agree; no sample is taken where what came before took as long.
    """
    samples: list[float] = []
    if 0 < _LONGEST * timing.warmup_seconds <= time.perf_counter() - start:
        return
    while True:
        samples.append(sample())
        passed = time.perf_counter() - start
        settled = _is_stable(samples) or passed >= _LONGEST * timing.warmup_seconds
        if passed >= timing.warmup_seconds and settled and ready(passed):
            return


def _is_stable(samples: list[float]) -> bool:
    if len(samples) < 2 * _WINDOW:
        return False
    before, after = statistics.median(samples[-2 * _WINDOW : -_WINDOW]), statistics.median(samples[-_WINDOW:])
    return abs(after - before) <= _STABLE * before


def _collect(sample: Callable[[], float], seconds: float, least: int, target: float) -> tuple[list[float], str]:
    """Samples, and what ended them: "interval", "seconds", or "samples" where the least number took all the time.

    The least number falls to three once five times the seconds are spent.
    """
    samples: list[float] = []
    start, look = time.perf_counter(), max(least, 1)
    while True:
        in_time = time.perf_counter() - start < seconds
        samples.append(sample())
        if 0 < _LONG * seconds <= time.perf_counter() - start:
            least = min(least, _FEWEST)
        if len(samples) < least:
            continue
        if len(samples) >= look:
            if half_width(samples) <= target:
                return samples, "interval"
            look = math.ceil(_GROWTH * len(samples))
        if time.perf_counter() - start >= seconds:
            return samples, "seconds" if in_time else "samples"
