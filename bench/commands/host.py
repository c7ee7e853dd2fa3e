"""`python -m bench host`: the host's time of a call of the fused kernels, and of its parts, as a table."""

import csv
import io
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import asdict, fields
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path

import torch
import typer
from rich.table import Table

from ..device.device import cpu_model, require_device, uuid_of
from ..errors import Exit, UsageError
from ..locks import owned
from ..measure.host_time import HostTime, host_times
from ..processes import console, spread
from .output import emit, require_writable


def run_host(name: str, samples: int, out: Path | None) -> Exit:
    """Measure in a process of its own, with tensors on the device of a name, and show what was found.

    Raises:
        UsageError: There is no such device, another benchmark has it, Triton is not installed, or the file cannot be
            written.
    """
    device = require_device(name)
    if find_spec("triton") is None:
        raise UsageError("the package triton is not installed: its launches are part of what is measured")
    if out is not None:
        require_writable(out)
    with ExitStack() as held:
        if device.type == "cuda":
            held.enter_context(owned(uuid_of(device)))
        ((_, found),) = spread(_measure, [(device, samples)])
    if isinstance(found, Exception):
        typer.echo(f"the host's time was not measured: {found}", err=True)
        return Exit.FAILED
    console().print(_table(found))
    versions = f"torch {torch.__version__}, triton {version('triton')}"
    typer.echo(f"\n{cpu_model()}, {versions}; tensors on {device}, {samples} calls of each, the launch itself left out")
    if out is not None:
        emit(_csv(found), out, "the table is in")
    return Exit.OK


def _measure(task: tuple[torch.device, int]) -> list[HostTime]:
    return host_times(*task)


def _table(rows: Sequence[HostTime]) -> Table:
    table = Table("call, and its parts", box=None, padding=(0, 2, 0, 0))
    for heading in ("minimum µs", "median µs", "Python functions"):
        table.add_column(heading, justify="right")
    for row in rows:
        name = f"  {row.name}" if row.of else row.name
        table.add_row(name, *(f"{us:z.1f}" for us in (row.minimum_us, row.median_us)), str(row.functions))
    return table


def _csv(rows: Sequence[HostTime]) -> str:
    text = io.StringIO()
    writer = csv.DictWriter(text, [field.name for field in fields(HostTime)], lineterminator="\n")
    writer.writeheader()
    writer.writerows(asdict(row) for row in rows)
    return text.getvalue()
