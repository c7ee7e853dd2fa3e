"""`python -m bench gpu`: a GPU's tests, sweep and report, one after the other and within minutes."""

import time
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import torch
import typer

from ..case.case import Case, grouped
from ..case.parts import GPU_PARTS, by_part
from ..case.sweeps import SWEEPS, expand
from ..device.device import require_device
from ..device.timing import Timing
from ..errors import Exit, UsageError
from ..measure.ahead import COMPILED, compilations_of, compile_ahead
from ..processes import console
from ..results.folder import RunFolder
from ..results.reading import key_of, read_run
from ..results.recovery import code_version, was_left_out
from ..run.budget import Budget
from ..run.conduct import Conduct
from ..run.executors import LocalExecutor, Seat
from ..run.rates import Rates
from ..run.run import Target, measure_run
from .gpu_tests import Proof, require_tests, run_tests
from .output import report_on
from .progress import reporting
from .run import CASE_SECONDS, PROBLEM_SECONDS, target_of

_DEVICE = torch.device("cuda")
_TIMING = Timing(seconds=0.05)
# A case that hangs must not take the minutes of all others.
_CASE_TIMEOUT = 90.0
# Seconds at the most: tests and compiling have theirs before the minutes begin; the report has its of the minutes.
_TESTS_SECONDS, _AHEAD_SECONDS, _REPORT_SECONDS = 300.0, 180.0, 45.0
# What the dry run's estimate assumes, in seconds: for what was compiled ahead to be loaded, and for compiling itself,
# many at a time.
_LOADED, _COMPILED = 1.0, 0.6
# Left-out cases that are named one by one.
_NAMED = 10
_clock = time.monotonic


def run_gpu(out: Path | None, minutes: float, *, tests: bool, resume: bool) -> Exit:
    """Test, compile, measure and report a GPU within minutes; the exit code: 1 if the tests failed or warned.

    Raises:
        SuiteError: There is no GPU, the folder holds a run and is not to be resumed, or the run ended early.
    """
    target = target_of(out, "gpu", (), resume=resume)
    if tests:
        require_tests()
    if not torch.cuda.device_count():
        raise UsageError("there is no CUDA GPU here, and this command measures one; --dry-run shows its cases")
    require_device(str(_DEVICE))
    parts = _left(target, by_part(expand(SWEEPS["gpu"], {}), GPU_PARTS))
    typer.echo(_shares(minutes, tests=tests))
    tested = _tested(target) if tests else Proof("skipped", clean=True)
    cases = [case for of_part in parts.values() for case in of_part]
    ahead = compile_ahead(compilations_of(cases, _DEVICE), _AHEAD_SECONDS)
    typer.echo(str(ahead))
    start = _clock()
    about = {"minutes": minutes, "gpu_tests": tested.words, "compiled_ahead": str(ahead)}
    _measure(parts, Target(target.path, about, target.retry), start + 60 * minutes - _REPORT_SECONDS)
    _tell_left_out(target.path, parts)
    code = report_on(target.path)
    typer.echo(f"{len(cases)} cases and their report are in {target.path}, after {_clock() - start:.0f} s of measuring")
    if tested.clean:
        return code
    typer.echo(f"warning: the GPU's tests: {tested.words}; environment.json says so (gpu_tests)", err=True)
    return Exit.FAILED


def _measure(parts: Mapping[str, Sequence[Case]], target: Target, deadline: float) -> None:
    rates = Rates(_TIMING.seconds, _TIMING.least(_DEVICE))
    budget = Budget(parts, rates, deadline, _CASE_TIMEOUT, _clock, typer.echo)
    conduct = Conduct(_TIMING, case_timeout=_CASE_TIMEOUT, deadline=deadline, clock=_clock, budget=budget)
    # The parts need not hold all cases of a problem, and what is left of a run is asked for alone.
    cases = [case for of_part in parts.values() for case in of_part]
    measure_run(cases, LocalExecutor([Seat(str(_DEVICE))]), target, conduct, partial(reporting, console=console()))


