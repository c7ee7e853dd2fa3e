"""`python -m bench profile`: the folder that it leaves, the trace in it, and what it refuses."""

import csv
import json
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import matplotlib.image
import pytest
import torch

from bench.errors import WorkerError
from bench.locks import locked, owned
from bench.profile.recording import record_trace
from bench.profile.trace import CALL
from bench.results.columns import PARAMETERS
from tests.support.bench_cases import case
from tests.support.in_process import InProcess, Invoke
from tests.support.run_of_cases import run_with
from tests.support.traces import require_importable

SMALL = ("unfold", "forward_backward", "C8", "9x9", "k3", "m4", "--device", "cpu", "--calls", "2")
FILES = {"trace.json", "ops.csv", "memory.png", "profile.md", "profile.json", "worker.log"}
OPERATORS = {"aten::im2col", "aten::_softmax", "aten::mul", "aten::col2im", "aten::_softmax_backward_data"}


@pytest.fixture
def inside(monkeypatch: pytest.MonkeyPatch) -> None:
    """Profiles are made in this process, not in a worker."""
    monkeypatch.setattr("bench.profile.command.Worker", InProcess)


def test_a_case_on_a_cpu(invoke: Invoke, tmp_path: Path) -> None:
    """With a worker of its own, as users run it."""
    code, said, _ = invoke("profile", *SMALL, "--out", "there")
    folder = tmp_path / "there"
    assert code == 0
    assert {path.name for path in folder.iterdir()} == FILES
    assert said.splitlines() == [
        "Proton: it profiles GPUs, and this is a CPU",
        "Nsight Compute: it counts in GPUs, and this is a CPU",
        "the profile is in there/profile.md",
    ]
    require_trace(folder / "trace.json")
    require_operations(folder / "ops.csv")
    page = (folder / "profile.md").read_text(encoding="utf-8")
    assert page.startswith("# Profile of unfold operator forward_backward N2 C8 9×9 k3 m4 s1\n")
    assert "| `im2col` | 2 |" in page
    assert "- Nsight Compute: it counts in GPUs" in page
    summary = json.loads((folder / "profile.json").read_text(encoding="utf-8"))
    assert summary.keys() >= set(PARAMETERS)
    assert (summary["calls"], summary["kernel_size"], summary["line"]) == (2, 3, None)
    # The windows of value and key at least, each of 9 taps: 9·(8 + 2)·2·81 numbers in float32.
    assert 9 * 10 * 2 * 81 * 4 / 2**20 < summary["peak_mib"] < 1
    height, width, _ = matplotlib.image.imread(folder / "memory.png").shape
    assert (height, width) == (630, 1200)


def require_trace(path: Path) -> None:
    """A trace that Perfetto opens, of two calls with the implementation's operators in each."""
    events = require_importable(json.loads(path.read_text(encoding="utf-8")))
    complete = [event for event in events if event["ph"] == "X"]
    calls = [event for event in complete if event["name"] == CALL]
    assert len(calls) == 2
    for call in calls:
        within = {one["name"] for one in complete if call["ts"] <= one["ts"] <= call["ts"] + call["dur"]}
        assert within >= OPERATORS
    assert any(event["name"] == "[memory]" for event in events)


def require_operations(path: Path) -> None:
    """A table whose shares are of a whole."""
    with path.open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert {row["full_name"] for row in rows} >= OPERATORS
    assert {row["where"] for row in rows} == {"host"}
    assert sum(float(row["share"]) for row in rows) == pytest.approx(1, abs=1e-4)
    assert [float(row["total_ms"]) for row in rows] == sorted((float(row["total_ms"]) for row in rows), reverse=True)
    im2col = next(row for row in rows if row["full_name"] == "aten::im2col")
    assert (im2col["name"], float(im2col["per_call"])) == ("im2col", 2)


@pytest.mark.usefixtures("inside")
def test_a_row_gets_its_profile_beside_the_run_once(invoke: Invoke, tmp_path: Path) -> None:
    run_with(tmp_path / "run", case("unfold"), case("chunked", "backward"))
    code, said, _ = invoke("profile", "run:2", "--calls", "1", "--device", "cpu")
    folder = tmp_path / "run" / "profiles" / "2"
    assert (code, said.splitlines()[-1]) == (0, "the profile is in run/profiles/2/profile.md")
    summary = json.loads((folder / "profile.json").read_text(encoding="utf-8"))
    assert {name: summary[name] for name in PARAMETERS} == case("chunked", "backward").parameters()
    assert summary["line"] == 2
    before = {path: path.read_bytes() for path in folder.iterdir()}
    code, said, told = invoke("profile", "run:2", "--device", "cpu")
    assert (code, said) == (2, "")
    assert told.startswith("error: run/profiles/2 is not empty (")
    assert {path: path.read_bytes() for path in folder.iterdir()} == before


