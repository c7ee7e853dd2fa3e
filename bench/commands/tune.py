"""`python -m bench tune`: from the words of the command to launch settings in the user's cache folder."""

from collections.abc import Iterable, Sequence

import torch
import typer
from rich.console import Console
from rich.table import Table

from kernels import FusedTuner, Problem, unsupported

from ..case.request import Request
from ..device.device import device_name, forbid_tf32, uuid_of
from ..errors import UsageError
from ..locks import owned
from ..measure.tune import Found, tune
from ..processes import console


def run_tune(request: Request, seconds: float, *, dry_run: bool) -> None:
    """Search for every problem of a request, and keep what is faster.

    Raises:
        UsageError: The request names what does not exist, settings cannot be searched there, or another benchmark has
            the GPU.
    """
    screen, device = console(), request.torch_device()
    problems = problems_of(request, device)
    if dry_run:
        for problem in problems:
            typer.echo(_label(problem))
        typer.echo(f"{len(problems)} problems, up to {seconds * len(problems) / 60:.0f} minutes")
        return
    if device.type != "cuda":
        raise UsageError(f"launch settings are searched on a CUDA GPU, got {device}")
    with owned(uuid_of(device)):
        _search(problems, device, seconds, screen)


def _search(problems: Sequence[Problem], device: torch.device, seconds: float, screen: Console) -> None:
    """Search for every problem, and keep what is faster."""
    forbid_tf32()
    for number, problem in enumerate(problems, 1):
        reason = unsupported("triton", problem, device)
        if reason is not None:
            typer.echo(f"[{number}/{len(problems)}] {_label(problem)}: left out, {reason}")
            continue
        found = tune(problem, device, seconds)
        screen.print(_table(f"[{number}/{len(problems)}] {_label(problem)}", found))
        better = {one.tuner.kernel: one.settings for one in found if one.gain > 0}
        if better:
            typer.echo(f"kept in {FusedTuner.remember(problem, device_name(device), better)}")


def problems_of(request: Request, device: torch.device) -> list[Problem]:
    """The problems of a request, each once, whatever its batch's mode or implementation.

    Raises:
        UsageError: The request names what does not exist.
    """
    return list(dict.fromkeys(case.problem for case in request.cases(device) if case.scope == "operator"))


def _label(problem: Problem) -> str:
    p = problem
    return f"N{p.batch} C{p.channels} {p.height}×{p.width} k{p.kernel_size} m{p.m} s{p.stride} {p.dtype}"


def _table(title: str, found: Iterable[Found]) -> Table:
    table = Table("kernel", "in use ms", "best ms", "saves", "settings", "tried", "failed", box=None, title=title)
    for one in found:
        figures = f"{one.in_use_ms:.4f}", f"{one.ms:.4f}", f"{one.gain:.1%}"
        table.add_row(one.tuner.kernel, *figures, str(one.settings), str(one.tried), _first(one.failures))
    return table


def _first(reasons: Sequence[str]) -> str:
    return f"{len(reasons)}, the first {reasons[0]}" if reasons else "0"
