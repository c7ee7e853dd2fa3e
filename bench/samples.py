"""Samples of a latency and what they say: blocks, the median's interval, outliers, the GPU beside them. No torch."""

import math
import statistics
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, field
from functools import lru_cache
from typing import Any

# Tukey's fence: so many interquartile ranges from the nearer quartile.
_FENCE = 1.5
# Beside the reasons of throttling: that throttled samples were kept, as others had been throttled as well.
NOT_RETAKEN = "not_retaken"


def median_interval(samples: Sequence[float], level: float = 0.95) -> tuple[float, float] | None:
    """The r-th smallest and r-th largest sample, between which the median of their distribution lies.

    r is the largest rank with P(Bin(n, 1/2) < r) ≤ (1 − level)/2, so that the interval holds the median with at least
    that probability whatever the distribution, if the samples are independent (David and Nagaraja, Order Statistics,
    2003, §7.1). None where there are too few samples: below six at 95 %.
    """
    rank = _rank(len(samples), level)
    if rank == 0:
        return None
    ordered = sorted(samples)
    return ordered[rank - 1], ordered[-rank]


def half_width(samples: Sequence[float]) -> float:
    """Half the width of the median's 95 % interval as a share of the median; infinite where there is none."""
    interval, median = median_interval(samples), statistics.median(samples)
    return (interval[1] - interval[0]) / 2 / median if interval is not None and median > 0 else math.inf


def outliers(samples: Sequence[float]) -> list[int]:
    """Positions of samples more than 1.5 interquartile ranges below the first or above the third quartile."""
    if len(samples) < 2:
        return []
    first, _, third = statistics.quantiles(samples, n=4, method="inclusive")
    reach = _FENCE * (third - first)
    return [index for index, sample in enumerate(samples) if not first - reach <= sample <= third + reach]


@lru_cache(maxsize=4096)
def _rank(count: int, level: float) -> int:
    tail, below = (1 - level) / 2, 0.0
    for rank in range(count // 2 + 1):
        log_chance = math.lgamma(count + 1) - math.lgamma(rank + 1) - math.lgamma(count - rank + 1)
        below += math.exp(log_chance - count * math.log(2))
        if below > tail:
            return rank
    return 0


@dataclass(frozen=True)
class Reading:
    """The GPU at a moment: MHz, °C, W, and why its clocks are held back; None for what is not known."""

    sm_mhz: int | None = None
    memory_mhz: int | None = None
    temperature_c: int | None = None
    power_w: float | None = None
    throttle: tuple[str, ...] | None = None

    @property
    def throttled(self) -> bool:
        """Whether the clocks are known to be held back."""
        return bool(self.throttle)


def summary(readings: Iterable[Reading]) -> dict[str, Any]:
    """The columns of a row: the lowest clocks, the highest temperature and power, every throttle reason."""
    known = list(readings)

    def all_of(name: str) -> list[Any]:
        return [value for reading in known if (value := getattr(reading, name)) is not None]

    reasons = all_of("throttle")
    return {
        "sm_mhz": min(all_of("sm_mhz"), default=None),
        "memory_mhz": min(all_of("memory_mhz"), default=None),
        "temperature_c": max(all_of("temperature_c"), default=None),
        "power_w": max(all_of("power_w"), default=None),
        "throttle": "+".join(sorted({one for names in reasons for one in names})) or "none" if reasons else None,
    }


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
        timer: Where the samples are from: "wall", "events", "graph" or "host".
        host_ms: The host's times to queue a call; none on a CPU, where nothing is queued.
        warmup_s: Seconds of warm-up over all rounds.
        set_aside: Throttled blocks that were measured once more.
        not_retaken: Whether throttled blocks were kept at once, as measuring them once more had been in vain before.
    """

    blocks: list[Block]
    target: float = 0.01
    timer: str = "wall"
    host_ms: list[float] = field(default_factory=list)
    warmup_s: float = 0.0
    set_aside: list[Block] = field(default_factory=list)
    not_retaken: bool = False

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
        told = summary(reading for block in self.blocks for reading in (block.before, block.after))
        if self.not_retaken:
            told["throttle"] += f"+{NOT_RETAKEN}"
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
            **told,
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


def joined(rounds: Sequence[Latency]) -> Latency:
    """The rounds of a case as one latency; its timers are all that were used."""
    return Latency(
        blocks=[block for latency in rounds for block in latency.blocks],
        target=max((latency.target for latency in rounds), default=0.0),
        timer="+".join(sorted({latency.timer for latency in rounds})),
        host_ms=[time_ms for latency in rounds for time_ms in latency.host_ms],
        warmup_s=sum(latency.warmup_s for latency in rounds),
        set_aside=[block for latency in rounds for block in latency.set_aside],
        not_retaken=any(latency.not_retaken for latency in rounds),
    )
