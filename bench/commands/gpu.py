"""`python -m bench gpu`: a GPU's tests, sweep and report, one after the other and within minutes."""

import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import torch
import typer

from .. import ROOT
from ..case.case import Case
from ..case.sweeps import SWEEPS, expand
from ..device.timing import Timing
from ..errors import RunFolderError, UsageError, WorkerError
from ..measure.ahead import COMPILED, compile_ahead, tasks_of
from ..results.folder import RunFolder
from ..run.local_executor import LOG, LocalExecutor, Seat
from ..run.messages import Setup
from ..run.run import Conduct, measure_run
from ..run.schedule import Schedule
from ..run.worker import Worker
from .estimate import CASE_SECONDS, PROBLEM_SECONDS
from .run import RUNS, refuse

RED_EXIT = 1
_DEVICE = torch.device("cuda")
_TIMING = Timing(seconds=0.05)
# A case that hangs must not take the minutes of all others.
_CASE_TIMEOUT = 90.0
# Kept back for the report, and the largest share of the whole time that compiling ahead may take.
_REPORT_SECONDS, _AHEAD_SHARE = 45.0, 0.4
# What the dry run's estimate assumes, in seconds: for what was compiled ahead to be loaded, and for compiling itself,
# many at a time.
_LOADED, _COMPILED = 1.0, 0.6


@dataclass(frozen=True)
class Plan:
    """Where the run goes, the minutes that everything may take, and whether the tests come first."""

    out: Path | None
    minutes: float
    tests: bool


def run_gpu(plan: Plan, *, dry_run: bool) -> int:
    """Test, compile, measure and report; or only show the cases. Return the exit code: 1 if the tests are red."""
    start = time.monotonic()
    cases = expand(SWEEPS["gpu"], {})
    if dry_run:
        _show(cases, plan)
        return 0
    folder = RunFolder(plan.out or RUNS / f"{datetime.now():%Y%m%d-%H%M%S}-gpu")  # noqa: DTZ005
    if not torch.cuda.device_count():
        return refuse(UsageError("there is no CUDA GPU here, and this command measures one; --dry-run shows its cases"))
    try:
        folder.require_new()
    except RunFolderError as error:
        return refuse(error)
    tests = _tests() if plan.tests else "skipped"
    if tests is None:
        return RED_EXIT
    try:
        code = _measure(cases, plan, folder, tests, start)
    except (RunFolderError, WorkerError) as error:
        return refuse(error)
    return code or _report(len(cases), folder, start)


def _measure(cases: Sequence[Case], plan: Plan, folder: RunFolder, tests: str, start: float) -> int:
    """Compile and measure within the minutes since `start`; return the exit code."""
    # Another process asks the GPU what it supports: this one stays free of CUDA.
    with Worker(Setup(str(_DEVICE), _TIMING), folder.path / LOG) as worker:
        tasks = worker.call(tasks_of, cases, _DEVICE)
    ahead = compile_ahead(tasks, _AHEAD_SHARE * 60 * plan.minutes)
    typer.echo(str(ahead))
    about = {"minutes": plan.minutes, "gpu_tests": tests, "compiled_ahead": str(ahead)}
    schedule = Schedule(deadline=start + 60 * plan.minutes - _REPORT_SECONDS)
    conduct = Conduct(_TIMING, schedule, _CASE_TIMEOUT)
    return measure_run(cases, LocalExecutor([Seat(str(_DEVICE))]), folder.path, conduct, about)


def _report(count: int, folder: RunFolder, start: float) -> int:
    """Write the report beside the rows; return its exit code."""
    done = subprocess.run([sys.executable, "-m", "reports", str(folder.path.resolve())], cwd=ROOT, check=False)
    typer.echo(f"{count} cases and their report are in {folder.path}, after {time.monotonic() - start:.0f} s")
    return done.returncode


def _tests() -> str | None:
    """Run the tests that need a GPU; how long they took, or None if any fails, as no speed counts then."""
    start = time.monotonic()
    command = [sys.executable, "-m", "pytest", "-m", "gpu", "--quiet"]
    code = subprocess.run(command, cwd=ROOT, check=False).returncode
    if code:
        typer.echo(f"error: the GPU's tests are red (pytest ended with {code}): nothing is measured", err=True)
        return None
    return f"passed in {time.monotonic() - start:.0f} s"


def _show(cases: Sequence[Case], plan: Plan) -> None:
    """Every case, and an estimate of the time."""
    problems = len({case.posed for case in cases})
    compiled = len({(case.problem, case.implementation) for case in cases if case.implementation in COMPILED})
    for number, case in enumerate(cases, 1):
        typer.echo(f"[{number}/{len(cases)}] {case.label()}")
    case_seconds = _TIMING.seconds + CASE_SECONDS
    checks, first_calls = PROBLEM_SECONDS * problems, (_LOADED + _COMPILED) * compiled
    seconds = case_seconds * len(cases) + checks + first_calls + _REPORT_SECONDS
    typer.echo(
        f"{len(cases)} cases of {problems} problems, {compiled} compilations. At {case_seconds:g} s a case, "
        f"{PROBLEM_SECONDS} s a problem's check, {_COMPILED} + {_LOADED} s a compilation and {_REPORT_SECONDS:.0f} s "
        f"for the report, assumed and not measured, that is {seconds / 60:.1f} minutes after the tests; what is not "
        f"measured after {plan.minutes:g} minutes is left out as timeout"
    )