@pytest.mark.usefixtures("inside")
def test_a_case_that_does_not_run_leaves_nothing(invoke: Invoke, tmp_path: Path) -> None:
    code, _, told = invoke("profile", "unfold", "forward", "cold", "--device", "cpu", "--out", "there")
    assert code == 2
    assert "error: unfold operator forward N2 C64 28×28 k7 m8 s1 cold is not profiled: unsupported, the caches" in told
    assert not (tmp_path / "there").exists()


def test_a_run_in_use_is_left_alone(invoke: Invoke, tmp_path: Path) -> None:
    run = run_with(tmp_path / "run", case("unfold"))
    with locked(run):
        code, _, told = invoke("profile", "run:1", "--device", "cpu")
    assert (code, told.count("\n")) == (2, 1)
    assert "in use" in told
    assert not (run / "profiles").exists()


@pytest.mark.parametrize("arguments", [(), ("unfold",), ("none:17",), ("nonsense",), ("unfold", "--device", "tpu")])
def test_a_refusal_is_a_line(invoke: Invoke, tmp_path: Path, arguments: tuple[str, ...]) -> None:
    device = () if "--device" in arguments else ("--device", "cpu")
    code, said, told = invoke("profile", *arguments, *device)
    assert (code, said, told.count("\n")) == (2, "", 1)
    assert told.startswith("error: ")
    assert list(tmp_path.iterdir()) == []


def test_a_place_that_is_a_file(invoke: Invoke, tmp_path: Path) -> None:
    (tmp_path / "there").touch()
    code, _, told = invoke("profile", *SMALL, "--out", "there")
    assert (code, told) == (2, "error: there cannot be a profile's folder: File exists\n")


class Dying(InProcess):
    """A worker that dies of being asked for a trace."""

    def call(self, function: Callable[..., Any], *arguments: Any) -> Any:
        if function is record_trace:
            raise WorkerError("the worker was killed by SIGSEGV")
        return super().call(function, *arguments)


def test_a_worker_that_dies_leaves_its_log(invoke: Invoke, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("bench.profile.command.Worker", Dying)
    code, _, told = invoke("profile", *SMALL, "--out", "there")
    assert code == 1
    assert told.splitlines()[-1] == "error: the worker was killed by SIGSEGV; see there/worker.log"
    assert not (tmp_path / "there" / "profile.md").exists()


@pytest.mark.gpu
def test_a_case_on_a_gpu(invoke: Invoke, tmp_path: Path) -> None:
    code, _, told = invoke("profile", "triton", "forward_backward", "N4", "C64", "28x28", "k5", "--out", "there")
    assert (code, told.count("error")) == (0, 0)
    events = require_importable(json.loads((tmp_path / "there" / "trace.json").read_text(encoding="utf-8")))
    kernels = {event["name"] for event in events if event.get("cat") == "kernel"}
    assert kernels >= {f"local_relation_{name}_kernel" for name in ("forward", "query", "key")}
    page = (tmp_path / "there" / "profile.md").read_text(encoding="utf-8")
    assert "## Kernels and copies on the GPU" in page
    assert "## Against the bounds" in page or torch.cuda.get_device_capability() < (8, 0)
    assert ("## Nsight Compute" in page) != ("- Nsight Compute: " in page)
    assert ("## Proton" in page) != ("- Proton: " in page)


def test_a_gpu_that_another_benchmark_has_is_not_profiled(
    invoke: Invoke, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, inside: None
) -> None:
    del inside
    (tmp_path / "locks").mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "locks"))
    monkeypatch.setattr("bench.profile.command.uuid_of", lambda _: "GPU-a")
    monkeypatch.setattr("bench.case.request.require_device", lambda _: torch.device("cuda"))
    with owned("GPU-a"):
        code, _, error = invoke("profile", *SMALL, "--out", "there")
    assert code == 2
    assert "GPU GPU-a of " in error
