"""The run folder: what is written is what is read, at once, and nothing is overwritten."""

import csv
import json
import os
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from bench.cost.bounds import Work, bounds_us, mode_work
from bench.cost.chips import CHIPS
from bench.cost.metrics import METRICS, bounded, counts, rates
from bench.errors import RunFolderError
from bench.results.columns import (
    COLUMNS,
    KINDS,
    OLDEST_VERSION,
    PARAMETERS,
    SCHEMA_VERSION,
    STATUSES,
    TABLE,
    Row,
    assemble,
)
from bench.results.folder import RunFolder
from tests.support.bench_cases import case

FILES = ("environment.json", "results.csv", "results.jsonl", "samples.jsonl")


def ok(**changes: Any) -> Row:
    """A row of a case that was measured."""
    one = case(**changes)
    measured = {"latency_ms": 1.5, "latency_p20_ms": 1.25, "latency_p80_ms": 2.0, "samples": 7, "error": 1e-7}
    sizes = {"peak_mib": 0.1, "predicted_mib": 0.25}
    return {
        **one.parameters(),
        "status": "ok",
        "device": "a CPU",
        **measured,
        **sizes,
        **counts(one),
        **rates({**one.parameters(), **counts(one)}, 1.5),
        **bounded(mode_work(one.problem, one.mode), CHIPS["H200 SXM"], "cold", 1.5),
    }


def failed() -> Row:
    """A row without numbers, whose reason is hard to write down."""
    return {**case().parameters(), "status": "error", "reason": 'a "quoted", reason\nof two lines: ×'}


