"""The command for a GPU, step by step, on a machine that need not have one."""

import json
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch

from bench.case.case import Case, grouped
from bench.case.parts import GPU_PARTS, by_part
from bench.case.sweeps import SWEEPS, expand
from bench.commands import gpu, gpu_tests, output
from bench.commands.gpu_tests import Proof
from bench.measure.ahead import Outcome
from bench.measure.runner import Runner
from bench.measure.steps import StepResult
from tests.support.bench_cases import CPU, case
from tests.support.in_process import InProcess, Invoke

SMALL = [case("unfold"), case("chunked", m=3), case("copy", m=3)]


@pytest.fixture
def pretended(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """A GPU that is this CPU, with a small sweep; what was called, and what its tests are to give."""
    state: dict[str, Any] = {"commands": [], "tested": Proof("passed in 1 s", clean=True), "cases": SMALL}
    really = subprocess.run

    def run(command: list[str], **options: Any) -> Any:
        state["commands"].append(command[1:])
        return really(command, **options)

    def tested(seconds: float) -> Proof:
        state["commands"].append(["pytest", seconds])
        proof: Proof = state["tested"]
        return proof

    def compiled(tasks: Iterable[object], seconds: float) -> Outcome:
        state["ahead"] = seconds
        return Outcome(len(list(tasks)), [], 0, 1.0)

    monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)
    monkeypatch.setattr("bench.run.slot.Worker", InProcess)
    monkeypatch.setattr(gpu, "_DEVICE", CPU)
    monkeypatch.setattr(gpu, "expand", lambda *_: state["cases"])
    monkeypatch.setattr(gpu, "compile_ahead", compiled)
    monkeypatch.setattr(gpu, "run_tests", tested)
    monkeypatch.setattr(output, "subprocess", SimpleNamespace(run=run))
    return state


def rows_of(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (path / "results.jsonl").read_text(encoding="utf-8").splitlines()]


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
def test_without_a_gpu_it_says_so_in_a_line(invoke: Invoke, tmp_path: Path) -> None:
    code, out, error = invoke("gpu")
    assert (code, out, error.count("\n")) == (2, "", 1)
    assert error.startswith("error: there is no CUDA GPU here")
    assert list(tmp_path.iterdir()) == []


def test_a_dry_run_needs_no_gpu(invoke: Invoke, tmp_path: Path) -> None:
    code, out, error = invoke("gpu", "--dry-run")
    assert (code, error) == (0, "")
    lines, parts = out.splitlines(), by_part(expand(SWEEPS["gpu"], {}), GPU_PARTS)
    cases = [one for of_part in parts.values() for one in of_part]
    assert len(lines) == len(cases) + 2
    assert lines[0] == f"[1/{len(cases)}] {cases[0].label()}"
    assert lines[-1].startswith(f"{len(cases)} cases of {len(grouped(cases))} problems")
    assert list(tmp_path.iterdir()) == []


def test_tests_then_compilation_then_the_sweep_then_the_report(
    invoke: Invoke, tmp_path: Path, pretended: dict[str, Any]
) -> None:
    code, out, error = invoke("gpu", "--out", tmp_path / "run", "--minutes", "10")
    assert (code, error) == (0, "")
    tests, report = pretended["commands"]
    assert tests == ["pytest", 300.0]
    assert report == ["-m", "reports", str(tmp_path / "run")]
    assert pretended["ahead"] == 180
    assert [row["status"] for row in rows_of(tmp_path / "run")] == ["ok"] * 3
    environment = json.loads((tmp_path / "run" / "environment.json").read_text(encoding="utf-8"))
    assert environment["gpu_tests"].startswith("passed in")
    assert (tmp_path / "run" / "report" / "index.html").exists()
    assert out.splitlines()[-1].startswith(f"3 cases and their report are in {tmp_path / 'run'}")


def test_red_tests_mark_the_run(invoke: Invoke, tmp_path: Path, pretended: dict[str, Any]) -> None:
    pretended["tested"] = Proof("failed: pytest ended with 1", clean=False)
    code, _, error = invoke("gpu", "--out", tmp_path / "run")
    assert (code, len(pretended["commands"])) == (1, 2)
    assert error.startswith("warning: the GPU's tests: failed: pytest ended with 1")
    assert [row["status"] for row in rows_of(tmp_path / "run")] == ["ok"] * 3
    environment = json.loads((tmp_path / "run" / "environment.json").read_text(encoding="utf-8"))
    assert environment["gpu_tests"] == "failed: pytest ended with 1"


@pytest.mark.parametrize(
    ("script", "words", "clean"),
    [
        ("print('3 passed in 1s')", "passed in", True),
        ("print('3 passed, 1 warning in 1s')", "passed with warnings", False),
        ("print('1 failed'); raise SystemExit(1)", "failed: pytest ended with 1, '1 failed'", False),
        ("import time; time.sleep(60)", "not finished within 1 s", False),
    ],
)
def test_what_becomes_of_the_tests(script: str, words: str, clean: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gpu_tests, "COMMAND", (sys.executable, "-c", script))
    tested = gpu_tests.run_tests(1.0 if "sleep" in script else 60.0)
    assert (tested.words.startswith(words), tested.clean) == (True, clean), tested.words


def test_without_tests_the_run_says_so(invoke: Invoke, tmp_path: Path, pretended: dict[str, Any]) -> None:
    pretended["cases"] = SMALL[:1]
    assert invoke("gpu", "--no-tests", "--out", tmp_path / "run")[0] == 0
    assert len(pretended["commands"]) == 1
    environment = json.loads((tmp_path / "run" / "environment.json").read_text(encoding="utf-8"))
    assert environment["gpu_tests"] == "skipped"


def test_what_does_not_fit_the_time_is_left_out_by_name(
    invoke: Invoke, tmp_path: Path, pretended: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(gpu, "_REPORT_SECONDS", 1e9)
    assert invoke("gpu", "--out", tmp_path / "run")[0] == 0
    assert [row["status"] for row in rows_of(tmp_path / "run")] == ["timeout"] * len(pretended["cases"])


def test_a_run_is_not_overwritten(invoke: Invoke, tmp_path: Path, pretended: dict[str, Any]) -> None:
    (tmp_path / "results.csv").touch()
    code, _, error = invoke("gpu", "--out", tmp_path)
    assert (code, pretended["commands"]) == (2, [])
    assert "holds a run already" in error


def test_an_interrupt_leaves_what_was_measured(
    invoke: Invoke, tmp_path: Path, pretended: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    prepare = Runner.prepare

    def interrupted(self: Runner, one: Case) -> StepResult:
        if one is pretended["cases"][1]:
            raise KeyboardInterrupt
        return prepare(self, one)

    monkeypatch.setattr(Runner, "prepare", interrupted)
    code, _, error = invoke("gpu", "--out", tmp_path / "run")
    assert code == 130
    assert error == f"interrupted: 1 of 3 cases are done, in {tmp_path / 'run'}; go on with --resume\n"
    assert len(rows_of(tmp_path / "run")) == 1
