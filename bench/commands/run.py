"""`python -m bench run`: from the words of the command to a run folder, or what it would cost."""

import heapq
import math
import os
from collections.abc import Sequence
from functools import partial
from pathlib import Path

import torch
import typer
from rich.console import Console

from ..case.case import Case, grouped
from ..case.request import Request
from ..case.shards import Shard, describe_sweep, parse_shard
from ..device.flush import FLUSH_FACTOR
from ..device.timing import Timing
from ..errors import UsageError
from ..measure.preflight import predicted_mib, refusal
from ..processes import console
from ..results.columns import STATUSES
from ..results.folder import RunFolder, new_run_path
from ..run.conduct import Conduct
from ..run.executors import Executor
from ..run.run import Target, measure_run
from .listing import rows_table
from .progress import reporting

DEVICES = (1, 8, 64)
# A dry run of more cases shows the ends alone.
_MOST_SHOWN = 100_000
# Assumed, not measured, in seconds: for a case beside its samples (warm-up, memory, building what is timed), for a
# problem's tensors and its results in float64, and for an implementation's first call, where a compiler runs.
CASE_SECONDS, PROBLEM_SECONDS = 0.1, 0.7
_FIRST_CALL = {"triton": 4.0, "compiled": 10.0, "flex": 10.0}


def time_estimate(cases: Sequence[Case], timing: Timing) -> str:
    """GPU-hours, and how long so many GPUs take, each with the next problem as soon as it is free."""
    seconds = [_seconds(group, timing) for group in grouped(cases)]
    times = ", ".join(f"{_words(_makespan(seconds, count))} on {count}" for count in DEVICES)
    assumed = ", ".join(f"{name} {value:g} s" for name, value in _FIRST_CALL.items())
    return (
        f"estimate for GPUs: {sum(seconds) / 3600:.2g} GPU-hours; {times}. Assumed, not measured: {timing.seconds:g} + "
        f"{CASE_SECONDS} s a case, {PROBLEM_SECONDS} s a problem, first calls: {assumed}; no case is refused"
    )


def _seconds(group: Sequence[Case], timing: Timing) -> float:
    first_calls = sum(_FIRST_CALL.get(name, 0.0) for name in {case.implementation for case in group})
    return len(group) * (timing.seconds + CASE_SECONDS) + PROBLEM_SECONDS + first_calls


def _makespan(seconds: Sequence[float], count: int) -> float:
    """When the last of `count` devices is done."""
    busy_until = [0.0] * count
    for duration in seconds:
        heapq.heapreplace(busy_until, busy_until[0] + duration)
    return max(busy_until)


def _words(seconds: float) -> str:
    return f"{seconds / 3600:.1f} h" if seconds >= 3600 else f"{seconds / 60:.0f} min"


def run_sweep(request: Request, executor: Executor, conduct: Conduct, target: Target, shard: str | None) -> list[Case]:
    """Measure what is asked for, or one shard of it, into a folder; the cases.

    Raises:
        SuiteError: What is asked for makes no sense, or the run ended early.
    """
    whole, cases = chosen_cases(request, executor, shard)
    about = {"sweep": describe_sweep(request.sweep_name(executor.device), (case.parameters() for case in whole))}
    part = _part(shard)
    if part is not None:
        about["shard"] = part.columns()
    target = Target(target.path, {**about, **target.about}, target.retry)
    measure_run(cases, executor, target, conduct, partial(reporting, console=console()))
    typer.echo(f"{len(cases)} cases are in {RunFolder(target.path).csv_path}")
    return cases


def timing_of(seconds: float, *, energy: bool, flush_factor: float = FLUSH_FACTOR) -> Timing:
    """How long a case is measured, and how the L2 is flushed.

    Raises:
        UsageError: That is no length of time, or no factor.
    """
    if not math.isfinite(flush_factor):
        raise UsageError(f"--flush-factor must be a number, got {flush_factor}")
    if not math.isfinite(seconds):
        raise UsageError(f"--seconds must be a number of seconds, got {seconds}")
    return Timing(seconds=seconds, energy=energy, flush_factor=flush_factor)


def show_sweep(request: Request, executor: Executor, timing: Timing, shard: str | None) -> None:
    """Show the cases and what they would cost; nothing runs."""
    size = request.size(executor.device)
    if size > _MOST_SHOWN:
        for case in request.ends(executor.device):
            typer.echo(case.label())
        typer.echo(f"up to {size:,} cases, of which these are the first and the last; too many to be shown")
        return
    _, cases = chosen_cases(request, executor, shard)
    print_cases(cases, executor.device, console())
    typer.echo(time_estimate(cases, timing))


def print_cases(cases: Sequence[Case], device: torch.device, screen: Console) -> None:
    """Show each case with its predicted memory above the inputs, or the reason why it is refused.

    Both are questions to the device: where it is another machine's, they are left open.
    """
    if device.type == "cuda" and not torch.cuda.device_count():
        screen.print(rows_table(("#", "case"), [(str(number), case.label()) for number, case in enumerate(cases, 1)]))
        screen.print(f"{len(cases)} cases on {device}, which is not here: who refuses which is not known")
        return
    rows, refused = [], 0
    for number, case in enumerate(cases, 1):
        reason = refusal(case, device)
        refused += reason is not None
        predicted = "" if reason or case.yardstick else f"{predicted_mib(case, device):.1f}"
        rows.append((str(number), case.label(), predicted, reason or ""))
    screen.print(rows_table(("#", "case", "predicted MiB", "refused because"), rows))
    screen.print(f"{len(cases)} cases on {device}, {refused} of them refused")


def chosen_cases(request: Request, executor: Executor, shard: str | None) -> tuple[list[Case], list[Case]]:
    """All cases of a request, and those of the shard.

    Raises:
        UsageError: What is asked for makes no sense, or there is no such shard.
    """
    part, whole = _part(shard), request.cases(executor.device)
    return whole, [case for case in whole if part is None or part.holds(case.parameters())]


def target_of(out: Path | None, name: str, retry: Sequence[str], *, resume: bool) -> Target:
    """Where a run goes, `name` in the name of a new folder.

    Raises:
        UsageError: A status to retry does not exist, or nothing is resumed that could be retried.
    """
    statuses = frozenset(status for text in retry for status in text.split(","))
    if statuses - set(STATUSES):
        raise UsageError(f"there is no status {min(statuses - set(STATUSES))!r}: there are {', '.join(STATUSES)}")
    if retry and not resume:
        raise UsageError("--retry needs --resume: it is about the cases that a run has already")
    if out is not None and str(out) == ".":  # an empty name is that too
        raise UsageError("--out is a folder of the run's own, got the current one")
    if resume and out is None:
        raise UsageError("--resume needs --out RUN, the folder of the run to continue")
    return Target(out or new_run_path(name), {}, statuses if resume else None)


def _part(shard: str | None) -> Shard | None:
    return None if shard is None else parse_shard(shard, os.environ)
