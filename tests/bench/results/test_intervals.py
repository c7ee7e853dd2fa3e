"""The statistics of compare on samples with known truth."""

import numpy as np
import pytest

from bench.results.comparing.intervals import autocorrelation_time, ratio_of_medians, resampled_medians
from bench.results.comparing.verdicts import FASTER, SAME, SLOWER, Judging, _verdict
from tests.support.compared import DRAWS, NOISE, independent

PAIRS = 200
MARGIN = Judging().tolerance


def verdicts(draw: str, factor: float, count: int = 100) -> list[str]:
    """The verdicts on pairs of which B takes `factor` times as long."""
    rng, found = np.random.default_rng(0), []
    for seed in range(PAIRS):
        a, b = (DRAWS[draw](rng, count) for _ in range(2))
        found.append(_verdict(ratio_of_medians([a], [factor * b], Judging().confidence, seed), MARGIN))
    return found


@pytest.mark.parametrize(("draw", "count"), [*((draw, 100) for draw in DRAWS), ("independent", 30)])
def test_the_same_code_is_called_worse_at_most_once_in_a_hundred(draw: str, count: int) -> None:
    found = verdicts(draw, 1.0, count)
    assert max(found.count(SLOWER), found.count(FASTER)) <= PAIRS / 100


@pytest.mark.parametrize("draw", ["independent", "correlated", "spiked"])
def test_five_per_cent_slower_is_found_95_times_in_a_hundred(draw: str) -> None:
    assert verdicts(draw, 1.05).count(SLOWER) >= 0.95 * PAIRS
    assert verdicts(draw, 1 / 1.05).count(FASTER) >= 0.95 * PAIRS


def test_the_same_code_is_called_the_same() -> None:
    assert verdicts("independent", 1.0, 300).count(SAME) >= 0.95 * PAIRS


@pytest.mark.parametrize("draw", DRAWS)
def test_intervals_hold_the_truth_as_often_as_they_say(draw: str) -> None:
    rng, held = np.random.default_rng(1), 0
    for seed in range(PAIRS):
        a, b = (DRAWS[draw](rng, 100) for _ in range(2))
        interval = ratio_of_medians([a], [1.3 * b], 0.9, seed)
        held += interval.low <= 1.3 <= interval.high
    assert held >= 0.85 * PAIRS


def test_the_closed_form_is_the_resampling_it_stands_for() -> None:
    rng = np.random.default_rng(2)
    samples = independent(rng, 101)
    drawn = np.median(rng.choice(samples, (4000, len(samples))), axis=1)
    assert np.std(resampled_medians([samples], rng)) == pytest.approx(np.std(drawn), rel=0.3)


def test_autocorrelation_counts_samples_for_less() -> None:
    rng = np.random.default_rng(3)
    samples = independent(rng, 200)
    assert autocorrelation_time(samples) < 1.6
    assert autocorrelation_time(np.repeat(samples, 8)) == pytest.approx(8, rel=0.4)
    assert autocorrelation_time(np.ones(50)) == 1
    assert autocorrelation_time(np.linspace(1, 2, 100)) > 25


def test_turns_that_lie_apart_are_evidence_of_noise() -> None:
    """Each process has a level of its own, 3 % of noise, which its samples do not show."""
    rng, worse = np.random.default_rng(4), {1.0: 0, 1.3: 0}
    for factor in worse:
        for seed in range(PAIRS):
            levels = np.exp(0.03 * rng.standard_normal((2, 4)))
            a, b = ([level * independent(rng, 50) for level in side] for side in levels)
            interval = ratio_of_medians(a, [factor * turn for turn in b], Judging().confidence, seed)
            worse[factor] += _verdict(interval, MARGIN) == SLOWER
    assert worse[1.0] <= PAIRS / 100
    assert worse[1.3] >= 0.95 * PAIRS


def test_without_its_turns_that_noise_would_be_called_a_regression() -> None:
    rng, worse = np.random.default_rng(4), 0
    for seed in range(PAIRS):
        a, b = (np.exp(2 * NOISE * rng.standard_normal()) * independent(rng, 200) for _ in range(2))
        worse += _verdict(ratio_of_medians([a], [b], Judging().confidence, seed), MARGIN) == SLOWER
    assert worse > PAIRS / 20


def test_a_seed_gives_the_same_interval_again() -> None:
    a, b = (independent(np.random.default_rng(seed), 50) for seed in (5, 6))
    assert ratio_of_medians([a], [b], 0.99, 7) == ratio_of_medians([a], [b], 0.99, 7)
