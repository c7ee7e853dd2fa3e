"""Runs of one sweep become one: the parts of a whole equal it; what overlaps, clashes or is torn is told and kept."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from bench.locks import locked
from bench.results.columns import SCHEMA_VERSION
from bench.results.folder import RunFolder
from bench.results.merge import SET_ASIDE
from bench.results.reading import DISCARDED, key_of
from tests.support.in_process import Invoke
from tests.support.small_runs import CASES, arguments, keys_of, require_whole, rows_of, tear

pytestmark = pytest.mark.usefixtures("in_process")

SHARDS = ("1/3", "2/3", "3/3")
ALL = 4 * CASES


def many(path: Path, *more: str) -> list[str]:
    """A run of more problems, so that each shard has some."""
    return [word.replace("m=4", "m=1,2,4,8") for word in arguments(path, *more)]


@pytest.fixture(scope="module")
def measured(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The shards 1, 2 and 3, measured once."""
    return tmp_path_factory.mktemp("shards")


@pytest.fixture
def parts(invoke: Invoke, measured: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    """The folders of three shards."""
    monkeypatch.setattr("bench.measure.runner.unmeasurable", lambda _: "not asked")
    for shard in SHARDS:
        if not (measured / shard[0]).exists():
            assert invoke(*many(measured / shard[0], "--shard", shard))[0] == 0
        shutil.copytree(measured / shard[0], tmp_path / shard[0])
    return [tmp_path / shard[0] for shard in SHARDS]


def contents(paths: list[Path]) -> dict[Path, bytes]:
    return {file: file.read_bytes() for path in paths for file in path.iterdir() if file.name != ".lock"}


def test_the_shards_merged_are_the_whole(invoke: Invoke, tmp_path: Path, parts: list[Path]) -> None:
    before = contents(parts)
    code, out, error = invoke("merge", *parts, "--out", tmp_path / "merged")
    assert (code, error) == (0, "")
    assert f"{ALL} of the sweep's {ALL} cases are in " in out
    assert invoke(*many(tmp_path / "whole"))[0] == 0
    require_whole(tmp_path / "merged", ALL)
    assert keys_of(tmp_path / "merged") == keys_of(tmp_path / "whole")
    assert [row for path in parts for row in rows_of(path)] == rows_of(tmp_path / "merged")
    environment = RunFolder(tmp_path / "merged").environment()
    assert [{key: part[key] for key in part if key != "run"} for part in environment["parts"]] == [
        RunFolder(path).environment() for path in parts
    ]
    assert environment["sweep"] == RunFolder(tmp_path / "whole").environment()["sweep"]
    assert [part["shard"] for part in environment["parts"]] == [{"index": n, "count": 3} for n in (1, 2, 3)]
    assert len(environment["devices"]) == len(
        {part["devices"][0]["anchor"]["latency_ms"] for part in environment["parts"]}
    )
    assert contents(parts) == before


def test_what_is_missing_is_named(invoke: Invoke, tmp_path: Path, parts: list[Path]) -> None:
    code, out, error = invoke("merge", parts[0], parts[2], "--out", tmp_path / "merged")
    missing = len(rows_of(parts[1]))
    assert code == 0
    said = f"{missing} of the sweep's {ALL} cases are in none of the parts: 2/3 is not among them"
    assert error == f"warning: {said}\n"
    assert f"{ALL - missing} of the sweep's {ALL} cases" in out
    require_whole(tmp_path / "merged", ALL - missing)


def test_overlapping_shards_are_told_and_nothing_is_lost(invoke: Invoke, tmp_path: Path, parts: list[Path]) -> None:
    shutil.copytree(parts[0], tmp_path / "copy")
    assert invoke(*many(tmp_path / "half", "--shard", "1/2"))[0] == 0
    everything = [*parts, tmp_path / "copy", tmp_path / "half"]
    code, _, error = invoke("merge", *everything, "--out", tmp_path / "merged")
    assert code == 0
    require_whole(tmp_path / "merged", ALL)
    lines = error.splitlines()
    assert f"warning: {len(rows_of(parts[0]))} rows of {tmp_path / 'copy'} are in {parts[0]} too" in lines
    aside = [json.loads(line) for line in (tmp_path / "merged" / SET_ASIDE).read_text(encoding="utf-8").splitlines()]
    halves = rows_of(tmp_path / "half")
    assert [{name: row[name] for name in row if name != "run"} for row in aside] == halves
    assert {row["run"] for row in aside} == {str(tmp_path / "half")}
    assert sum("is kept, another of" in line for line in lines) == min(20, len(halves))
    kept = {key_of(row): row for path in parts for row in rows_of(path)}
    assert {key_of(row): row for row in rows_of(tmp_path / "merged")} == kept


def test_a_measured_row_counts_more_than_a_failed_one(invoke: Invoke, tmp_path: Path, parts: list[Path]) -> None:
    again = tmp_path / "again"
    with pytest.MonkeyPatch.context() as broken:
        broken.setattr("kernels.implementations.chunked.run", lambda *_: 1 / 0)
        assert invoke(*many(again, "--shard", "1/3"))[0] == 0
    assert {row["status"] for row in rows_of(again)} == {"ok", "error"}
    assert invoke("merge", again, *parts, "--out", tmp_path / "merged")[0] == 0
    require_whole(tmp_path / "merged", ALL)
    assert {row["status"] for row in rows_of(tmp_path / "merged")} == {"ok"}


def test_a_torn_part_is_made_whole_in_the_result_alone(invoke: Invoke, tmp_path: Path, parts: list[Path]) -> None:
    tear(parts[1] / "results.jsonl")
    before = contents(parts)
    code, _, error = invoke("merge", *parts, "--out", tmp_path / "merged")
    assert code == 0
    assert f"warning: {parts[1]}: line {len(rows_before(parts[1])) + 1} of results.jsonl was cut off" in error
    assert f"1 of the sweep's {ALL} cases are in none of the parts" in error
    require_whole(tmp_path / "merged", ALL - 1)
    discarded = (tmp_path / "merged" / DISCARDED).read_bytes()
    assert before[parts[1] / "results.jsonl"].endswith(discarded.rstrip(b"\n"))
    assert contents(parts) == before
    assert invoke(*many(tmp_path / "merged", "--resume"))[0] == 0
    require_whole(tmp_path / "merged", ALL)


def rows_before(path: Path) -> list[bytes]:
    """The whole lines of a part."""
    return [line for line in (path / "results.jsonl").read_bytes().splitlines(keepends=True) if line.endswith(b"\n")]


def of_another_schema(path: Path) -> None:
    folder = RunFolder(path)
    folder.write_environment({**folder.environment(), "schema_version": SCHEMA_VERSION - 1})


def of_another_sweep(path: Path) -> None:
    folder = RunFolder(path)
    folder.write_environment({**folder.environment(), "sweep": {"name": "mine", "cases": 3, "digest": "0123456789ab"}})


def of_no_sweep(path: Path) -> None:
    folder = RunFolder(path)
    folder.write_environment({name: value for name, value in folder.environment().items() if name != "sweep"})


def torn_environment(path: Path) -> None:
    (path / "environment.json").write_text("{", encoding="utf-8")


SPOILT: dict[str, tuple[Callable[[Path], None], str]] = {
    "schema": (of_another_schema, f"has schema_version {SCHEMA_VERSION - 1}, and this suite reads {SCHEMA_VERSION}"),
    "sweep": (of_another_sweep, "is of another sweep (mine, 3 cases, 0123456789ab) than"),
    "no sweep": (of_no_sweep, "does not say of which sweep it is"),
    "no run": (shutil.rmtree, "is not a run folder"),
    "half a run": (torn_environment, "is not JSON"),
}


@pytest.mark.parametrize(("spoil", "said"), SPOILT.values(), ids=SPOILT.keys())
def test_what_does_not_belong_together_is_refused(
    invoke: Invoke, tmp_path: Path, parts: list[Path], spoil: Callable[[Path], None], said: str
) -> None:
    spoil(parts[1])
    code, out, error = invoke("merge", *parts, "--out", tmp_path / "merged")
    assert (code, out, error.count("\n")) == (2, "", 1)
    assert said in error
    assert str(parts[1]) in error
    assert not (tmp_path / "merged" / "results.jsonl").exists()


def test_nothing_is_written_over(invoke: Invoke, tmp_path: Path, parts: list[Path]) -> None:
    before = contents(parts)
    for arguments_of, said in (
        ([*parts, "--out", parts[0]], "holds a run already"),
        ([*parts, parts[0], "--out", tmp_path / "merged"], "is given more than once"),
    ):
        code, _, error = invoke("merge", *arguments_of)
        assert (code, error.count("\n"), said in error) == (2, 1, True)
    with locked(parts[2]):
        code, _, error = invoke("merge", *parts, "--out", tmp_path / "merged")
    assert (code, "is in use by another run" in error) == (2, True)
    assert contents(parts) == before
