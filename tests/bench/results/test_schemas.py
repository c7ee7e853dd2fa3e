"""What runs leave on disk is what the JSON Schemas of this version promise."""

from pathlib import Path
from typing import Any

import pytest

from bench.results.columns import CACHES, COLUMNS, KINDS, MODES, PARAMETERS, SCOPES, STATUSES, Row
from bench.results.turns import merge_turns
from kernels import CHANNEL_ORDERS, COMPOSABILITIES, DTYPES, MEMORY_FORMATS, PADDING_MODES
from tests.support.bench_cases import case
from tests.support.in_process import Invoke
from tests.support.schemas import jsonschema, lines_of, require_valid, schema, validator


def measured(**changes: Any) -> Row:
    numbers: Row = {"latency_ms": 1.0, "latency_p20_ms": 1.0, "latency_p80_ms": 1.0, "samples": 7, "images_per_s": 2e3}
    numbers |= {"timer": "wall", "tainted": False}
    row = {
        **dict.fromkeys(COLUMNS),
        **case().parameters(),
        "device": "a CPU",
        "fingerprint": "0123456789ab",
        "host": "here",
    }
    return {**row, "status": "ok", **numbers, **changes}


def test_the_schema_has_the_columns_and_their_values() -> None:
    row = schema("row")
    assert list(row["properties"]) == row["required"] == list(COLUMNS)
    choices = {
        "status": STATUSES,
        "kind": KINDS,
        "mode": MODES,
        "scope": SCOPES,
        "cache": CACHES,
        "composability": COMPOSABILITIES,
        "padding_mode": PADDING_MODES,
        "channel_order": CHANNEL_ORDERS,
        "dtype": DTYPES,
        "memory_format": MEMORY_FORMATS,
    }
    assert {name: tuple(row["properties"][name]["enum"]) for name in choices} == choices
    assert set(PARAMETERS) <= set(schema("samples")["required"])


WRONG: dict[str, dict[str, Any]] = {
    "a number that is 0 for want of one": {"status": "error", "reason": "KeyError", "latency_ms": 0},
    "a failure without a reason": {**dict.fromkeys(measured()), **case().parameters(), "status": "crashed"},
    "a status of no such name": {"status": "okay"},
    "no latency": {"latency_ms": None},
    "a reason where all is well": {"reason": "none"},
    "text for a number": {"peak_mib": "12"},
    "a rule that ends no samples": {"stop": "boredom"},
    "not known whether tainted": {"tainted": None},
    "another column": {"colour": "red"},
    "no window": {"kernel_size": 0},
    "a fingerprint of another kind": {"fingerprint": ""},
}


@pytest.mark.parametrize("changes", WRONG.values(), ids=WRONG.keys())
def test_what_is_wrong_is_not_valid(changes: dict[str, Any]) -> None:
    validator("row").validate(measured())
    with pytest.raises(jsonschema.ValidationError):
        validator("row").validate({**measured(), **changes})


@pytest.mark.usefixtures("in_process")
def test_runs_are_valid(invoke: Invoke, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: Any) -> None:
        raise MemoryError

    monkeypatch.setattr("kernels.implementations.chunked.run", broken)
    sizes = ["-a", "hw=6", "-a", "C=8", "-a", "k=3", "-a", "m=4", "-a", "s=1", "-a", "cache=hot,cold"]
    chosen = ["--implementation", "unfold,chunked", "--yardsticks", "--device", "cpu", "--seconds", "0"]
    assert invoke("run", "quick", *sizes, *chosen, "--out", "run")[0] == 0
    require_valid(tmp_path / "run")
    statuses = {row["status"] for row in lines_of(tmp_path / "run" / "results.jsonl")}
    assert statuses == {"ok", "out_of_memory", "unsupported"}


@pytest.mark.usefixtures("in_process")
def test_turns_as_one_run_are_valid(invoke: Invoke, tmp_path: Path) -> None:
    sizes = ["-a", "hw=6", "-a", "C=8", "-a", "k=3", "-a", "m=4", "-a", "s=1", "--implementation", "unfold"]
    for name in ("0-A", "1-A"):
        assert invoke("run", "quick", *sizes, "--device", "cpu", "--seconds", "0", "--out", name)[0] == 0
    turns = [tmp_path / "0-A", tmp_path / "1-A"]
    merge_turns(turns, tmp_path / "A", {"code": {"git_commit": None, "git_dirty": True}, "turns": ["0-A", "1-A"]})
    require_valid(tmp_path / "A")
    merged, *parts = (lines_of(path / "results.jsonl") for path in (tmp_path / "A", *turns))
    for row, *alike in zip(merged, *parts, strict=True):
        assert row["samples"] == sum(one["samples"] for one in alike)
        assert row["warmup_s"] == pytest.approx(sum(one["warmup_s"] for one in alike))
        assert row["peak_mib"] == max((one["peak_mib"] for one in alike if one["peak_mib"] is not None), default=None)
        assert row["tainted"] is False
