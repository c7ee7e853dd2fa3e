"""What trainings say: statistics against independent ones, and the verdicts."""

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
import pytest

pytest.importorskip("scipy")

from scipy import stats

from bench.learn.variants import VARIANTS
from reports.learning.claims import CLAIM_LEVEL, CLAIMS, claims, differences, summary
from reports.learning.page import load
from tests.support.learned import Plant, lines


def frame(right: Mapping[str, Sequence[int]], plant: Plant) -> pd.DataFrame:
    return load(plant(lines(right))).rows


def test_a_summary_is_the_mean_with_students_interval(plant: Plant) -> None:
    right = [950, 962, 955, 971, 949]
    [line] = summary(frame({"relation-k5-table": right}, plant)).to_dict("records")
    percent = np.array(right) / 10
    half = 2.7764451 * percent.std(ddof=1) / np.sqrt(5)  # t of 4 degrees of freedom at 97.5 %, from a table
    assert line["accuracy %"] == pytest.approx(percent.mean())
    assert (line["low %"], line["high %"]) == pytest.approx((percent.mean() - half, percent.mean() + half))
    assert (line["worst %"], line["best %"], line["deviation"]) == pytest.approx((94.9, 97.1, percent.std(ddof=1)))
    assert (line["k"], line["prior"], line["m"], line["seeds"]) == (5, "table", "8", 5)


def test_differences_are_paired_by_the_seeds_that_both_have(plant: Plant) -> None:
    right = {"relation-k7": [900, 910, 925], "relation-k7-m1": [905, 917], "relation-k3-none": [800, 801]}
    [line] = differences(frame(right, plant)).to_dict("records")
    assert (line["variant"], line["less"], line["seeds"]) == ("relation-k7-m1", "relation-k7", 2)
    assert line["points"] == pytest.approx(0.6)
    expected = stats.ttest_rel([90.5, 91.7], [90.0, 91.0]).confidence_interval(0.95)
    assert (line["low"], line["high"]) == pytest.approx((expected.low, expected.high))


def test_a_contrast_of_four_variants_is_taken_seed_by_seed(plant: Plant) -> None:
    right = {
        "relation-k7": [960, 966, 969, 955, 963],
        "relation-k3": [940, 950, 948, 941, 939],
        "convolution-k7": [990, 985, 988, 991, 989],
        "convolution-k3": [989, 988, 987, 988, 990],
    }
    table = claims(frame(right, plant)).set_index("claim")
    line = table.loc["Larger windows help the layer more than convolution"]
    a, b, c, d = (np.array(counts) / 10 for counts in right.values())
    expected = stats.ttest_rel(a - b, c - d).confidence_interval(CLAIM_LEVEL)
    assert (line["low"], line["high"]) == pytest.approx((expected.low, expected.high))
    assert line["verdict"] == "shown"


VERDICTS = {
    "shown": ([970, 972, 969, 975, 971], "shown"),
    "contradicted": ([930, 932, 929, 935, 931], "contradicted"),
    "not shown": ([950, 960, 940, 955, 951], "not shown"),
    "too few seeds": ([970, 972, 969, 975], "not shown: 4 seeds, at least 5 are needed"),
    "no spread": ([955, 953, 954, 951, 957], "not shown: every seed gave the same, which leaves no spread to judge by"),
}


@pytest.mark.parametrize(("right", "verdict"), VERDICTS.values(), ids=VERDICTS.keys())
def test_verdicts_on_a_gain(plant: Plant, right: list[int], verdict: str) -> None:
    base = [950, 948, 949, 946, 952]
    table = claims(frame({"relation-k3": base, "relation-k7": right}, plant)).set_index("claim")
    assert table.loc["Larger windows help the layer", "verdict"] == verdict


LITTLE = {
    "a small loss is little": (-2, "shown"),
    "a large loss is not": (-20, "contradicted"),
    "a loss about as large as little": (-5, "not shown"),
}


@pytest.mark.parametrize(("shift", "verdict"), LITTLE.values(), ids=LITTLE.keys())
def test_verdicts_on_a_small_loss(plant: Plant, shift: int, verdict: str) -> None:
    alone = np.array([950, 948, 949, 946, 952])
    shared = alone + shift + np.array([0, 1, -1, 1, -1])
    right = {"relation-k7-m1": alone.tolist(), "relation-k7": shared.tolist()}
    table = claims(frame(right, plant)).set_index("claim")
    assert table.loc["Eight channels that share weights lose little", "verdict"] == verdict


def test_all_intervals_hold_together_at_95_per_cent() -> None:
    assert len(CLAIMS) * (1 - CLAIM_LEVEL) == pytest.approx(0.05)
    assert {name for claim in CLAIMS for name in claim.terms} <= set(VARIANTS)
