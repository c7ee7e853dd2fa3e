"""A run that ended early, however it did, is continued to the same table as one that was left alone."""

import json
import os
import resource
import signal
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from bench.case.case import Case
from bench.locks import locked
from bench.measure.runner import Runner
from bench.measure.steps import StepResult
from bench.results.columns import COLUMNS, SCHEMA_VERSION
from bench.results.folder import RunFolder
from bench.results.reading import DISCARDED
from bench.results.recovery import finished, recover
from bench.run.run import _interrupts_held_back
from tests.support.bench_cases import case
from tests.support.in_process import Invoke
from tests.support.small_runs import CASES, arguments, keys_of, require_whole, rows_of, tear

MARK = "0123456789ab"


pytestmark = pytest.mark.usefixtures("in_process")


@pytest.fixture(autouse=True)
def _without_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    """Runs do not measure memory, which is slow in a process that has loaded much."""
    monkeypatch.setattr("bench.measure.runner.unmeasurable", lambda _: "not asked")


@pytest.fixture
def undisturbed(invoke: Invoke, tmp_path: Path) -> Path:
    """A run that was left alone."""
    assert invoke(*arguments(tmp_path / "whole"))[0] == 0
    require_whole(tmp_path / "whole")
    return tmp_path / "whole"


@pytest.fixture
def measured(monkeypatch: pytest.MonkeyPatch) -> list[Case]:
    """The cases that are prepared from now on."""
    prepare: Callable[[Runner, Case], StepResult] = Runner.prepare
    cases: list[Case] = []

    def counting(self: Runner, one: Case) -> StepResult:
        cases.append(one)
        return prepare(self, one)

    monkeypatch.setattr(Runner, "prepare", counting)
    return cases


def spoil(path: Path) -> None:
    """Put garbage among the rows, and bytes that are no text."""
    lines = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(b"".join([*lines[:2], b'{"implementation": "unfold"}\n', b"\xff\x00garbage\n", *lines[2:]]))


def drop(path: Path) -> None:
    """Lose the table and the samples of two cases, as a crash between the files does."""
    for name in ("results.csv", "samples.jsonl"):
        lines = (path.parent / name).read_bytes().splitlines(keepends=True)
        (path.parent / name).write_bytes(b"".join(lines[:-2]))


HARMS = {
    "torn": (tear, 1, "line 8 of results.jsonl was cut off while it was written"),
    "garbage": (spoil, 0, "line 3 of results.jsonl is not a row"),
    "nothing": (lambda _: None, 0, ""),
}


@pytest.mark.parametrize(("harm", "again", "said"), HARMS.values(), ids=HARMS.keys())
def test_what_is_whole_is_not_measured_again(
    invoke: Invoke,
    undisturbed: Path,
    measured: list[Case],
    harm: Callable[[Path], None],
    again: int,
    said: str,
) -> None:
    wanted, before = keys_of(undisturbed), rows_of(undisturbed)
    harm(undisturbed / "results.jsonl")
    code, out, error = invoke(*arguments(undisturbed, "--resume"))
    assert (code, said in error, len(measured)) == (0, True, again)
    assert f"resumed: {CASES - again} of {CASES} cases are done already" in out
    require_whole(undisturbed)
    assert keys_of(undisturbed) == wanted
    assert rows_of(undisturbed)[: CASES - again] == before[: CASES - again]
    assert (undisturbed / DISCARDED).exists() == bool(said)


def test_the_other_files_are_made_to_match(invoke: Invoke, undisturbed: Path) -> None:
    lines = (undisturbed / "results.csv").read_bytes().splitlines(keepends=True)
    (undisturbed / "results.csv").write_bytes(b"".join(lines[:-2]))
    with (undisturbed / "samples.jsonl").open("a", encoding="utf-8") as file:
        file.write(json.dumps({**case(m=1).parameters(), "samples_ms": [1.0], "rounds": [1]}) + '\n{"torn')
    assert invoke(*arguments(undisturbed, "--resume"))[0] == 0
    require_whole(undisturbed)


