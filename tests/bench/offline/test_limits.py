"""What counts as a missed limit or a change since the record, on rows made up for it."""

from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest

from bench.offline import limits
from bench.offline.limits import changes, misses, read_record, write_record
from kernels import Problem

STAGE_28 = Problem(batch=64, channels=200, height=28, width=28, kernel_size=7, m=8, padding=3, dtype="bfloat16")


def row(kernel: str = "forward", **changed: Any) -> dict[str, Any]:
    """A row that keeps every limit just so, but for what is to be different."""
    most = {"forward": 22.0, "query": 23.0, "key": 29.0}[kernel]
    good = {
        "instructions_per_tap": most,
        "executed_per_tap": most + 2,
        "ready_warps": 2.0,
        "alu_cycles_per_tap": 13.0,
        "spill_bytes": 0,
        "shared_bytes": 128,
        "shared_bytes_needed": 128,
        "compile_seconds": 5.0,
    }
    return {"name": kernel, "kernel": kernel, "arch": "sm_90", **asdict(STAGE_28), **good, **changed}


@pytest.mark.parametrize("kernel", ["forward", "query", "key"])
def test_limits_may_be_reached_and_not_passed(kernel: str) -> None:
    assert misses([row(kernel)]) == {}
    more = row(kernel, instructions_per_tap=row(kernel)["instructions_per_tap"] + 0.1)
    assert list(misses([more])) == [f"{kernel} instructions_per_tap"]


@pytest.mark.parametrize(("column", "most"), [("ready_warps", 2.3), ("alu_cycles_per_tap", 14)])
def test_schedules_are_limited_as_instructions_are(column: str, most: float) -> None:
    assert misses([{**row(), column: most}]) == {}
    assert list(misses([{**row(), column: most + 0.1}])) == [f"forward {column}"]
    assert misses([{**row(height=56), column: most + 0.1}]) == {}


@pytest.mark.parametrize(
    ("column", "value", "text"),
    [
        ("spill_bytes", 4, "4 bytes spilled, at most 0"),
        ("shared_bytes", 256, "256 bytes of shared memory, at most 128"),
        ("compile_seconds", 5.25, "5.25 seconds to compile, at most 5"),
    ],
)
def test_other_limits_hold_for_every_architecture(column: str, value: float, text: str) -> None:
    assert misses([{**row(arch="sm_80"), column: value}]) == {f"forward {column}": text}


def test_pairs_have_a_limit_of_their_own() -> None:
    assert misses([row(arch="sm_100", instructions_per_tap=18.0)]) == {}
    assert list(misses([row(arch="sm_100", instructions_per_tap=18.1)])) == ["forward instructions_per_tap"]


ELSEWHERE = [{"arch": "sm_80"}, {"dtype": "float64"}, {"height": 56}, {"m": 16}, {"prior": False}, {"stride": 2}]


@pytest.mark.parametrize("changed", ELSEWHERE, ids=str)
def test_instructions_are_limited_for_one_problem_alone(changed: dict[str, Any]) -> None:
    assert misses([row(instructions_per_tap=50.0, **changed)]) == {}


def test_spills_are_limited_for_the_windows_and_groups_of_the_design() -> None:
    assert misses([row(spill_bytes=8, kernel_size=31), row(spill_bytes=8, m=64)]) == {}
    assert [len(misses([row(spill_bytes=8, kernel_size=k, m=m)])) for k, m in ((13, 32), (3, 1))] == [1, 1]


@pytest.fixture
def record(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty record."""
    monkeypatch.setattr(limits, "RECORD", tmp_path / "record.csv")
    return limits.RECORD


def test_what_is_recorded_is_read_again(record: Path) -> None:
    assert read_record("3.7.1") is None
    write_record([row(), row("key", spill_bytes=8)], "3.7.1")
    write_record([row("query")], "3.6.0")
    write_record([row("forward", executed_per_tap=23.5), row("key", spill_bytes=8)], "3.7.1")
    schedule = {"ready_warps": 2.0, "alu_cycles_per_tap": 13.0}
    assert read_record("3.7.1") == {
        "forward": {"instructions_per_tap": 22.0, "executed_per_tap": 23.5, **schedule, "spill_bytes": 0},
        "key": {"instructions_per_tap": 29.0, "executed_per_tap": 31.0, **schedule, "spill_bytes": 8},
    }
    assert list(read_record("3.6.0") or ()) == ["query"]
    assert len(record.read_text(encoding="utf-8").splitlines()) == 4


# What changed, and which columns say so. A record may be outdated by nearly TOLERANCE either way.
CHANGED = [
    ({}, []),
    ({"instructions_per_tap": 22.5}, []),
    ({"instructions_per_tap": 22 * 0.97 * 1.1}, ["instructions_per_tap"]),
    ({"instructions_per_tap": 22 * 0.9}, ["instructions_per_tap"]),
    ({"executed_per_tap": 24 * 1.1}, ["executed_per_tap"]),
    ({"ready_warps": 2.2}, ["ready_warps"]),
    ({"alu_cycles_per_tap": 13.4}, []),
    ({"alu_cycles_per_tap": 11.0}, ["alu_cycles_per_tap"]),
    ({"spill_bytes": 4}, ["spill_bytes"]),
]


@pytest.mark.usefixtures("record")
@pytest.mark.parametrize(("changed", "columns"), CHANGED, ids=str)
def test_a_tenth_more_instructions_or_a_spill_is_a_change(changed: dict[str, float], columns: list[str]) -> None:
    write_record([row()], "3.7.1")
    found = changes([{**row(), **changed}, row("key")], read_record("3.7.1") or {})
    assert list(found) == [f"forward {column}" for column in columns]


@pytest.mark.usefixtures("record")
def test_a_change_says_from_what_to_what() -> None:
    write_record([row(spill_bytes=16)], "3.7.1")
    found = changes([row(spill_bytes=0)], read_record("3.7.1") or {})
    assert found == {"forward spill_bytes": "was 16 and is 0"}
