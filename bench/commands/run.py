"""One invocation of `python -m bench run`: from the words of the command to a run folder."""

import os
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import torch
import typer
from rich.console import Console

from ..case.axes import parse_axis
from ..case.case import Case
from ..case.shards import Shard, describe_sweep, parse_shard
from ..case.sweeps import Values, expand, require_sweep
from ..errors import RunFolderError, ShardError, UsageError, WorkerError
from ..results.folder import RunFolder
from ..run.executors import executor_of
from ..run.local_executor import require_device
from ..run.place import Place
from ..run.run import FAILED_EXIT, Conduct, measure_run
from .estimate import estimate
from .listing import print_cases, print_listing

USAGE_EXIT = 2
RUNS = Path("reports/runs")


@dataclass(frozen=True)
class Request:
    """What a user asked to be measured, in the command's own words."""

    sweep: str | None
    axes: tuple[str, ...]
    implementations: tuple[str, ...]
    mode: str | None
    device: str
    yardsticks: bool | None = None

    def torch_device(self) -> torch.device:
        """The device asked for.

        Raises:
            UsageError: There is no such device here.
        """
        return require_device(self.device)

    def sweep_name(self, device: torch.device) -> str:
        """The sweep asked for, or the device's own."""
        return self.sweep or {"cpu": "quick", "cuda": "axes"}[device.type]

    def cases(self, device: torch.device) -> list[Case]:
        """The cases asked for.

        Raises:
            UsageError: A sweep, axis, value, implementation or mode does not exist or makes no sense.
        """
        texts = [*self.axes, *([f"mode={self.mode}"] if self.mode else [])]
        parsed = [parse_axis(text) for text in texts]
        overrides: Values = dict(parsed)
        if len(overrides) < len(parsed):
            names = [name for name, _ in parsed]
            twice = next(name for name in names if names.count(name) > 1)
            raise UsageError(f"axis {twice} is given more than once: give its values together, {twice}=VALUE,VALUE")
        if device.type != "cuda":
            # Nothing flushes a CPU's caches: unless somebody insists, its cases are called what they are.
            overrides = {"cache": ("hot",), **overrides}
        names = [name for text in self.implementations for name in text.split(",")]
        return expand(
            require_sweep(self.sweep_name(device)).on(device.type), overrides, names, yardsticks=self.yardsticks
        )


@dataclass(frozen=True)
class Where:
    """Where a request is measured, and which part of it, in the command's own words."""

    place: Place
    shard: str | None = None

    def part(self) -> Shard | None:
        """The shard asked for, None for the whole.

        Raises:
            ShardError: There is no such shard.
        """
        return None if self.shard is None else parse_shard(self.shard, os.environ)


def run_session(request: Request, where: Where, out: Path | None, conduct: Conduct, *, dry_run: bool) -> int:
    """Run or only show a request; return the exit code."""
    try:
        shard = where.part()
        executor = executor_of(where.place)
        whole = request.cases(executor.device)
        cases = [case for case in whole if shard is None or shard.holds(case.parameters())]
        path = out or _new_path(request.sweep_name(executor.device), conduct)
        conduct.require_sense()
        if dry_run:
            print_cases(cases, executor.device, Console())
            typer.echo(estimate(cases, conduct.timing))
            return 0
        about = {"sweep": describe_sweep(request.sweep_name(executor.device), (case.parameters() for case in whole))}
        code = measure_run(cases, executor, path, conduct, {**about, **({"shard": shard.columns()} if shard else {})})
    except (UsageError, RunFolderError, ShardError) as error:
        return refuse(error)
    except WorkerError as error:
        typer.echo(f"error: {error}", err=True)
        return FAILED_EXIT
    if code == 0:
        typer.echo(f"{len(cases)} cases are in {RunFolder(path).csv_path}")
        typer.echo(f"report them with: python -m reports {path}")
    return code


def _new_path(sweep: str, conduct: Conduct) -> Path:
    if conduct.resume:
        raise UsageError("--resume needs --out RUN, the folder of the run to continue")
    return RUNS / f"{datetime.now():%Y%m%d-%H%M%S}-{sweep}"  # noqa: DTZ005


def list_session(what: str) -> int:
    """Show what there is to measure; return the exit code."""
    try:
        print_listing(what, Console())
    except UsageError as error:
        return refuse(error)
    return 0


def refuse(error: Exception) -> int:
    """Say in one line why nothing is done; return the exit code."""
    typer.echo(f"error: {error}", err=True)
    return USAGE_EXIT
