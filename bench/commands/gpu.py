"""`python -m bench gpu`: a GPU's tests, sweep and report, one after the other and within minutes."""

import subprocess
import sys
import time
from functools import partial
from pathlib import Path

import torch
import typer

from .. import ROOT
from ..case.sweeps import SWEEPS, expand
from ..device.timing import Timing
from ..errors import Exit, RunError, UsageError
from ..measure.ahead import COMPILED, compilations_of, compile_ahead
from ..processes import console
from ..results.folder import RunFolder, new_run_path
from ..run.executors import LOG, LocalExecutor, Seat
from ..run.messages import Setup
from ..run.run import Target, measure_run
from ..run.schedule import Conduct
from ..run.worker import Worker
from .progress import reporting
from .run import CASE_SECONDS, PROBLEM_SECONDS, report_on

_DEVICE = torch.device("cuda")
_TIMING = Timing(seconds=0.05)
# A case that hangs must not take the minutes of all others.
_CASE_TIMEOUT = 90.0
# Kept back for the report, and the largest share of the whole time that compiling ahead may take.
_REPORT_SECONDS, _AHEAD_SHARE = 45.0, 0.4
# What the dry run's estimate assumes, in seconds: for what was compiled ahead to be loaded, and for compiling itself,
# many at a time.
_LOADED, _COMPILED = 1.0, 0.6


def run_gpu(out: Path | None, minutes: float, *, tests: bool) -> Exit:
    """Test, compile, measure and report a GPU within minutes; the exit code: 1 if the tests are red.

    Raises:
        SuiteError: There is no GPU, the folder holds a run, or the run ended early.
    """
    start = time.monotonic()
    cases, folder = expand(SWEEPS["gpu"], {}), RunFolder(out or new_run_path("gpu"))
    if not torch.cuda.device_count():
        raise UsageError("there is no CUDA GPU here, and this command measures one; --dry-run shows its cases")
    folder.require_new()
    tested = _tests() if tests else "skipped"
    # Another process asks the GPU what it supports: this one stays free of CUDA.
    with Worker(Setup(str(_DEVICE), _TIMING), folder.path / LOG) as worker:
        tasks = worker.call(compilations_of, cases, _DEVICE)
    ahead = compile_ahead(tasks, _AHEAD_SHARE * 60 * minutes)
    typer.echo(str(ahead))
    about = {"minutes": minutes, "gpu_tests": tested, "compiled_ahead": str(ahead)}
    conduct = Conduct(_TIMING, case_timeout=_CASE_TIMEOUT, deadline=start + 60 * minutes - _REPORT_SECONDS)
    executor = LocalExecutor([Seat(str(_DEVICE))])
    measure_run(cases, executor, Target(folder.path, about), conduct, partial(reporting, console=console()))
    code = report_on(folder.path)
    typer.echo(f"{len(cases)} cases and their report are in {folder.path}, after {time.monotonic() - start:.0f} s")
    return code


def _tests() -> str:
    """Run the tests that need a GPU; how long they took.

    Raises:
        RunError: One fails: no speed counts then.
    """
    start = time.monotonic()
    command = [sys.executable, "-m", "pytest", "-m", "gpu", "--quiet"]
    code = subprocess.run(command, cwd=ROOT, check=False).returncode
    if code:
        raise RunError(f"the GPU's tests are red (pytest ended with {code}): nothing is measured")
    return f"passed in {time.monotonic() - start:.0f} s"


def show_gpu(minutes: float) -> None:
    """Every case, and a time estimate; nothing runs."""
    cases = expand(SWEEPS["gpu"], {})
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
        f"measured after {minutes:g} minutes is left out as timeout"
    )
