"""`python -m bench learn`: trains every variant from several seeds within minutes, a process per core."""

import multiprocessing
import os
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from dataclasses import asdict, dataclass, replace
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch
import typer

from kernels import IMPLEMENTATIONS, unsupported

from ..device.environment import command_line, describe
from ..errors import Exit, RunFolderError, UsageError
from ..locks import locked
from ..results.folder import new_run_path
from .folder import LearningFolder
from .training import SPLIT, Recipe, train
from .variants import DEFAULT, QUICK, Variant, chosen

QUICK_SEEDS, SEEDS = 2, 8
# Kept back of the minutes for what follows the trainings.
_REPORT_SECONDS = 20.0

Row = dict[str, Any]
Training = tuple[Variant, int]


@dataclass(frozen=True)
class Plan:
    """What is to be trained: variants and seeds in the order of training, how, by which implementation, how long."""

    tasks: Sequence[Training]
    recipe: Recipe
    implementation: str
    minutes: float


def plan_of(patterns: Sequence[str], seeds: int | None, implementation: str, minutes: float, *, quick: bool) -> Plan:
    """What is to be trained: every variant from one seed before the next seed.

    Args:
        patterns: Of variants' names, comma-separated; the default choice if there are none.
        seeds: How many, from 0 on; as many as usual if None.
        implementation: Of the layer.
        minutes: For everything.
        quick: Fewer variants and seeds, where they are not given.

    Raises:
        UsageError: No variant has a name as asked for.
    """
    names = [name for text in patterns for name in text.split(",")]
    variants = chosen(names or (QUICK if quick else DEFAULT))
    count = seeds or (QUICK_SEEDS if quick else SEEDS)
    return Plan([(variant, seed) for seed in range(count) for variant in variants], Recipe(), implementation, minutes)


def run_learn(plan: Plan, out: Path | None, *, resume: bool) -> tuple[Exit, Path]:
    """Train what is planned into a folder; the exit code, 1 if a training failed, and the folder.

    Raises:
        SuiteError: It cannot be trained here, or the folder holds another run.
    """
    deadline = time.monotonic() + 60 * plan.minutes - _REPORT_SECONDS
    path = out or new_run_path("learn")
    _require_trainable(plan.implementation, [variant for variant, _ in plan.tasks])
    with locked(path):
        folder = LearningFolder(path, _environment(plan), resume=resume)
        left = [(variant, seed) for variant, seed in plan.tasks if (variant.name, seed) not in folder.done]
        failed = _train_all(replace(plan, tasks=left), deadline, folder)
    typer.echo(f"{len(folder.done)} trainings are in {path}")
    return (Exit.FAILED if failed else Exit.OK), path


def _require_trainable(implementation: str, variants: Sequence[Variant]) -> None:
    if implementation not in IMPLEMENTATIONS:
        raise UsageError(f"no implementation is called {implementation!r}: expected {', '.join(IMPLEMENTATIONS)}")
    for problem in filter(None, (variant.problem() for variant in variants)):
        reason = unsupported(implementation, problem, "cpu", backward=True)
        if reason is not None:
            raise UsageError(f"{implementation} cannot train here: {reason}")


def _environment(plan: Plan) -> Row:
    environment = describe(torch.device("cpu"), command_line())
    environment["versions"]["scikit-learn"] = version("scikit-learn")
    environment["learning"] = {
        "split": SPLIT,
        "recipe": asdict(plan.recipe),
        "recipe_in_words": str(plan.recipe),
        "implementation": plan.implementation,
        "variants": list(dict.fromkeys(variant.name for variant, _ in plan.tasks)),
        "seeds": len({seed for _, seed in plan.tasks}),
        "minutes": plan.minutes,
        "processes": _cores(),
    }
    return environment


def _train_all(plan: Plan, deadline: float, folder: LearningFolder) -> int:
    """Train until all is done or the time is over, a row each; return how many failed."""
    failed = 0
    for count, row in enumerate(_rows(plan, deadline), 1):
        folder.add(row)
        failed += row["status"] != "ok"
        outcome = f"{row['accuracy']:.2%} in {row['seconds']:.1f} s" if row["status"] == "ok" else row["reason"]
        typer.echo(f"[{count}/{len(plan.tasks)}] {row['variant']} seed {row['seed']}  {outcome}")
    return failed


def _rows(plan: Plan, deadline: float) -> Iterator[Row]:
    """The rows as trainings end. None is started that would end after the deadline, going by the longest so far."""
    longest, waiting = 0.0, list(reversed(plan.tasks))
    running: dict[Future[Row], Training] = {}
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(_cores(), context, _one_thread) as pool:
        while waiting or running:
            while waiting and len(running) < _cores() and time.monotonic() + longest <= deadline:
                variant, seed = waiting.pop()
                running[pool.submit(train, variant, seed, plan.recipe, plan.implementation)] = variant, seed
            if not running:
                typer.echo(f"the time is over: {len(waiting)} trainings are left out", err=True)
                return
            for future in wait(running, return_when=FIRST_COMPLETED).done:
                row = _row(running.pop(future), future, plan.implementation)
                longest = max(longest, row.get("seconds", 0.0))
                yield row


def _row(task: Training, future: Future[Row], implementation: str) -> Row:
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