def test_chosen_statuses_are_measured_again(
    invoke: Invoke, tmp_path: Path, measured: list[Case], monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as broken:
        broken.setattr("kernels.implementations.chunked.run", lambda *_: 1 / 0)
        assert invoke(*arguments(tmp_path / "run"))[0] == 0
    assert [row["status"] for row in rows_of(tmp_path / "run")].count("error") == CASES // 2
    measured.clear()
    assert invoke(*arguments(tmp_path / "run", "--resume"))[0] == 0
    assert measured == []
    assert invoke(*arguments(tmp_path / "run", "--resume", "--retry", "timeout,error"))[0] == 0
    assert {one.implementation for one in measured} == {"chunked"}
    assert len(measured) == CASES // 2
    require_whole(tmp_path / "run")
    assert {row["status"] for row in rows_of(tmp_path / "run")} == {"ok"}


def test_other_code_is_measured_again_and_the_environments_are_kept(
    invoke: Invoke, undisturbed: Path, measured: list[Case], monkeypatch: pytest.MonkeyPatch
) -> None:
    first = RunFolder(undisturbed).environment()
    monkeypatch.setattr("bench.run.run.code_version", lambda: "another")
    code, _, error = invoke(*arguments(undisturbed, "--resume"))
    assert (code, len(measured)) == (0, CASES)
    assert f"warning: {CASES} cases were measured with other code or on another machine" in error
    require_whole(undisturbed)
    environment = RunFolder(undisturbed).environment()
    assert environment["earlier"] == [first]
    assert (
        {row["fingerprint"] for row in rows_of(undisturbed)} == {environment["fingerprint"]} != {first["fingerprint"]}
    )


def test_out_of_memory_is_remembered(
    invoke: Invoke, tmp_path: Path, measured: list[Case], monkeypatch: pytest.MonkeyPatch
) -> None:
    def run(*_: Any) -> None:
        raise MemoryError

    monkeypatch.setattr("kernels.implementations.chunked.run", run)
    first = [word.replace("N=1,2", "N=1") for word in arguments(tmp_path / "run")]
    assert invoke(*first)[0] == 0
    measured.clear()
    assert invoke(*arguments(tmp_path / "run", "--resume"))[0] == 0
    require_whole(tmp_path / "run")
    reasons = [row["reason"] for row in rows_of(tmp_path / "run") if row["implementation"] == "chunked"]
    assert sum("predicted: out of memory already at chunked operator forward N1" in one for one in reasons) == 2
    assert {one.implementation for one in measured} == {"unfold"}


def test_a_new_run_may_be_asked_to_resume(invoke: Invoke, tmp_path: Path) -> None:
    assert invoke(*arguments(tmp_path / "run", "--resume"))[0] == 0
    require_whole(tmp_path / "run")


def test_a_run_of_another_schema_is_refused(invoke: Invoke, undisturbed: Path, measured: list[Case]) -> None:
    folder = RunFolder(undisturbed)
    folder.write_environment({**folder.environment(), "schema_version": SCHEMA_VERSION - 1})
    before = {path: path.read_bytes() for path in undisturbed.glob("[a-z]*")}
    code, _, error = invoke(*arguments(undisturbed, "--resume"))
    assert (code, measured) == (2, [])
    assert f"has schema_version {SCHEMA_VERSION - 1}, and this suite reads {SCHEMA_VERSION}" in error
    assert {path: path.read_bytes() for path in undisturbed.glob("[a-z]*")} == before


def test_a_folder_belongs_to_one_run(invoke: Invoke, undisturbed: Path, measured: list[Case]) -> None:
    with locked(undisturbed):
        code, _, error = invoke(*arguments(undisturbed, "--resume"))
        assert (code, measured) == (2, [])
        said = f"error: {undisturbed} is in use by another run (process {os.getpid()}): wait or take another\n"
        assert error == said
    assert invoke(*arguments(undisturbed, "--resume"))[0] == 0


def test_ten_thousand_rows_resume_at_once(tmp_path: Path) -> None:
    folder = RunFolder.create(tmp_path / "run", {})
    row = {
        **dict.fromkeys(COLUMNS),
        **case().parameters(),
        "status": "ok",
        "fingerprint": MARK,
        "latency_ms": 0.123456789,
    }
    samples = {**case().parameters(), "samples_ms": [0.123456789] * 30, "rounds": [10] * 3}
    for path, one in ((folder.rows_path, row), (folder.samples_path, samples)):
        path.write_text("".join(json.dumps({**one, "batch": n}) + "\n" for n in range(10_000)), encoding="utf-8")
    start = time.process_time()
    recovered = recover(folder.path)
    ready = finished(recovered.rows.values(), {MARK}, frozenset())
    seconds = time.process_time() - start
    assert (len(ready), recovered.warnings) == (10_000, [])
    assert len(folder.csv_path.read_text(encoding="utf-8").splitlines()) == 10_001
    assert seconds <= 2.0


@pytest.mark.parametrize(("handler", "raised"), [(signal.default_int_handler, True), (signal.SIG_IGN, False)])
def test_an_interrupt_waits_for_a_row_unless_it_is_ignored(handler: Any, *, raised: bool) -> None:
    usual = signal.signal(signal.SIGINT, handler)
    written, interrupted = False, False
    try:
        with _interrupts_held_back():
            signal.raise_signal(signal.SIGINT)
            written = True
    except KeyboardInterrupt:
        interrupted = True
    finally:
        signal.signal(signal.SIGINT, usual)
    assert (written, interrupted) == (True, raised)


def test_a_disk_that_fills(invoke: Invoke, tmp_path: Path) -> None:
    path, limits = tmp_path / "run", resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (4_000, limits[1]))  # no file can outgrow this, as on a full disk
    try:
        code, _, error = invoke(*arguments(path))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert code == 1
    assert error == f"error: {path} cannot be written: File too large; go on with --resume\n"
    before = rows_of(path)
    assert 1 <= len(before) < CASES
    assert (path / "results.jsonl").read_bytes().endswith(b"\n")
    assert invoke(*arguments(path, "--resume"))[0] == 0
    require_whole(path)
    assert rows_of(path)[: len(before)] == before
    assert len(keys_of(path)) == CASES
