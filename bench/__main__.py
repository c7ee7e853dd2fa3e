"""Measure the local relation layer; each command says with --help what it takes."""

import os
import shlex
import sys
import traceback
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from . import REPORTS, RUNS
from .commands.instruments import Axes, Device
from .commands.instruments import app as instruments
from .commands.on_runs import app as on_runs
from .errors import Exit, SuiteError
from .processes import console, print_whatever_the_encoding

# Options of several commands.
NewFolder = Annotated[Path | None, typer.Option(help=f"the run's folder; a new one under {RUNS} if left out")]
Resume = Annotated[bool, typer.Option("--resume", help="go on with the run in --out, if there is one")]
# And of one, too long to stand in a signature.
Retry = Annotated[list[str] | None, typer.Option(help="with --resume: statuses to measure again, comma-separated")]
FlushFactor = Annotated[float, typer.Option(min=1.0, max=64.0, help="how many times the L2's size a flush writes")]
Yardsticks = Annotated[
    bool | None, typer.Option(help="also time other functions, as convolutions; the sweep's own choice if left out")
]


class Commands(TyperGroup):
    """The one place where a command's return value or error becomes an exit code."""

    def invoke(self, ctx: Any) -> Any:
        """Run the command; what is wrong and no bug is said in a line."""
        try:
            code = super().invoke(ctx)
        except SuiteError as error:
            typer.echo(f"{error.kind}: {error}", err=True)
            code = error.code
        ctx.exit(code or Exit.OK)


app = typer.Typer(
    cls=Commands, no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False, help=__doc__
)
Report = Annotated[bool, typer.Option("--report", help="make its report too")]


class TableFormat(StrEnum):
    """How the table of two networks is written."""

    TEXT = "text"
    MARKDOWN = "markdown"
    CSV = "csv"


class Order(StrEnum):
    """How the implementations of a problem follow each other."""

    ROTATED = "rotated"
    BLOCKED = "blocked"


@app.command("list")
def list_(
    what: Annotated[
        str, typer.Argument(help="implementations, yardsticks, sweeps, axes or metrics; all if left out")
    ] = "all",
) -> int:
    """Show what there is to measure."""
    from .commands.listing import print_listing

    print_listing(what, console())
    return Exit.OK


@app.command()
def table(  # noqa: PLR0913
    a: Annotated[str, typer.Argument(metavar="A", help="lr_net_26, _50, _101, resnet_26, _50 or _101")] = "lr_net_50",
    b: Annotated[str, typer.Argument(metavar="B", help="the network beside it")] = "resnet_50",
    size: Annotated[int, typer.Option(help="rows and columns of the image")] = 224,
    in_channels: Annotated[int, typer.Option(help="channels of the image")] = 3,
    classes: Annotated[int, typer.Option(help="outputs of the classifier")] = 1000,
    kernel_size: Annotated[int, typer.Option("--kernel-size", "-k", help="the local relation layer's window")] = 7,
    m: Annotated[int, typer.Option("-m", help="channels that share a weight in that layer")] = 8,
    prior: Annotated[str, typer.Option(help="that layer's prior: network, table or none")] = "network",
    form: Annotated[TableFormat, typer.Option("--format", help="how the table is written")] = TableFormat.TEXT,
    out: Annotated[Path | None, typer.Option(help="a file to write; printed if left out")] = None,
) -> int:
    """Show the article's table for two networks: sizes, layers, parameters, multiply–adds, and published figures."""
    from .commands.output import emit
    from .commands.table import TABLE_FORMATS, count_networks

    image = {"height": size, "width": size, "in_channels": in_channels, "classes": classes}
    counted = count_networks((a, b), {**image, "kernel_size": kernel_size, "m": m, "prior": prior})
    emit(TABLE_FORMATS[form](counted), out, "the table is in")
    return Exit.OK


