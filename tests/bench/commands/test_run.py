"""The command: what it refuses, what it shows, and what it leaves behind."""

import csv
import json
import subprocess
import sys
from io import StringIO
from pathlib import Path

import pytest
import torch
from rich.console import Console

from bench.case.axes import ALIASES, AXES
from bench.case.case import Case
from bench.case.request import Request
from bench.case.sweeps import SWEEPS
from bench.commands.progress import reporting
from bench.cost.metrics import METRICS
from bench.device.environment import describe
from bench.measure.runner import Runner
from bench.measure.steps import StepResult
from bench.results.columns import COLUMNS
from bench.results.folder import RunFolder
from kernels import IMPLEMENTATIONS
from tests import ROOT
from tests.support.bench_cases import CPU, case
from tests.support.in_process import Invoke

SMALL = [
    "-a",
    "hw=6",
    "-a",
    "C=8",
    "-a",
    "k=3",
    "-a",
    "m=4",
    "-a",
    "s=1",
    "--implementation",
    "unfold,chunked",
    "--seconds",
    "0",
    "--device",
    "cpu",
]
CASES = 4


def jsonl(path: Path) -> list[dict[str, object]]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def require_run(path: Path, statuses: list[str]) -> None:
    """A run folder whose files agree with each other."""
    rows = jsonl(path / "results.jsonl")
    assert [row["status"] for row in rows] == statuses
    assert all(list(row) == list(COLUMNS) for row in rows)
    with (path / "results.csv").open(newline="", encoding="utf-8") as file:
        flat = list(csv.DictReader(file))
    assert flat == [{name: "" if value is None else str(value) for name, value in row.items()} for row in rows]
    assert len(jsonl(path / "samples.jsonl")) == len(rows)
    assert RunFolder(path).environment()["cases"] == CASES


REFUSED = {
    "axis": (["-a", "kernel=3"], "'kernel'"),
    "axis without values": (["-a", "k"], "'k'"),
    "value": (["-a", "k=three"], "'three'"),
    "implementation": (["--implementation", "unfold,unfolded"], "'unfolded'"),
    "sweep": (["quik"], "'quik'"),
    "mode": (["--mode", "forwards"], "'forwards'"),
    "device": (["--device", "gpu"], "'gpu'"),
    "device of another kind": (["--device", "meta"], "'meta'"),
    "device that is not here": (["--device", "cuda:99"], "'cuda:99'"),
    "window that does not fit": (["-a", "k=29", "-a", "hw=4", "-a", "padding=0"], "29×29"),
    "even window": (["-a", "k=4"], "got 4"),
    "padding too large": (["-a", "k=3", "-a", "padding=2"], "got 2"),
    "no images": (["-a", "N=0"], "batch"),
    "stride": (["-a", "s=0"], "stride must be at least 1, got 0"),
    "status to retry": (["--resume", "--out", "run", "--retry", "okay"], "'okay'"),
    "retry without resume": (["--retry", "error"], "--resume"),
    "no folder to resume": (["--resume"], "--out"),
}


@pytest.mark.parametrize("dry", [[], ["--dry-run"]], ids=["run", "dry run"])
@pytest.mark.parametrize(("arguments", "said"), REFUSED.values(), ids=REFUSED.keys())
def test_what_makes_no_sense_is_refused(
    invoke: Invoke, tmp_path: Path, arguments: list[str], said: str, dry: list[str]
) -> None:
    code, out, error = invoke("run", *arguments, *dry)
    assert (code, out) == (2, "")
    assert error.startswith("error: ")
    assert error.count("\n") == 1
    assert said in error
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("twice", [["-a", "k=3", "-a", "k=5"], ["-a", "mode=forward", "--mode", "backward"]], ids=str)
def test_an_axis_given_twice_is_not_dropped(invoke: Invoke, twice: list[str]) -> None:
    code, out, _ = invoke("run", *twice, "--dry-run", "--device", "cpu", "--implementation", "unfold")
    both = all(word in out for word in (("k3", "k5") if "k=3" in twice else (" forward ", " backward ")))
    assert code == 2 or both


@pytest.mark.usefixtures("in_process")
def test_an_existing_run_is_left_alone(invoke: Invoke, tmp_path: Path) -> None:
    RunFolder.create(tmp_path / "run", {})
    before = {path: path.read_bytes() for path in (tmp_path / "run").iterdir()}
    code, out, error = invoke("run", *SMALL, "--out", "run")
    assert (code, out) == (2, "")
    assert error == "error: run holds a run already (results.jsonl): give another folder with --out\n"
    assert {path: path.read_bytes() for path in (tmp_path / "run").iterdir()} == before