def jsonl(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def table(folder: RunFolder) -> list[dict[str, str]]:
    with folder.csv_path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


@pytest.fixture
def folder(tmp_path: Path) -> RunFolder:
    return RunFolder.create(tmp_path / "deep" / "run", {"argv": ["python"], "note": "Φ"})


def test_columns_are_the_contract() -> None:
    assert tuple(case().parameters()) == PARAMETERS
    assert COLUMNS[: len(PARAMETERS)] == PARAMETERS
    assert set(METRICS) <= set(COLUMNS[len(PARAMETERS) :])
    assert len(set(COLUMNS)) == len(COLUMNS)
    promised = "implementation mode scope status reason device error latency_ms latency_p20_ms latency_p80_ms samples "
    promised += "peak_mib predicted_mib paper_cost macs flops min_bytes images_per_s tflops gbps bound bound_fraction"
    promised += " fingerprint"
    assert set(promised.split()) <= set(COLUMNS)
    assert all(1 <= column.since <= SCHEMA_VERSION and column.summary for column in TABLE.values())
    assert case().parameters()["kind"] in KINDS
    assert set(STATUSES) == {"ok", "unsupported", "out_of_memory", "incorrect", "timeout", "crashed", "error"}


def test_a_row_is_made_of_parts_that_do_not_overlap() -> None:
    assert assemble({"a": {"status": "ok"}, "b": {"latency_ms": 1.0}}) == {"status": "ok", "latency_ms": 1.0}
    with pytest.raises(ValueError, match="b tells the column 'status' again"):
        assemble({"a": {"status": "ok"}, "b": {"status": "error"}})
    with pytest.raises(ValueError, match="b tells no column 'colour'"):
        assemble({"a": {"status": "ok"}, "b": {"colour": "red"}})


def test_metrics_of_a_case() -> None:
    one = case(mode="forward_backward")
    numbers, work = counts(one), mode_work(one.problem, one.mode)
    per_second = rates({**one.parameters(), **numbers}, 2.0)
    limited = bounded(work, CHIPS["H200 SXM"], "cold", 2.0)
    of_layers = {"aggregation_macs", "projections_macs"}
    assert {*numbers, *per_second, *limited} == METRICS.keys() - of_layers
    assert counts(case(scope="layer")).keys() == {*numbers, *of_layers}
    assert limited["bound_fraction"] == pytest.approx(max(bounds_us(work, CHIPS["H200 SXM"]).values()) / 2e3)
    assert per_second["images_per_s"] == pytest.approx(2 / 2e-3)
    assert per_second["tflops"] == pytest.approx(numbers["flops"] / 2e-3 / 1e12)
    assert per_second["gbps"] == pytest.approx(numbers["min_bytes"] / 2e-3 / 1e9)
    assert bounded(work, None, "cold", 2.0) == bounded(None, CHIPS["H200 SXM"], "cold", 2.0) == {}


def share(limited: dict[str, Any]) -> tuple[Any, Any]:
    return limited["bound"], limited["bound_fraction"]


def test_all_bounds_are_kept() -> None:
    chip, work = CHIPS["H200 SXM"], Work(bytes=96e6, fp32=0, exps=0, instructions=33.45e6)
    kept = {name: value for name, value in bounded(work, chip, "cold", 0.04).items() if name.endswith("_ms")}
    expected = {"memory": 0.02, "arithmetic": 0, "exp": 0, "issue": pytest.approx(0.001, rel=1e-3)}
    assert kept == {f"bound_{name}_ms": value for name, value in expected.items()}
    assert bounded(replace(work, double=True, fp32=1e6), chip, "cold", 0.04)["bound_arithmetic_ms"] != 0


def test_a_hot_cache_holds_a_part_of_the_bytes() -> None:
    chip, work = CHIPS["H200 SXM"], Work(bytes=96e6, fp32=0, exps=0, instructions=33.45e6)
    # 96 MB take 20 µs from the memory; the instructions 1 µs.
    assert share(bounded(work, chip, "cold", 0.04)) == ("memory", pytest.approx(0.5))
    beyond = (96e6 - chip.l2_bytes) / 4.8e6
    assert share(bounded(work, chip, "hot", 0.04)) == ("memory", pytest.approx(beyond / 40))
    small = replace(work, bytes=1e6)
    assert share(bounded(small, chip, "hot", 0.01)) == ("issue", pytest.approx(0.1, rel=1e-3))
    assert bounded(replace(small, instructions=0), chip, "hot", 0.01) == {}


def test_a_new_run_is_empty(folder: RunFolder) -> None:
    assert folder.environment() == {"schema_version": SCHEMA_VERSION, "argv": ["python"], "note": "Φ"}
    assert folder.rows_path.read_bytes() == b""
    assert folder.csv_path.read_text(encoding="utf-8").strip().split(",") == list(COLUMNS)


def test_rows_read_back(folder: RunFolder) -> None:
    rows = [ok(), failed(), ok(m=2, prior=False)]
    for row, samples in zip(rows, ([1.5, 1.25], [], [2.0]), strict=True):
        folder.append(row, samples, {"rounds": [len(samples)]})
    assert jsonl(folder.rows_path) == [{name: row.get(name) for name in COLUMNS} for row in rows]
    kept = jsonl(folder.samples_path)
    assert [line.pop("samples_ms") for line in kept] == [[1.5, 1.25], [], [2.0]]
    assert [line.pop("rounds") for line in kept] == [[2], [0], [1]]
    assert kept == [{name: row[name] for name in PARAMETERS} for row in rows]


def test_csv_equals_jsonl(folder: RunFolder) -> None:
    for row in (ok(), failed(), ok(m=2, dtype="float64")):
        folder.append(row, [])
    as_text = [
        {name: "" if value is None else str(value) for name, value in row.items()} for row in jsonl(folder.rows_path)
    ]
    assert table(folder) == as_text
    assert table(folder)[1]["latency_ms"] == ""


def test_each_row_is_on_disk_before_the_next(folder: RunFolder) -> None:
    with (
        folder.rows_path.open(encoding="utf-8") as rows,
        folder.csv_path.open(newline="", encoding="utf-8") as flat,
        folder.samples_path.open("a+", encoding="utf-8") as samples,
    ):
        flat.readline()
        for m in (1, 2, 4):
            folder.append(ok(m=m), [1.0 * m])
            line = rows.readline()
            assert line.endswith("\n")
            assert json.loads(line)["m"] == m
            assert dict(zip(COLUMNS, next(csv.reader([flat.readline()])), strict=True))["m"] == str(m)
            assert json.loads(samples.readline())["samples_ms"] == [1.0 * m]


def test_a_row_is_forced_to_the_disk(folder: RunFolder, monkeypatch: pytest.MonkeyPatch) -> None:
    forced: list[int] = []
    monkeypatch.setattr("bench.results.folder.os.fsync", lambda number: forced.append(os.fstat(number).st_size))
    folder.append(ok(), [1.0])
    assert {path.stat().st_size for path in (folder.rows_path, folder.samples_path)} <= set(forced)


def test_an_existing_run_is_left_alone(folder: RunFolder) -> None:
    folder.append(ok(), [1.0])
    before = {name: (folder.path / name).read_bytes() for name in FILES}
    with pytest.raises(RunFolderError, match="holds a run already"):
        RunFolder.create(folder.path, {})
    assert {path.name: path.read_bytes() for path in folder.path.iterdir()} == before


@pytest.mark.parametrize("name", FILES)
def test_any_file_of_a_run_makes_it_one(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_text("precious", encoding="utf-8")
    with pytest.raises(RunFolderError, match="holds a run already"):
        RunFolder.create(tmp_path, {})
    assert [path.read_text(encoding="utf-8") for path in tmp_path.iterdir()] == ["precious"]


def test_a_folder_with_other_files_is_taken(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("mine", encoding="utf-8")
    RunFolder.create(tmp_path, {}).append(ok(), [1.0])
    assert {path.name for path in tmp_path.iterdir()} == {"notes.txt", *FILES}


@pytest.mark.parametrize("inside", ["", "run"])
def test_a_file_is_no_run_folder(tmp_path: Path, inside: str) -> None:
    path = tmp_path / "file"
    path.write_text("precious", encoding="utf-8")
    with pytest.raises(RunFolderError, match="file"):
        RunFolder.create(path / inside if inside else path, {})
    assert path.read_text(encoding="utf-8") == "precious"


def test_an_unknown_column_is_refused(folder: RunFolder) -> None:
    with pytest.raises(ValueError, match="also colour, latency_us"):
        folder.append({**ok(), "latency_us": 1.0, "colour": "red"}, [])
    assert folder.rows_path.read_bytes() == b""
    assert table(folder) == []
    assert not folder.samples_path.exists()


def test_a_row_without_its_parameters_is_refused(folder: RunFolder) -> None:
    row = ok()
    del row["kernel_size"]
    with pytest.raises(KeyError, match="kernel_size"):
        folder.append(row, [])
    assert folder.rows_path.read_bytes() == b""


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (json.dumps({"schema_version": SCHEMA_VERSION + 1}), f"schema_version {SCHEMA_VERSION + 1}"),
        (json.dumps({"schema_version": "1"}), "schema_version '1'"),
        ("{}", "schema_version None"),
        ("[]", "schema_version None"),
        ("{", "not JSON"),
    ],
)
def test_environments_of_others_are_refused(folder: RunFolder, text: str, said: str) -> None:
    folder.environment_path.write_text(text, encoding="utf-8")
    with pytest.raises(RunFolderError, match=said):
        folder.environment()


def test_an_older_run_is_read_and_not_gone_on_with(folder: RunFolder) -> None:
    folder.environment_path.write_text(json.dumps({"schema_version": OLDEST_VERSION}), encoding="utf-8")
    assert folder.environment(older=True) == {"schema_version": OLDEST_VERSION}
    with pytest.raises(RunFolderError, match=f"schema_version {OLDEST_VERSION}, and this suite reads {SCHEMA_VERSION}"):
        folder.environment()
    folder.environment_path.write_text(json.dumps({"schema_version": OLDEST_VERSION - 1}), encoding="utf-8")
    with pytest.raises(RunFolderError, match="schema_version 3"):
        folder.environment(older=True)


def test_a_folder_without_environment_is_no_run(tmp_path: Path) -> None:
    with pytest.raises(RunFolderError, match="is not a run folder"):
        RunFolder(tmp_path).environment()
