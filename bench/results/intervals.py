"""How well samples fix the ratio of two medians: a bootstrap interval that knows of autocorrelation and of turns."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import stdtrit

Samples = NDArray[np.float64]
REPLICATES = 4000


@dataclass(frozen=True)
class Ratio:
    """The median of B over that of A, with the interval that holds the true ratio at the asked confidence."""

    value: float
    low: float
    high: float


def ratio_of_medians(a: Sequence[Samples], b: Sequence[Samples], confidence: float, seed: int) -> Ratio:
    """The ratio of the medians of B and A, and the wider of two intervals around it.

    The first is the bootstrap's, from the samples as if each turn's level were sure; the second, where both sides
    have two turns or more, Student's from how far the medians of one side's turns lie apart.

    Args:
        a: Positive samples of the first side, an array for each turn of measuring.
        b: Those of the second side.
        confidence: The share of intervals that are to hold the true ratio, between 0 and 1.
        seed: Of the bootstrap.
    """
    rng = np.random.default_rng(seed)
    medians = math.log(np.median(np.concatenate(b)) / np.median(np.concatenate(a)))
    replicates = np.log(resampled_medians(b, rng)) - np.log(resampled_medians(a, rng))
    tail = (1 - confidence) / 2
    low, high = np.quantile(replicates, [tail, 1 - tail])
    reach = turns_reach(a, b, confidence)
    low, high = min(low, medians - reach), max(high, medians + reach)
    return Ratio(math.exp(medians), math.exp(low), math.exp(high))


def resampled_medians(turns: Sequence[Samples], rng: np.random.Generator) -> Samples:
    """Draws from the bootstrap distribution of the pooled samples' median, `REPLICATES` of them.

    The rank of a resampled median is known without resampling: as a share of n it follows Beta((n + 1)/2, (n + 1)/2)
    (Efron 1979, in the limit of a continuous rank). Autocorrelated samples count as n/τ independent ones.
    """
    effective = sum(len(turn) / autocorrelation_time(turn) for turn in turns)
    ranks = rng.beta((effective + 1) / 2, (effective + 1) / 2, REPLICATES)
    return np.asarray(np.quantile(np.concatenate(turns), ranks))


def autocorrelation_time(samples: Samples) -> float:
    """How many samples in a row are worth one independent sample; at least 1.

    τ = 1 + 2 Σ r(lag), r the autocorrelation of "above the median or not", which is what a median averages, summed
    over pairs of lags as long as they are positive (Geyer 1992).
    """
    signs = np.sign(samples - np.median(samples))
    signs -= signs.mean()
    n = len(samples)
    power = float(signs @ signs)
    if n < 4 or power == 0:
        return 1.0
    spectrum = np.fft.rfft(signs, 2 * n)
    correlation = np.fft.irfft(spectrum * spectrum.conj())[:n] / power
    pairs = correlation[: n // 2 * 2].reshape(-1, 2).sum(axis=1)
    negative = np.flatnonzero(pairs <= 0)
    total = pairs[: negative[0] if len(negative) else None].sum()
    return float(np.clip(2 * total - 1, 1, n))


def turns_reach(a: Sequence[Samples], b: Sequence[Samples], confidence: float) -> float:
    """Half the width of Student's interval for the log ratio, from the spread of turns; 0 without them."""
    if min(len(a), len(b)) < 2:
        return 0.0
    sides = [np.log([np.median(turn) for turn in side]) for side in (a, b)]
    freedom = len(a) + len(b) - 2
    variance = sum(float(((side - side.mean()) ** 2).sum()) for side in sides) / freedom
    error = math.sqrt(variance * (1 / len(a) + 1 / len(b)))
    return float(stdtrit(freedom, (1 + confidence) / 2)) * error
