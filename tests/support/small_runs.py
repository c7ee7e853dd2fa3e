"""A run of a few small cases, and whether its folder is whole."""

import csv
import json
from pathlib import Path
from typing import Any

from bench.results.columns import Row
from bench.results.reading import key_of
from tests.support.schemas import require_valid

SIZES = ["-a", "N=1,2", "-a", "hw=6", "-a", "C=8", "-a", "k=3", "-a", "m=4", "-a", "s=1"]
SWEEP = [*SIZES, "--implementation", "unfold,chunked", "--device", "cpu", "--seconds", "0"]
CASES = 8


def arguments(out: Path, *more: str) -> list[str]:
    return ["run", "quick", *SWEEP, "--out", str(out), *more]


def rows_of(path: Path) -> list[Row]:
    return [json.loads(line) for line in (path / "results.jsonl").read_text(encoding="utf-8").splitlines()]


def keys_of(path: Path) -> set[tuple[Any, ...]]:
    return {key_of(row) for row in rows_of(path)}


def require_whole(path: Path, cases: int = CASES) -> None:
    """Each case once, its table and samples to match, all of it valid."""
    require_valid(path)
    rows = rows_of(path)
    assert len(rows) == len(keys_of(path)) == cases
    with (path / "results.csv").open(newline="", encoding="utf-8") as file:
        flat = list(csv.DictReader(file))
    assert flat == [{name: "" if value is None else str(value) for name, value in row.items()} for row in rows]
    samples = [json.loads(line) for line in (path / "samples.jsonl").read_text(encoding="utf-8").splitlines()]
    assert [key_of(line) for line in samples] == [key_of(row) for row in rows]
    assert [sum(line["rounds"]) for line in samples] == [len(line["samples_ms"]) for line in samples]
    assert [row["samples"] or 0 for row in rows] == [len(line["samples_ms"]) for line in samples]


def tear(path: Path) -> None:
    """Cut the last line of the rows short."""
    text = path.read_bytes()
    path.write_bytes(text[:-50])