def _shares(minutes: float, *, tests: bool) -> str:
    """What takes how long, said before it begins."""
    first = f"tests: at most {_TESTS_SECONDS / 60:g} min" if tests else "tests: skipped"
    return f"{first}, compiling ahead: at most {_AHEAD_SECONDS / 60:g} min, measuring and report: {minutes:g} min"


def _earlier(target: Target) -> dict[str, Any]:
    """The environment of the run that is gone on with, empty for a new one."""
    folder = RunFolder(target.path)
    return folder.environment() if target.retry is not None and folder.environment_path.exists() else {}


def _left(target: Target, parts: Mapping[str, list[Case]]) -> dict[str, list[Case]]:
    """The cases that have no row yet, or had no time.

    Raises:
        RunFolderError: The folder holds a run and is not to be resumed.
    """
    if not _earlier(target):
        RunFolder(target.path).require_new()
        return dict(parts)
    rows = read_run(target.path, samples=False).rows
    ended = {key for key, row in rows.items() if not was_left_out(row)}
    return {name: [case for case in cases if key_of(case.parameters()) not in ended] for name, cases in parts.items()}


def _tested(target: Target) -> Proof:
    """Run the tests, unless the run that is gone on with passed those of the same sources."""
    earlier = _earlier(target)
    words = str(earlier.get("gpu_tests", ""))
    if words.startswith("passed in") and earlier["code"]["version"] == code_version():
        typer.echo(f"tests: {words} when the run began, with the same sources")
        return Proof(words, clean=True)
    return run_tests(_TESTS_SECONDS)


def _tell_left_out(path: Path, parts: Mapping[str, Sequence[Case]]) -> None:
    """Name what the time was not enough for."""
    rows = read_run(path, samples=False).rows
    left = {key for key, row in rows.items() if was_left_out(row)}
    out = {name: [case for case in cases if key_of(case.parameters()) in left] for name, cases in parts.items()}
    if not left:
        typer.echo("every case was measured: none was left out")
        return
    typer.echo(f"left out for lack of time, {len(left)} cases; the same command with --out {path} --resume goes on:")
    for name, cases in out.items():
        if cases:
            named = "; ".join(case.label() for case in cases[:_NAMED])
            more = f"; and {len(cases) - _NAMED} more, in results.csv" if len(cases) > _NAMED else ""
            typer.echo(f"  {name}, {len(cases)} of {len(parts[name])}: {named}{more}")


def show_gpu(minutes: float) -> None:
    """Every case in its order, and a time estimate; nothing runs."""
    parts = by_part(expand(SWEEPS["gpu"], {}), GPU_PARTS)
    cases = [case for of_part in parts.values() for case in of_part]
    problems = len(grouped(cases))
    compiled = len({(case.problem, case.implementation) for case in cases if case.implementation in COMPILED})
    for number, case in enumerate(cases, 1):
        typer.echo(f"[{number}/{len(cases)}] {case.label()}")
    typer.echo("in this order: " + ", ".join(f"{name} {len(of_part)}" for name, of_part in parts.items()))
    case_seconds = _TIMING.seconds + CASE_SECONDS
    seconds = case_seconds * len(cases) + PROBLEM_SECONDS * problems + _LOADED * compiled + _REPORT_SECONDS
    typer.echo(
        f"{len(cases)} cases of {problems} problems. At {case_seconds:g} s a case, {PROBLEM_SECONDS} s a problem's "
        f"check, {_LOADED} s a first call and {_REPORT_SECONDS:.0f} s for the report, assumed and not measured, that "
        f"is {seconds / 60:.1f} minutes after tests and compiling ({compiled} compilations, {_COMPILED} s each); what "
        f"does not fit into {minutes:g} minutes is left out, and --resume goes on with it"
    )
