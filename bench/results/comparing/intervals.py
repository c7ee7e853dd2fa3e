"""How sure a difference of two runs is: the interval of a ratio of medians, and the margin of what counts as the same.

The interval is a bootstrap's that knows of autocorrelation and of turns.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...errors import RunFolderError
from ..reading import Key, Run

Samples = NDArray[np.float64]
REPLICATES = 4000
# Between runs of one code on one machine, where no doctor measured it: other processes, memory layout, clocks.
DEFAULT_FLOOR = {"cuda": 0.02, "cpu": 0.05}


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
    from scipy.special import stdtrit  # noqa: PLC0415  a third of a second, for runs in turns alone

    freedom = len(a) + len(b) - 2
    variance = sum(float(((side - side.mean()) ** 2).sum()) for side in sides) / freedom
    error = math.sqrt(variance * (1 / len(a) + 1 / len(b)))
    return float(stdtrit(freedom, (1 + confidence) / 2)) * error


def turns_of(run: Run, key: Key) -> list[Samples]:
    """The positive samples of a case, an array for each turn that has any."""
    arrays = (np.asarray(line.samples_ms, dtype=np.float64) for line in run.samples.get(key, []))
    return [kept for array in arrays if len(kept := array[np.isfinite(array) & (array > 0)])]


def devices_of(run: Run) -> set[str]:
    """The models that a run was measured on."""
    named = {str(_device(run)["name"])} if _device(run).get("name") else set()
    return named | {str(row["device"]) for row in run.rows.values() if row.get("device")}


def margin_of(a: Run, b: Run, tolerance: float) -> tuple[float, str]:
    """The share within which times are the same: the larger of the noise floor and the tolerance, and its origin.

    Raises:
        RunFolderError: What a doctor measured is no share.
    """
    candidates = [(tolerance, "the tolerance")]
    for run in (a, b):
        floor = noise_floor_of(run)
        if floor is not None:
            candidates.append((floor, f"the noise floor that doctor measured for {run.path}"))
        elif not any(len(turns) > 1 for turns in run.samples.values()):  # else samples hold the noise between processes
            kind = str(_device(run).get("type", "cpu"))
            default = DEFAULT_FLOOR.get(kind, max(DEFAULT_FLOOR.values()))
            candidates.append((default, f"the default noise floor on {kind}: no doctor measured it"))
    return max(candidates, key=lambda candidate: candidate[0])


def noise_floor_of(run: Run) -> float | None:
    """The share by which two runs of the same code differ, as `doctor` measured it; None if it did not.

    Raises:
        RunFolderError: It is there, and no share.
    """
    doctor = run.environment.get("doctor")
    floor = doctor.get("noise_floor") if isinstance(doctor, dict) else None
    if floor is None:
        return None
    if not isinstance(floor, (int, float)) or not 0 <= floor < math.inf:
        raise RunFolderError(f"{run.path}: the doctor's noise_floor must be a share of at least 0, got {floor!r}")
    return float(floor)


def _device(run: Run) -> Mapping[str, Any]:
    device = run.environment.get("device")
    return device if isinstance(device, dict) else {}
