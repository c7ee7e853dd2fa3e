"""Latency: samples in rounds until their median is known well enough, with the GPU's state before and after each."""

import math
import statistics
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from functools import partial
from typing import Any

import torch

from ..samples import half_width, median_interval, outliers
from .nvml import Reading, Telemetry, summary, telemetry_of
from .timers import Call, Source, source_of

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


@dataclass(frozen=True)
class Block:
    """Samples in a row, in ms; what ended them, and the GPU before and after."""

    samples_ms: list[float]
    ended: str
    before: Reading = field(default_factory=Reading)
    after: Reading = field(default_factory=Reading)

    @property
    def throttled(self) -> bool:
        """Whether the GPU held its clocks back before or after."""
        return self.before.throttled or self.after.throttled


@dataclass(frozen=True)
class Latency:
    """Blocks of samples and what they say.

    Args:
        blocks: One for each round.
        target: The share within which the median's interval was to be.
        timer: Where the samples are from: "wall", "events" or "graph".
        host_ms: The host's times to queue a call; none on a CPU, where nothing is queued.
        warmup_s: Seconds of warm-up over all rounds.
        set_aside: Throttled blocks that were measured once more.
    """

    blocks: list[Block]
    target: float = 0.01
    timer: str = "wall"
    host_ms: list[float] = field(default_factory=list)
    warmup_s: float = 0.0
    set_aside: list[Block] = field(default_factory=list)

    @property
    def samples_ms(self) -> list[float]:
        """The samples of all rounds, none left out."""
        return [sample for block in self.blocks for sample in block.samples_ms]

    @property
    def stop(self) -> str:
        """What ended the samples: "interval", "seconds", "samples", or "rounds" where each was settled, but not all."""
        if half_width(self.samples_ms) <= self.target:
            return "interval"
        return next((block.ended for block in reversed(self.blocks) if block.ended != "interval"), "rounds")

    def columns(self) -> dict[str, Any]:
        """The columns of a row."""
        samples = self.samples_ms
        fifths = statistics.quantiles(samples, n=5, method="inclusive")
        low, high = median_interval(samples) or (None, None)
        return {
            "latency_ms": statistics.median(samples),
            "latency_p20_ms": fifths[0],
            "latency_p80_ms": fifths[-1],
            "latency_low_ms": low,
            "latency_high_ms": high,
            "samples": len(samples),
            "outliers": len(outliers(samples)),
            "stop": self.stop,
            "timer": self.timer,
            "host_ms": statistics.median(self.host_ms) if self.host_ms else None,
            "warmup_s": self.warmup_s,
            "tainted": any(block.throttled for block in self.blocks),
            **summary(reading for block in self.blocks for reading in (block.before, block.after)),
        }

    def details(self) -> dict[str, Any]:
        """What belongs beside the samples: which are outliers, rounds, what was set aside, and the GPU's readings."""
        return {
            "outliers": outliers(self.samples_ms),
            "rounds": [len(block.samples_ms) for block in self.blocks],
            "telemetry": [[asdict(block.before), asdict(block.after)] for block in self.blocks],
            "set_aside_ms": [block.samples_ms for block in self.set_aside],
            "host_ms": self.host_ms,
        }


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
        self._open = partial(source_of, call, device, timing.block_seconds, cold=cache == "cold", capture=capture)
        self._source: Source | None = None
        self._blocks: list[Block] = []
        self._set_aside: list[Block] = []
        self._warmup_s = 0.0

    def round(self, seconds: float | None = None, least: int | None = None) -> Block:
        """Warm up, then take a block of samples: `timing`'s own seconds and least number of samples if None.

        A block in which the GPU was throttled is set aside and measured once more.
        """
        start = time.perf_counter()
        source = self._source = self._source or self._open()
        _warm_up(source.sample, self._timing)
        self._warmup_s += time.perf_counter() - start
        limits = (
            self._timing.seconds if seconds is None else seconds,
            self._timing.least(self._device) if least is None else least,
        )
        block = self._block(source, *limits)
        if block.throttled:
            self._set_aside.append(block)
            time.sleep(_PAUSE_SECONDS)
            block = self._block(source, *limits)
        self._blocks.append(block)
        return block

    def latency(self) -> Latency:
        """What the rounds so far say.

        Raises:
            ValueError: There was no round yet.
        """
        if self._source is None or not self._blocks:
            raise ValueError("a latency needs at least one round of samples, got none")
        return Latency(
            list(self._blocks),
            self._timing.target,
            self._source.timer,
            list(self._source.host_ms),
            self._warmup_s,
            list(self._set_aside),
        )

    def _block(self, source: Source, seconds: float, least: int) -> Block:
        before = self._telemetry.read()
        samples, ended = _collect(source.sample, seconds, least, self._timing.target)
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
