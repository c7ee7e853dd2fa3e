"""Scores: 1 at the bound, a half at the baseline, nothing where either is not known."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from bench.results.folder import RunFolder
from bench.results.reading import read_run
from bench.results.scores import score
from tests.support.compared import row


@pytest.mark.parametrize(
    ("latency_ms", "expected"), [(1.0, 1.0), (5.0, 0.5), (3.0, 2 / 3), (9.0, 1 / 3), (0.5, 1 / 0.875)]
)
def test_between_a_bound_of_1_and_a_baseline_of_5(latency_ms: float, expected: float) -> None:
    assert score(latency_ms, 1.0, 5.0) == pytest.approx(expected)


def test_there_is_no_scale_below_the_bound() -> None:
    assert score(1.0, 2.0, 2.0) is None
    assert score(0.1, 2.0, 2.5) is None


def test_a_run_that_is_read_has_scores(tmp_path: Path) -> None:
    """Of its bound, and of the baseline in the same mode and cache."""
    rows: list[dict[str, Any]] = [
        row(2.0, implementation="triton", bound_fraction=0.5),
        row(5.0, implementation="unfold", bound_fraction=0.2),
        row(2.0, implementation="chunked"),
        row(2.0, implementation="triton", mode="backward", bound_fraction=0.5),
        row(None, "error", implementation="compiled"),
        row(2.0, implementation="copy", kind="yardstick", bound_fraction=0.5),
    ]
    folder = RunFolder.create(tmp_path / "run", {})
    for one in rows:
        folder.append(one, np.ones(7).tolist())
    found = [one["score"] for one in read_run(tmp_path / "run").rows.values()]
    assert found == [pytest.approx(0.8), pytest.approx(0.5), None, None, None, None]
