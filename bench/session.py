"""One invocation of `python -m bench run`: from the words of the command to a run folder."""

import signal
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import torch
import typer
from rich.console import Console

from kernels import IMPLEMENTATIONS

from .axes import UsageError, parse_axis
from .cases import Case
from .diagnosis import summary
from .environment import command_line, describe
from .listing import print_cases, print_listing
from .progress import reporting
from .results import RunFolder, RunFolderError
from .runner import Runner
from .sweeps import Values, expand, require_sweep
from .timing import Timing

USAGE_EXIT, INTERRUPTED_EXIT = 2, 130
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
        if self.device == "auto":
            return torch.device("cuda" if torch.cuda.is_available() else "cpu")
        try:
            device = torch.device(self.device)
        except RuntimeError:
            raise UsageError(f"there is no device {self.device!r}: expected auto, cpu, cuda or cuda:N") from None
        count = torch.cuda.device_count()
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
            require_sweep(self.sweep_name(device)), overrides, names or IMPLEMENTATIONS, yardsticks=self.yardsticks
        )


def run_session(request: Request, out: Path | None, timing: Timing, *, dry_run: bool) -> int:
    """Run or only show a request; return the exit code."""
    console = Console()
    try:
        device = request.torch_device()
        cases = request.cases(device)
        if dry_run:
            print_cases(cases, device, console)
            return 0
        forbid_tf32()
        path = out or RUNS / f"{datetime.now():%Y%m%d-%H%M%S}-{request.sweep_name(device)}"  # noqa: DTZ005
        folder = RunFolder.create(path, {**describe(device, command_line()), "cases": len(cases)})
    except (UsageError, RunFolderError) as error:
        return refuse(error)
    typer.echo(summary(device))
    done = measure_cases(cases, Runner(device, timing), folder, console)
    if done < len(cases):
        return interrupted(done, len(cases), folder)
    typer.echo(f"{done} cases are in {folder.csv_path}")
    typer.echo(f"report them with: python -m reports {folder.path}")
    return 0


def forbid_tf32() -> None:
    """Make float32 mean float32: cuDNN would otherwise round convolutions to TF32."""
    torch.backends.cudnn.allow_tf32 = False


def interrupted(done: int, of: int, folder: RunFolder) -> int:
    """Say how far a run came; return the exit code."""
    typer.echo(f"interrupted: {done} of {of} cases are done, in {folder.path}", err=True)
    return INTERRUPTED_EXIT


@contextmanager
def _interrupts_held_back() -> Iterator[None]:
    """Let a Ctrl-C wait until a case is written whole."""
    held: list[int] = []
    usual = signal.signal(signal.SIGINT, lambda number, _: held.append(number))
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, usual)
    if held:
        raise KeyboardInterrupt


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


def measure_cases(cases: Sequence[Case], runner: Runner, folder: RunFolder, console: Console) -> int:
    """Run the cases in order, each on disk before the next; how many were done before an interrupt."""
    done = 0
    with reporting(cases, console) as report:
        try:
            for case in cases:
                row = runner.run(case)
                with _interrupts_held_back():
                    folder.append(row, runner.samples_ms)
                    done += 1
                report(case, row)
        except KeyboardInterrupt:
            return done
    return done
