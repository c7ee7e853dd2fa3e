"""Runs with known truth, to compare."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from bench.results.columns import Row
from bench.results.comparing.intervals import Samples
from bench.results.folder import RunFolder
from tests.support.bench_cases import case

Draw = Callable[[np.random.Generator, int], Samples]
ENVIRONMENT: Mapping[str, Any] = {"device": {"type": "cuda", "name": "GPU 1"}, "doctor": {"noise_floor": 0.01}}
NOISE = 0.02


def independent(rng: np.random.Generator, count: int) -> Samples:
    """Around 1, with 2 % of noise."""
    return np.exp(NOISE * rng.standard_normal(count))


def correlated(rng: np.random.Generator, count: int) -> Samples:
    """The same noise, each sample like the one before it."""
    steps, level, noise = rng.standard_normal(count), 0.0, np.empty(count)
    for place, step in enumerate(steps):
        level = 0.6 * level + 0.8 * step
        noise[place] = level
    return np.exp(NOISE * noise)


def spiked(rng: np.random.Generator, count: int) -> Samples:
    """The same noise, and one sample in ten up to twice as long."""
    return independent(rng, count) * np.where(rng.random(count) < 0.1, 1 + rng.random(count), 1)


def switching(rng: np.random.Generator, count: int) -> Samples:
    """The same noise at two clocks, 10 % apart, one of them a third of the time."""
    return independent(rng, count) * np.where(rng.random(count) < 0.33, 1.1, 1)


DRAWS: Mapping[str, Draw] = {
    "independent": independent,
    "correlated": correlated,
    "spiked": spiked,
    "switching": switching,
}


def row(latency_ms: float | None = 1.0, status: str = "ok", **changes: Any) -> Row:
    """A row of a case that `changes` tell apart."""
    return {**case().parameters(), "status": status, "device": "GPU 1", "latency_ms": latency_ms, **changes}


def write_run(
    path: Path, rows: Mapping[int, tuple[Row, Samples]], environment: Mapping[str, Any] = ENVIRONMENT
) -> Path:
    """A run folder of the rows, each given the batch that it is listed under."""
    folder = RunFolder.create(path, environment)
    for batch, (one, samples) in rows.items():
        folder.append({**one, "batch": batch}, samples.tolist())
    return path


def timed(rng: np.random.Generator, factor: float = 1.0, count: int = 100, **changes: Any) -> tuple[Row, Samples]:
    """A row and its samples around `factor` ms."""
    samples = factor * independent(rng, count)
    return row(float(np.median(samples)), **changes), samples


def failed(status: str) -> tuple[Row, Samples]:
    """A row without a time."""
    return row(None, status), np.empty(0)