def test_a_dry_run_lists_cases_and_reasons(invoke: Invoke, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("kernels.implementations.triton_fused.launch.interpreting", lambda: False)
    arguments = [word.replace("chunked", "triton") for word in SMALL]
    code, out, error = invoke("run", *arguments, "--out", "run", "--dry-run")
    assert (code, error) == (0, "")
    lines = [line for line in out.splitlines() if "C8 6×6 k3 m4 s1" in line]
    assert len(lines) == CASES
    refused = [line for line in lines if "Triton kernels run on cuda tensors, got cpu" in line]
    assert refused == [line for line in lines if "triton operator" in line]
    assert "4 cases on cpu, 2 of them refused" in out
    assert list(tmp_path.iterdir()) == []


@pytest.mark.usefixtures("in_process")
def test_a_small_run(invoke: Invoke, tmp_path: Path) -> None:
    code, out, error = invoke("run", "quick", *SMALL)
    assert (code, error) == (0, "")
    assert [f"[{number}/{CASES}]" in out for number in range(1, CASES + 2)] == [True] * CASES + [False]
    (path,) = (tmp_path / "reports" / "runs").iterdir()
    assert path.name.endswith("-quick")
    assert f"python -m reports reports/runs/{path.name}" in out
    require_run(path, ["ok"] * CASES)


@pytest.mark.usefixtures("in_process")
def test_a_case_that_fails_does_not_end_the_run(
    invoke: Invoke, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("kernels.implementations.chunked.run", lambda *_: torch.zeros(2, 8, 6, 6))
    code, out, _ = invoke("run", "quick", *SMALL, "--mode", "forward", "-a", "padding_mode=mask,zeros", "--out", "run")
    assert code == 0
    assert out.count("incorrect: relative error") == 2
    require_run(tmp_path / "run", ["incorrect", "ok"] * 2)


@pytest.mark.usefixtures("in_process")
def test_an_interrupt_keeps_what_is_done(invoke: Invoke, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    usual, calls = Runner.round, []

    def interrupted(self: Runner, one: Case) -> StepResult:
        calls.append(one)
        if len(calls) == 7:
            raise KeyboardInterrupt
        return usual(self, one)

    monkeypatch.setattr(Runner, "round", interrupted)
    code, _, error = invoke("run", "quick", *SMALL, "--order", "blocked", "--out", "run")
    assert code == 130
    assert error == f"interrupted: 2 of {CASES} cases are done, in run; go on with --resume\n"
    require_run(tmp_path / "run", ["ok"] * 2)


def test_the_device_chooses_the_sweep() -> None:
    request = Request(None, (), (), None, "auto")
    assert request.sweep_name(CPU) == "quick"
    assert request.sweep_name(torch.device("cuda")) == "axes"


@pytest.mark.parametrize(
    ("what", "names"),
    [("implementations", IMPLEMENTATIONS), ("sweeps", SWEEPS), ("axes", (*AXES, *ALIASES)), ("metrics", METRICS)],
)
def test_lists_name_everything(invoke: Invoke, what: str, names: tuple[str, ...]) -> None:
    code, out, _ = invoke("list", what)
    assert code == 0
    assert {word for line in out.splitlines()[1:] for word in line.split()[:2]} >= set(names)
    assert out in invoke("list")[1]


def test_an_unknown_list_is_refused(invoke: Invoke) -> None:
    code, out, error = invoke("list", "axis")
    assert (code, out, error.count("\n")) == (2, "", 1)
    assert "'axis'" in error


@pytest.mark.parametrize("terminal", [True, False])
def test_progress_tells_what_came_of_each_case(terminal: bool) -> None:
    shown = StringIO()
    done = {"status": "ok", "latency_ms": 1.5, "latency_p20_ms": 1.25, "latency_p80_ms": 2.0, "peak_mib": 12.4}
    with reporting([case(), case(m=3)], Console(file=shown, force_terminal=terminal, width=300)) as report:
        report(case(), done)
        report(case(m=3), {"status": "error", "reason": "KeyError: [bold]x"})
    assert "chunked operator forward N2 C6 5×4 k3 m4 s1  1.500 ms [1.250, 2.000]  12 MiB" in shown.getvalue()
    assert "chunked operator forward N2 C6 5×4 k3 m3 s1  error: KeyError: [bold]x" in shown.getvalue()


def test_the_environment_says_where_it_ran() -> None:
    environment = json.loads(json.dumps(describe(CPU, ["python", "-m", "bench"])))
    head = subprocess.run(["git", "rev-parse", "HEAD"], cwd=ROOT, capture_output=True, text=True, check=True)
    assert environment["code"]["git_commit"] == head.stdout.strip()
    assert environment["versions"]["torch"] == torch.__version__
    assert environment["host"]["threads_used"] == torch.get_num_threads()
    assert environment["argv"] == ["python", "-m", "bench"]
    assert environment["device"]["type"] == "cpu"
    assert environment["doctor"] is None


def python(*arguments: str) -> subprocess.CompletedProcess[str]:
    """Python in the checkout."""
    return subprocess.run([sys.executable, *arguments], cwd=ROOT, capture_output=True, text=True, check=False)


@pytest.mark.parametrize("arguments", [["--help"], ["run", "--help"], ["list", "--help"]], ids=" ".join)
def test_help_does_not_load_torch(arguments: list[str]) -> None:
    done = python("-X", "importtime", "-m", "bench", *arguments)
    assert done.returncode == 0
    assert "Usage" in done.stdout
    imported = {line.rpartition("|")[2].strip() for line in done.stderr.splitlines()}
    assert "typer" in imported
    assert {"torch", "kernels", "triton"} & imported == set()


@pytest.mark.parametrize(
    "module",
    [
        "bench.results.folder",
        "bench.cost.metrics",
        "bench.cost.complexity",
        "bench.cost.bounds",
        "bench.commands.on_runs",
    ],
)
def test_what_reports_read_loads_no_torch(module: str) -> None:
    done = python("-c", f"import sys, {module}; print({{'torch', 'kernels', {module!r}}} & set(sys.modules))")
    assert done.stdout == f"{{{module!r}}}\n"


@pytest.mark.slow
def test_a_run_from_the_shell(tmp_path: Path) -> None:
    done = python("-m", "bench", "run", "quick", *SMALL, "--out", str(tmp_path / "run"))
    assert (done.returncode, done.stderr) == (0, "")
    require_run(tmp_path / "run", ["ok"] * CASES)
    assert RunFolder(tmp_path / "run").environment()["argv"][:5] == ["python", "-m", "bench", "run", "quick"]


@pytest.mark.slow
def test_a_refusal_from_the_shell(tmp_path: Path) -> None:
    done = python("-m", "bench", "run", "-a", "kernel=3", "--out", str(tmp_path / "run"))
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("error: there is no axis 'kernel'")
    assert list(tmp_path.iterdir()) == []
