"""What samples say of their median: its interval by order statistics, and which of them lie apart. Free of torch."""

import math
import statistics
from collections.abc import Sequence
from functools import lru_cache

# Tukey's fence: so many interquartile ranges from the nearer quartile.
_FENCE = 1.5


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