@app.command()
def run(  # noqa: PLR0913
    sweep: Annotated[
        str | None, typer.Argument(help="a named sweep; quick on a CPU, axes on a GPU if left out")
    ] = None,
    axis: Axes = None,
    implementation: Annotated[
        list[str] | None, typer.Option(help="implementations, comma-separated or repeated")
    ] = None,
    mode: Annotated[
        str | None, typer.Option(help="forward,backward,forward_backward; of a network forward,training")
    ] = None,
    device: Device = "auto",
    devices: Annotated[str | None, typer.Option(help="several of this machine's GPUs: all, or numbers as 0,2")] = None,
    executor: Annotated[str, typer.Option(help="local, or ray for the devices of a Ray cluster")] = "local",
    address: Annotated[str | None, typer.Option(help="with --executor ray: auto, HOST:PORT or local")] = None,
    shard: Annotated[str | None, typer.Option(help="a part, I/N; auto or auto/N in a scheduler's array")] = None,
    out: NewFolder = None,
    seconds: Annotated[float, typer.Option(min=0.0, help="time for the samples of a case")] = 0.3,
    yardsticks: Yardsticks = None,
    energy: Annotated[bool, typer.Option("--energy", help="also energy per call on a GPU, a second a case")] = False,
    flush_factor: FlushFactor = 3.0,
    resume: Resume = False,
    retry: Retry = None,
    case_timeout: Annotated[float, typer.Option(min=1.0, help="seconds for a case, compilation included")] = 600.0,
    order: Annotated[Order, typer.Option(help="whether the implementations of a problem take turns")] = Order.ROTATED,
    try_all: Annotated[
        bool, typer.Option("--try-all", help="also try what is larger than a case that ran out of memory")
    ] = False,
    largest_batch: Annotated[
        bool, typer.Option("--largest-batch", help="also find the largest batch that fits, up to 4096 images")
    ] = False,
    memory_limit: Annotated[
        float | None,
        typer.Option(min=1.0, help="MiB that a worker may take; on a CPU 90 % of what is free if left out"),
    ] = None,
    report: Report = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="print the cases and what they need, run nothing")] = False,
) -> int:
    """Measure a sweep and leave a run folder."""
    from .case.request import Request
    from .commands.output import report_on
    from .commands.run import run_sweep, show_sweep, target_of, timing_of
    from .run.conduct import Conduct
    from .run.executors import executor_of

    request = Request(sweep, tuple(axis or ()), tuple(implementation or ()), mode, device, yardsticks)
    timing = timing_of(seconds, energy=energy, flush_factor=flush_factor)
    conduct = Conduct(
        timing,
        order.value,
        try_all=try_all,
        largest_batch=largest_batch,
        case_timeout=case_timeout,
        memory_mib=memory_limit,
    )
    where = executor_of(executor, device, devices, address)
    target = target_of(out, request.sweep_name(where.device), retry or (), resume=resume)
    if dry_run:
        show_sweep(request, where, timing, shard)
        return Exit.OK
    run_sweep(request, where, conduct, target, shard)
    if report:
        return report_on(target.path)
    typer.echo(f"report them with: {REPORTS} {shlex.quote(str(target.path))}")
    return Exit.OK


@app.command()
def gpu(
    out: NewFolder = None,
    minutes: Annotated[float, typer.Option(min=1.0, help="for measuring and the report; the rest is left out")] = 8.0,
    tests: Annotated[bool, typer.Option(help="run the GPU's tests first; if one fails, the run is marked")] = True,
    resume: Resume = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="print the cases and an estimate, run nothing")] = False,
) -> int:
    """Test, measure and report a GPU in one run, fit to be published."""
    from .commands.gpu import run_gpu, show_gpu

    if dry_run:
        show_gpu(minutes)
        return Exit.OK
    return run_gpu(out, minutes, tests=tests, resume=resume)


@app.command()
def learn(  # noqa: PLR0913
    out: NewFolder = None,
    seeds: Annotated[int | None, typer.Option(min=1, help="how many, from 0 on; 8, or 2 with --quick")] = None,
    minutes: Annotated[float, typer.Option(min=0.5, help="for everything; what is left then is left out")] = 10.0,
    variants: Annotated[
        list[str] | None, typer.Option(help="patterns of names, as 'relation-k7*': comma-separated or repeated; '*'")
    ] = None,
    implementation: Annotated[str, typer.Option(help="of the layer; unfold trains such small maps fastest")] = "unfold",
    quick: Annotated[bool, typer.Option("--quick", help="windows 3 and 7 alone, from two seeds")] = False,
    resume: Resume = False,
    report: Report = False,
) -> int:
    """Train small networks with the layer and with convolutions on scikit-learn's digits, on the CPU."""
    from .commands.output import report_on
    from .learn.command import plan_of, run_learn

    plan = plan_of(variants or (), seeds, implementation, minutes, quick=quick)
    code, path = run_learn(plan, out, resume=resume)
    if report and not code:
        return report_on(path)
    typer.echo(f"their page: {REPORTS} {shlex.quote(str(path))}")
    return code


app.add_typer(instruments)
app.add_typer(on_runs)


def main() -> None:
    """Run a command; a crash has an exit code of its own, which is no verdict."""
    print_whatever_the_encoding()
    try:
        app()
    except BrokenPipeError:  # whoever read has enough, as `head` has; what is measured is kept
        sys.stdout = sys.stderr = open(os.devnull, "w", encoding="utf-8")  # noqa: PTH123, SIM115  for the interpreter's end
        sys.exit(Exit.OK)
    except Exception:  # noqa: BLE001  shown, and named by the exit code
        traceback.print_exc()
        sys.exit(Exit.CRASHED)


if __name__ == "__main__":
    main()
