"""The page of a learning run: its statistics against independent ones, its verdicts, and what it says is missing."""

import csv
import json
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from bench.errors import RunFolderError
from bench.learn.folder import COLUMNS, TABLE
from bench.learn.variants import VARIANTS
from bench.results.columns import SCHEMA_VERSION
from reports.learning import page as learning
from reports.learning.claims import CLAIM_LEVEL, CLAIMS, claims, differences, summary
from reports.published import write_index
from tests import ROOT

HELD_OUT = 1000
Plant = Callable[..., Path]


def lines(right: Mapping[str, Sequence[int]]) -> list[dict[str, Any]]:
    """A row for each variant and seed, from how many of 1000 answers are right."""
    rows = []
    for name, counts in right.items():
        variant = VARIANTS[name]
        options = {key: getattr(variant, key) for key in ("kind", "kernel_size", "composability", "prior", "m")}
        rows += [
            {
                **{key: "" if value is None else value for key, value in options.items()},
                "variant": name,
                "seed": seed,
                "implementation": "unfold",
                "status": "ok",
                "reason": "",
                "correct": correct,
                "held_out": HELD_OUT,
                "accuracy": correct / HELD_OUT,
                "loss": 0.25,
                "train_accuracy": 0.999,
                "parameters": 1234,
                "seconds": 2.0,
            }
            for seed, correct in enumerate(counts)
        ]
    return rows


@pytest.fixture
def plant(tmp_path: Path) -> Plant:
    """Writes rows as `python -m bench learn` does, and returns the folder."""

    def write(rows: Sequence[Mapping[str, Any]], **changes: Any) -> Path:
        folder = tmp_path / "run"
        folder.mkdir()
        about = {
            "variants": list(VARIANTS),
            "seeds": 2,
            "minutes": 10.0,
            "processes": 2,
            "implementation": "unfold",
            "calls": 1,
        }
        about |= {"split": "half and half", "recipe_in_words": "one epoch", **changes}
        environment = {"schema_version": SCHEMA_VERSION, "argv": ["python", "-m", "bench", "learn"], "learning": about}
        (folder / "environment.json").write_text(json.dumps(environment))
        with (folder / TABLE).open("w", newline="", encoding="utf-8") as file:
            writer = csv.DictWriter(file, COLUMNS)
            writer.writeheader()
            writer.writerows(rows)
        return folder

    return write


def frame(right: Mapping[str, Sequence[int]], plant: Plant) -> pd.DataFrame:
    return learning.load(plant(lines(right))).rows


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


def test_the_command_writes_page_plot_and_tables(plant: Plant) -> None:
    right = {name: [950 + index, 955, 953 + index] for index, name in enumerate(VARIANTS)}
    folder = plant(lines(right), seeds=3)
    command = [sys.executable, "-m", "reports.learning", str(folder)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    report = folder / "report"
    assert str(report / "learning.md") in done.stdout
    page = (report / "learning.md").read_text()
    assert "- Larger windows help the layer: **not shown: 3 seeds, at least 5 are needed** (" in page
    assert (
        "63 trainings of 63: 21 variants from 3 seeds, 2 at a time with one thread each, in 1 call of at most 10"
        in page
    )
    assert "not trained" not in page
    assert (report / "accuracy.png").read_bytes().startswith(b"\x89PNG")
    assert len(pd.read_csv(report / "accuracy.csv")) == len(VARIANTS)
    assert len(pd.read_csv(report / "claims.csv")) == len(CLAIMS)


def test_the_page_says_what_is_missing_and_what_failed(plant: Plant) -> None:
    rows = lines({"relation-k3": [950], "relation-k7": [951]})
    rows[1] |= {"status": "error", "reason": "RuntimeError: a | <b>"} | dict.fromkeys(("correct", "loss"), "")
    run = learning.load(plant(rows, variants=["relation-k3", "relation-k7"], seeds=4))
    page = learning.page(
        run, {"claims": claims(run.rows), "accuracy": summary(run.rows), "differences": pd.DataFrame()}
    )
    assert "1 trainings of 8: 2 variants from 4 seeds. **The others were not trained: time was over" in page
    assert "(in 1 call of at most 10 minutes).**" in page
    assert "relation-k7 seed 0 failed: RuntimeError: a \\| &lt;b>" in page


def test_the_page_on_published_runs_has_the_verdicts_of_a_learning_run(plant: Plant) -> None:
    folder = plant(lines({"relation-k3": [950, 948, 949, 946, 952], "relation-k7": [970, 972, 969, 975, 971]}))
    learning.write(learning.load(folder), folder / "report")
    page = write_index(folder.parent).read_text()
    assert "Larger windows help the layer: shown (+2.24 points" in page
    assert 'href="run/report/learning.md"' in page


def test_a_report_replaces_its_older_self_and_nothing_else(plant: Plant, tmp_path: Path) -> None:
    run = learning.load(plant(lines({"relation-k3": [950, 960]})))
    out = tmp_path / "out"
    for _ in range(2):
        learning.write(run, out)
    (out / "mine.txt").touch()
    with pytest.raises(RunFolderError, match=r"holds mine\.txt, which is no part of a report"):
        learning.write(run, out)
    assert (out / "mine.txt").exists()


BAD = {
    "no row that ended well": ("variant,seed\n", "has no column kernel_size"),
    "an empty table": (",".join(COLUMNS) + "\n", "holds no training that ended well: its table has 0 rows"),
    "no text at all": ("", "cannot be read"),
}


@pytest.mark.parametrize(("text", "message"), BAD.values(), ids=BAD.keys())
def test_what_is_no_learning_run_is_refused(plant: Plant, text: str, message: str) -> None:
    folder = plant([])
    (folder / TABLE).write_text(text)
    with pytest.raises(RunFolderError, match=message):
        learning.load(folder)
