"""Runs on several devices of this machine: which are taken, that nobody else has them, and what the rows say."""

import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
import torch

from bench.device.environment import describe
from bench.device.timing import Timing
from bench.errors import DeviceInUse
from bench.locks import busy, busy_gpus, owned
from bench.results.folder import RunFolder
from bench.run.executors import LocalExecutor, Seat, local_executor
from bench.run.messages import Setup
from bench.run.worker import Worker
from tests import ROOT
from tests.support.bench_cases import CPU
from tests.support.in_process import Invoke
from tests.support.small_runs import CASES, arguments, keys_of, require_whole, rows_of

PLACES: dict[str, tuple[str, str | None, list[str | None]]] = {
    "all": ("all", None, ["0", "1", "2"]),
    "chosen": ("2,0", None, ["2", "0"]),
    "all of those that are visible": ("all", "5,GPU-abc,7", ["5", "GPU-abc", "7"]),
    "chosen of those that are visible": ("1", "5,GPU-abc,7", ["GPU-abc"]),
    "cpu": ("cpu", None, [None]),
}


@pytest.fixture(autouse=True)
def _own_locks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Locks of this test alone."""
    (tmp_path / "locks").mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "locks"))


@pytest.mark.parametrize(("devices", "visible", "taken"), PLACES.values(), ids=PLACES.keys())
def test_devices_are_taken_by_the_names_that_cuda_knows(
    monkeypatch: pytest.MonkeyPatch, devices: str, visible: str | None, taken: list[str | None]
) -> None:
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 3)
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    if visible is not None:
        monkeypatch.setenv("CUDA_VISIBLE_DEVICES", visible)
    seats = local_executor("auto", devices, None).seats
    assert [seat.visible for seat in seats] == taken
    assert {seat.device for seat in seats} == {"cpu" if devices == "cpu" else "cuda"}


REFUSED = {
    "an executor that is not there": (["--executor", "slurm"], "there is no executor 'slurm': there are local, ray"),
    "no number": (["--devices", "first"], "--devices takes all, cpu, or numbers of GPUs as 0,2; got 'first'"),
    "not here": (["--devices", "0,3"], "device 3 is not here: there are 3 cuda devices, counted from 0"),
    "twice": (["--devices", "1,01"], "--devices 1,01 names a device twice"),
    "one and several": (["--devices", "0", "--device", "cuda:1"], "exclude each other"),
    "an address of nothing": (["--address", "auto"], "--address is Ray's: it needs --executor ray"),
    "a shard that is not there": (["--shard", "4/3"], "there is no shard 4 of 3 (--shard 4/3)"),
}


@pytest.mark.parametrize("dry", [[], ["--dry-run"]], ids=["run", "dry run"])
@pytest.mark.parametrize(("options", "said"), REFUSED.values(), ids=REFUSED.keys())
def test_what_is_not_there_is_refused(
    invoke: Invoke, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, options: list[str], said: str, dry: list[str]
) -> None:
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 3)
    monkeypatch.setattr("bench.device.device.require_fit", lambda _: None)
    code, out, error = invoke("run", *options, "--out", "run", *dry)
    assert (code, out) == (2, "")
    assert error.startswith("error: ")
    assert error.count("\n") == 1
    assert said in error
    assert not (tmp_path / "run").exists()


def test_all_devices_are_gpus(invoke: Invoke, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 0)
    code, _, error = invoke("run", "--devices", "all")
    assert (code, error.count("\n")) == (2, 1)
    assert "there is no cuda device here" in error


def test_a_worker_sees_one_gpu_from_its_start(tmp_path: Path) -> None:
    with Worker(Setup("cpu", Timing(), visible="GPU-abc"), tmp_path / "log") as worker:
        assert worker.call(describe, CPU, [])["variables"]["CUDA_VISIBLE_DEVICES"] == "GPU-abc"


def test_a_gpu_belongs_to_one_benchmark() -> None:
    busy = pytest.raises(DeviceInUse, match=r"GPU GPU-a of .* is in use by another benchmark")
    with owned("GPU-a"), owned("GPU-b"), busy, owned("GPU-a"):
        pass
    with owned("GPU-a"):
        pass


def test_a_gpu_is_free_when_its_process_was_killed() -> None:
    code = "import sys, time; from bench.locks import owned\n"
    code += "import tempfile; tempfile.tempdir = sys.argv[1]\n"
    code += "with owned('GPU-a'): print('mine', flush=True); time.sleep(60)"
    command = [sys.executable, "-c", code, tempfile.gettempdir()]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "mine\n"
        with pytest.raises(DeviceInUse), owned("GPU-a"):
            pass
        holder.kill()
        holder.wait()
    with owned("GPU-a"):
        pass


def test_gpus_at_work_are_counted() -> None:
    assert busy_gpus() == 0
    with owned("GPU-a"), busy("GPU-a"):
        with busy("GPU-b"):
            assert busy_gpus() == 2
        assert busy_gpus() == 1
    assert busy_gpus() == 0


@pytest.fixture
def _gpus(monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> None:
    """Every slot takes its own CPU for one more GPU."""
    uuids = iter(request.param)

    def pretended(device: torch.device, argv: Sequence[str]) -> dict[str, Any]:
        found = describe(device, argv)
        return {**found, "device": {**found["device"], "uuid": next(uuids)}}

    monkeypatch.setattr("bench.run.slot.describe", pretended)
    seats = [Seat("cpu") for _ in request.param]
    monkeypatch.setattr("bench.run.executors.executor_of", lambda *_: LocalExecutor(seats, mixed=len(seats) > 1))
    monkeypatch.setattr("bench.measure.runner.unmeasurable", lambda _: "not asked")


def many(path: Path) -> list[str]:
    """A run of more problems."""
    return [word.replace("m=4", "m=1,2,4,8") for word in arguments(path)]


pretending = pytest.mark.usefixtures("in_process", "_gpus")


@pretending
@pytest.mark.parametrize("_gpus", [["GPU-a", "GPU-b"]], indirect=True)
def test_rows_say_where_they_are_from(invoke: Invoke, tmp_path: Path) -> None:
    code, out, error = invoke(*many(tmp_path / "run"))
    assert (code, error) == (0, "")
    require_whole(tmp_path / "run", 4 * CASES)
    rows = rows_of(tmp_path / "run")
    environment = RunFolder(tmp_path / "run").environment()
    assert {row["gpu_uuid"] for row in rows} == {"GPU-a", "GPU-b"}
    assert {row["host"] for row in rows} == {environment["host"]["name"]}
    assert 2 in {row["gpus_busy"] for row in rows} <= {1, 2}
    marks = {one["gpu_uuid"]: one["fingerprint"] for one in environment["devices"]}
    assert len(set(marks.values())) == 2
    assert all(row["fingerprint"] == marks[row["gpu_uuid"]] for row in rows)
    problems = {(row["batch"], row["m"]): row["gpu_uuid"] for row in rows}
    assert all(row["gpu_uuid"] == problems[row["batch"], row["m"]] for row in rows)
    times = [one["anchor"]["latency_ms"] for one in environment["devices"]]
    assert f"{min(times):.3f} to {max(times):.3f} ms on 2 devices, {max(times) / min(times) - 1:.1%} apart" in out
    assert all(one["anchor"]["case"].startswith("unfold operator forward") for one in environment["devices"])


@pretending
@pytest.mark.parametrize("_gpus", [["GPU-a", "GPU-b", "GPU-c", "GPU-d"]], indirect=True)
def test_a_run_on_several_devices_is_resumed_on_others(invoke: Invoke, tmp_path: Path) -> None:
    executor = LocalExecutor([Seat("cpu")] * 2, mixed=True)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("bench.run.executors.executor_of", lambda *_: executor)
        assert invoke(*arguments(tmp_path / "run"))[0] == 0
        before = keys_of(tmp_path / "run")
        code, out, error = invoke(*arguments(tmp_path / "run", "--resume"))
    assert (code, error) == (0, "")
    assert f"resumed: {CASES} of {CASES} cases are done already" in out
    require_whole(tmp_path / "run")
    assert keys_of(tmp_path / "run") == before


@pretending
@pytest.mark.parametrize("_gpus", [["GPU-a"]], indirect=True)
def test_a_gpu_in_use_is_refused(invoke: Invoke, tmp_path: Path) -> None:
    with owned("GPU-a"):
        code, out, error = invoke(*arguments(tmp_path / "run"))
    assert (code, out, error.count("\n")) == (2, "", 1)
    assert "GPU GPU-a of " in error
    assert not (tmp_path / "run" / "results.jsonl").exists()
