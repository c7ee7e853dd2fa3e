"""`python -m bench learn`: trains every variant from several seeds within minutes, a process per core."""

import multiprocessing
import os
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from dataclasses import asdict, dataclass
from datetime import datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch
import typer

from kernels import IMPLEMENTATIONS, unsupported

from ..commands.run import RUNS, refuse
from ..device.environment import command_line, describe
from ..errors import RunFolderError, UsageError
from ..locks import locked
from .folder import LearningFolder
from .training import SPLIT, Recipe, train
from .variants import DEFAULT, QUICK, Variant, chosen

FAILED_EXIT = 1
QUICK_SEEDS, SEEDS = 2, 8
# Kept back of the minutes for what follows the trainings.
_REPORT_SECONDS = 20.0

Row = dict[str, Any]
Task = tuple[Variant, int]


@dataclass(frozen=True)
class LearnRequest:
    """What is to be trained, in the command's own words; `seeds` is how many, from 0 on."""

    out: Path | None = None
    seeds: int | None = None
    minutes: float = 10.0
    variants: tuple[str, ...] = ()
    implementation: str = "unfold"
    quick: bool = False
    resume: bool = False

    def tasks(self) -> list[Task]:
        """Variants and seeds in the order of training: every variant from one seed before the next seed.

        Raises:
            UsageError: No variant has a name as asked for.
        """
        patterns = [name for text in self.variants for name in text.split(",")]
        variants = chosen(patterns or (QUICK if self.quick else DEFAULT))
        seeds = self.seeds or (QUICK_SEEDS if self.quick else SEEDS)
        return [(variant, seed) for seed in range(seeds) for variant in variants]


def run_learn(request: LearnRequest) -> int:
    """Train what is asked for and leave its folder; return the exit code: 1 if a training failed."""
    deadline = time.monotonic() + 60 * request.minutes - _REPORT_SECONDS
    out = request.out or RUNS / f"{datetime.now():%Y%m%d-%H%M%S}-learn"  # noqa: DTZ005
    try:
        tasks, recipe = request.tasks(), Recipe()
        _require_trainable(request.implementation, [variant for variant, _ in tasks])
        with locked(out):
            folder = LearningFolder(out, _environment(request, tasks, recipe), resume=request.resume)
            left = [(variant, seed) for variant, seed in tasks if (variant.name, seed) not in folder.done]
            failed = _train_all(left, recipe, request.implementation, deadline, folder)
    except (UsageError, RunFolderError) as error:
        return refuse(error)
    typer.echo(f"{len(folder.done)} trainings are in {out}; their page: python -m reports.learning {out}")
    return FAILED_EXIT if failed else 0


def _require_trainable(implementation: str, variants: Sequence[Variant]) -> None:
    if implementation not in IMPLEMENTATIONS:
        raise UsageError(f"no implementation is called {implementation!r}: expected {', '.join(IMPLEMENTATIONS)}")
    for problem in filter(None, (variant.problem() for variant in variants)):
        reason = unsupported(implementation, problem, "cpu", backward=True)
        if reason is not None:
            raise UsageError(f"{implementation} cannot train here: {reason}")


def _environment(request: LearnRequest, tasks: Sequence[Task], recipe: Recipe) -> Row:
    environment = describe(torch.device("cpu"), command_line())
    environment["versions"]["scikit-learn"] = version("scikit-learn")
    environment["learning"] = {
        "split": SPLIT,
        "recipe": asdict(recipe),
        "recipe_in_words": str(recipe),
        "implementation": request.implementation,
        "variants": list(dict.fromkeys(variant.name for variant, _ in tasks)),
        "seeds": len({seed for _, seed in tasks}),
        "minutes": request.minutes,
        "processes": _cores(),
    }
    return environment


def _train_all(
    tasks: Sequence[Task], recipe: Recipe, implementation: str, deadline: float, folder: LearningFolder
) -> int:
    """Train until all is done or the time is over, a row each; return how many failed."""
    failed = 0
    for count, row in enumerate(_rows(tasks, recipe, implementation, deadline), 1):
        folder.add(row)
        failed += row["status"] != "ok"
        outcome = f"{row['accuracy']:.2%} in {row['seconds']:.1f} s" if row["status"] == "ok" else row["reason"]
        typer.echo(f"[{count}/{len(tasks)}] {row['variant']} seed {row['seed']}  {outcome}")
    return failed


def _rows(tasks: Sequence[Task], recipe: Recipe, implementation: str, deadline: float) -> Iterator[Row]:
    """The rows as trainings end. None is started that would end after the deadline, going by the longest so far."""
    longest, waiting = 0.0, list(reversed(tasks))
    running: dict[Future[Row], Task] = {}
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(_cores(), context, _one_thread) as pool:
        while waiting or running:
            while waiting and len(running) < _cores() and time.monotonic() + longest <= deadline:
                variant, seed = waiting.pop()
                running[pool.submit(train, variant, seed, recipe, implementation)] = variant, seed
            if not running:
                typer.echo(f"the time is over: {len(waiting)} trainings are left out", err=True)
                return
            for future in wait(running, return_when=FIRST_COMPLETED).done:
                row = _row(running.pop(future), future, implementation)
                longest = max(longest, row.get("seconds", 0.0))
                yield row


def _row(task: Task, future: Future[Row], implementation: str) -> Row:
    variant, seed = task
    asked = {**asdict(variant), "variant": variant.name, "seed": seed, "implementation": implementation}
    failure = future.exception()
    if isinstance(failure, BrokenProcessPool):
        raise RunFolderError(f"a process died while {variant.name} was trained from seed {seed}; --resume goes on")
    if failure is not None:
        return {**asked, "status": "error", "reason": f"{type(failure).__name__}: {failure}"}
    return {**asked, **future.result(), "status": "ok"}


def _cores() -> int:
    """The cores that this process may use, each for a training of one thread, whose sums are then always the same."""
    return len(os.sched_getaffinity(0))


def _one_thread() -> None:
    torch.set_num_threads(1)
