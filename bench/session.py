"""One invocation of `python -m bench run`: from the words of the command to a run folder."""

from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import torch
import typer
from rich.console import Console

from .axes import UsageError, parse_axis
from .cases import Case
from .listing import print_cases, print_listing
from .measuring import FAILED_EXIT, Conduct, measure_run
from .pool import WorkerError
from .results import RunFolder, RunFolderError
from .sweeps import Values, expand, require_sweep

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
        # Counted through the driver's library, without CUDA: this process must not be ended by what happens there.
        count = torch.cuda.device_count()
        if self.device == "auto":
            return torch.device("cuda" if count else "cpu")
        try:
            device = torch.device(self.device)
        except RuntimeError:
            raise UsageError(f"there is no device {self.device!r}: expected auto, cpu, cuda or cuda:N") from None
        if device.type not in ("cpu", "cuda") or (device.type == "cuda" and (device.index or 0) >= count):
            raise UsageError(f"device {self.device!r} is not here: there are cpu and {count} cuda devices")
        return device

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


def run_session(request: Request, out: Path | None, conduct: Conduct, *, dry_run: bool) -> int:
    """Run or only show a request; return the exit code."""
    try:
        device = request.torch_device()
        cases = request.cases(device)
        path = out or _new_path(request.sweep_name(device), conduct)
        conduct.require_sense()
        if dry_run:
            print_cases(cases, device, Console())
            return 0
        code = measure_run(cases, device, path, conduct, {})
    except (UsageError, RunFolderError) as error:
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
