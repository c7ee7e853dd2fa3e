"""Compiling before measuring: every compiled kernel of a sweep, in several processes, into the caches on disk.

Compiling one case after the other would take longer than measuring them. What the compilers' autotuners chose while
others were running is thrown away, so that they choose again, undisturbed, when the case is measured.
"""

import multiprocessing
import os
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import torch

from kernels import Problem, unsupported

from ..case.case import Case
from ..device.resources import release
from .workloads import build, call, draw

# Those that run what a compiler makes of a problem; the others have nothing to wait for.
COMPILED = frozenset({"triton", "compiled", "flex"})
_MOST_WORKERS = 14

T = TypeVar("T")


@dataclass(frozen=True)
class Compilation:
    """A problem for an implementation to compile, forward and, where it has one, backward."""

    problem: Problem
    implementation: str
    device: str


@dataclass(frozen=True)
class Outcome:
    """How many tasks there were, why some failed, how many were not done in time, and the seconds it took."""

    tasks: int
    failures: list[str]
    unfinished: int
    seconds: float

    def __str__(self) -> str:
        text = f"compiled ahead: {self.tasks - self.unfinished - len(self.failures)} of {self.tasks} problems and "
        text += f"implementations in {self.seconds:.0f} s"
        if self.unfinished:
            text += f", {self.unfinished} not in time"
        return text + (f", {len(self.failures)} failed, the first with {self.failures[0]}" if self.failures else "")


def compilations_of(cases: Iterable[Case], device: torch.device) -> list[Compilation]:
    """What the cases need compiled, each once and in their order; the device is not asked who takes what."""
    wanted = dict.fromkeys((case.problem, case.implementation) for case in cases if case.implementation in COMPILED)
    return [Compilation(*one, str(device)) for one in wanted]


def compile_ahead(tasks: Sequence[Compilation], seconds: float, workers: int | None = None) -> Outcome:
    """Run every task once in processes of their own, for so many seconds at the most."""
    start, wall = time.monotonic(), time.time()
    outcomes: list[str | None] = []
    if not tasks:
        return Outcome(0, [], 0, 0.0)
    count = workers or max(1, min(_MOST_WORKERS, (os.cpu_count() or 1) - 1, len(tasks)))
    with multiprocessing.get_context("spawn").Pool(count) as pool:  # terminated on the way out
        results = pool.imap_unordered(compile_one, tasks)
        while len(outcomes) < len(tasks):
            try:
                outcomes.append(results.next(max(0.0, start + seconds - time.monotonic())))
            except multiprocessing.TimeoutError:
                break
    forget_choices_since(wall)
    failures = [outcome for outcome in outcomes if outcome is not None]
    return Outcome(len(tasks), failures, len(tasks) - len(outcomes), time.monotonic() - start)


def compile_one(task: Compilation) -> str | None:
    """Run a task; return what went wrong in one line, or None."""
    import torch._inductor.config as inductor  # noqa: PLC0415  heavy, and of use in a worker alone

    inductor.compile_threads = 1
    # The next task's tensors, and those of the other processes, are to have room: this one keeps nothing.
    failure, kept = _failure_of(_run, task), _failure_of(release, torch.device(task.device))
    return None if failure is None and kept is None else f"{task.implementation}: {failure or kept}"


def _failure_of(function: Callable[[T], None], argument: T) -> str | None:
    """What a function raises, in a line, or None."""
    try:
        function(argument)
    except Exception as error:  # noqa: BLE001  the case itself will leave a row that says so
        return f"{type(error).__name__}: {(str(error).splitlines() or [''])[0]}"
    return None


def _run(task: Compilation) -> None:
    """Call a task's problem in every mode; its tensors are gone when this returns."""
    modes = _modes(task)
    if not modes:
        return  # refused: nothing to compile
    tensors = draw(task.problem, "operator", torch.device(task.device))
    workload = build(task.problem, "operator", tensors, task.implementation)
    for mode in modes:
        call(workload, mode)()
    if task.device.startswith("cuda"):
        torch.cuda.synchronize(task.device)


def _modes(task: Compilation) -> list[str]:
    """The modes in which a task's implementation takes its problem."""
    device = torch.device(task.device)
    return [
        mode
        for mode, backward in (("forward", False), ("forward_backward", True))
        if unsupported(task.implementation, task.problem, device, backward=backward) is None
    ]


def forget_choices_since(wall: float) -> None:
    """Delete what torch's autotuner wrote down since a time of day."""
    from torch._inductor.runtime.cache_dir_utils import cache_dir  # noqa: PLC0415

    for file in Path(cache_dir()).rglob("*.best_config"):
        if file.stat().st_mtime >= wall:
            file.unlink()
