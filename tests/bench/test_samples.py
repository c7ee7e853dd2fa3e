"""Intervals of a median on samples whose truth is known, and marks on those that lie apart."""

import math
import random
from collections.abc import Callable

import pytest

pytest.importorskip("scipy")

from scipy.stats import binom

from bench.samples import half_width, median_interval, outliers

# Draws and the median of their distribution.
DISTRIBUTIONS: dict[str, tuple[Callable[[random.Random], float], float]] = {
    "normal": (lambda chance: chance.gauss(10, 1), 10.0),
    "skewed": (lambda chance: chance.lognormvariate(0, 1), 1.0),
    "two modes": (lambda chance: chance.choice([1.0, 3.0]) + chance.random(), 2.0),
}


@pytest.mark.parametrize("count", [6, 7, 30, 31, 100, 1500])
@pytest.mark.parametrize("level", [0.5, 0.95, 0.99])
def test_ranks_are_those_of_the_binomial(count: int, level: float) -> None:
    samples = [float(sample) for sample in range(1, count + 1)]
    random.Random(1).shuffle(samples)
    interval = median_interval(samples, level)
    tail = (1 - level) / 2
    if binom.cdf(0, count, 0.5) > tail:
        assert interval is None
        return
    assert interval is not None
    rank = int(interval[0])
    assert interval[1] == count + 1 - rank
    assert binom.cdf(rank - 1, count, 0.5) <= tail < binom.cdf(rank, count, 0.5)


@pytest.mark.parametrize(("draw", "median"), DISTRIBUTIONS.values(), ids=DISTRIBUTIONS)
@pytest.mark.parametrize("count", [12, 40])
def test_an_interval_holds_the_median_as_often_as_it_says(
    draw: Callable[[random.Random], float], median: float, count: int
) -> None:
    chance, held, trials = random.Random(7), 0, 2000
    for _ in range(trials):
        interval = median_interval([draw(chance) for _ in range(count)])
        assert interval is not None
        held += interval[0] <= median <= interval[1]
    # At least 95 %, less four standard errors; ranks are whole numbers, so it may be a few per cent more.
    assert 0.95 - 4 * math.sqrt(0.05 * 0.95 / trials) <= held / trials <= 0.99


@pytest.mark.parametrize("count", [1, 2, 5])
def test_too_few_samples_have_no_interval(count: int) -> None:
    assert median_interval([1.0] * count) is None
    assert half_width([1.0] * count) == math.inf


def test_half_width_is_a_share_of_the_median() -> None:
    assert half_width([9.0, 10.0, 10.0, 10.0, 10.0, 13.0]) == pytest.approx(0.2)
    assert half_width([5.0] * 6) == 0.0
    assert half_width([0.0] * 6) == math.inf


def test_outliers_are_named_by_position() -> None:
    samples = [10.0, 11.0, 50.0, 12.0, 10.5, 11.5, -30.0, 11.2]
    assert outliers(samples) == [2, 6]
    assert outliers([1.0] * 9) == outliers([1.0]) == outliers([1.0, 99.0]) == []


def test_one_in_a_hundred_and_fifty_of_a_normal_lies_apart() -> None:
    chance = random.Random(3)
    samples = [chance.gauss(10, 1) for _ in range(20_000)]
    # Beyond 2.698 standard deviations: 0.70 % of a normal distribution.
    assert len(outliers(samples)) / len(samples) == pytest.approx(0.007, abs=0.002)
