"""Measure the local relation layer; each command says with --help what it takes."""

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from .commands.on_runs import app as run_commands

# Options of several commands.
Axes = Annotated[list[str] | None, typer.Option("--axis", "-a", help="NAME=VALUE,VALUE for any axis")]
Device = Annotated[str, typer.Option(help="auto, cpu, cuda or cuda:N")]
NewFolder = Annotated[Path | None, typer.Option(help="the run's folder; a new one under reports/runs if left out")]
Resume = Annotated[bool, typer.Option("--resume", help="go on with the run in --out, if there is one")]
# And of one, too long to stand in a signature.
Retry = Annotated[list[str] | None, typer.Option(help="with --resume: statuses to measure again, comma-separated")]
Yardsticks = Annotated[
    bool | None, typer.Option(help="also time other functions, as convolutions; the sweep's own choice if left out")
]

app = typer.Typer(no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False, help=__doc__)


class Order(StrEnum):
    """How the implementations of a problem follow each other."""

    ROTATED = "rotated"
    BLOCKED = "blocked"


@app.command("list")
def list_(
    what: Annotated[
        str, typer.Argument(help="implementations, yardsticks, sweeps, axes or metrics; all if left out")
    ] = "all",
) -> None:
    """Show what there is to measure."""
    from .commands.run import list_session

    raise typer.Exit(list_session(what))


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
    form: Annotated[str, typer.Option("--format", help="text, markdown or csv")] = "text",
    out: Annotated[Path | None, typer.Option(help="a file to write; printed if left out")] = None,
) -> None:
    """Show the article's table for two networks: sizes, layers, parameters, multiply–adds, and published figures."""
    from .commands.table import run_table

    image = {"height": size, "width": size, "in_channels": in_channels, "classes": classes}
    raise typer.Exit(run_table((a, b), {**image, "kernel_size": kernel_size, "m": m, "prior": prior}, out, form))


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
    dry_run: Annotated[bool, typer.Option("--dry-run", help="print the cases and what they need, run nothing")] = False,
) -> None:
    """Measure a sweep and leave a run folder."""
    from .commands.run import Request, Where, run_session
    from .device.timing import Timing
    from .run.place import Place
    from .run.run import Conduct
    from .run.schedule import Schedule

    request = Request(sweep, tuple(axis or ()), tuple(implementation or ()), mode, device, yardsticks)
    where = Where(Place(device, executor, devices, address), shard)
    schedule = Schedule(order.value, try_all=try_all, largest_batch=largest_batch)
    timing = Timing(seconds=seconds, energy=energy)
    conduct = Conduct(timing, schedule, case_timeout, resume, tuple(retry or ()), memory_limit)
    raise typer.Exit(run_session(request, where, out, conduct, dry_run=dry_run))


@app.command()
def doctor(device: Device = "auto") -> None:
    """Measure the machine itself: timer, roofs, noise, clocks, other users; runs use what it finds."""
    from .commands.doctor import run_doctor
    from .commands.run import Request

    raise typer.Exit(run_doctor(Request(None, (), (), None, device)))


@app.command()
def gpu(
    out: NewFolder = None,
    minutes: Annotated[float, typer.Option(min=1.0, help="for everything; what is left then is not measured")] = 8.0,
    tests: Annotated[bool, typer.Option(help="run the GPU's tests first, and measure nothing if one fails")] = True,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="print the cases and an estimate, run nothing")] = False,
) -> None:
    """Test, measure and report a GPU in one run, fit to be published."""
    from .commands.gpu import Plan, run_gpu

    raise typer.Exit(run_gpu(Plan(out, minutes, tests), dry_run=dry_run))


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
) -> None:
    """Train small networks with the layer and with convolutions on scikit-learn's digits, on the CPU."""
    from .learn.command import LearnRequest, run_learn

    request = LearnRequest(out, seeds, minutes, tuple(variants or ()), implementation, quick=quick, resume=resume)
    raise typer.Exit(run_learn(request))


@app.command("tune")
def tune_(
    sweep: Annotated[str, typer.Argument(help="the named sweep whose problems are searched")] = "stages",
    axis: Axes = None,
    device: Annotated[str, typer.Option(help="auto, cuda or cuda:N")] = "auto",
    seconds: Annotated[float, typer.Option(min=1.0, help="for the search of a problem")] = 90.0,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="print the problems, search nothing")] = False,
) -> None:
    """Search for faster launch settings of the fused kernels and keep them for this GPU."""
    from .commands.run import Request
    from .commands.tune import run_tune

    request = Request(sweep, tuple(axis or ()), ("triton",), None, device, yardsticks=False)
    raise typer.Exit(run_tune(request, seconds, dry_run=dry_run))


@app.command()
def profile(  # noqa: PLR0913
    case: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="CASE",
            help="RUN:LINE, a line of a run's results.jsonl from 1; or words of a case's label, as: unfold forward k5",
        ),
    ] = None,
    axis: Annotated[list[str] | None, typer.Option("--axis", "-a", help="NAME=VALUE for any axis")] = None,
    implementation: Annotated[str | None, typer.Option(help="an implementation or a yardstick")] = None,
    mode: Annotated[str | None, typer.Option(help="forward, backward or forward_backward")] = None,
    device: Device = "auto",
    out: Annotated[
        Path | None, typer.Option(help="a folder; RUN/profiles/LINE or a new one under reports/runs if left out")
    ] = None,
    calls: Annotated[int, typer.Option(min=1, help="calls that are profiled")] = 5,
    case_timeout: Annotated[float, typer.Option(min=1.0, help="seconds for an instrument, compilation included")] = 600,
) -> None:
    """Look inside one case: a trace, kernels or operations by time, gaps, memory, and counters where there are any.

    What CASE and the options leave open is as in the middle of the device's own sweep, or as in the row.
    """
    from .commands.run import Request
    from .profile.command import Wanted, run_profile

    request = Request(None, tuple(axis or ()), (implementation,) if implementation else (), mode, device)
    raise typer.Exit(run_profile(Wanted(" ".join(case or ()), request, out, calls, case_timeout)))


@app.command()
def offline(  # noqa: PLR0913
    arch: Annotated[str, typer.Option(help="architectures, comma-separated")] = "sm_80,sm_90,sm_100",
    kernel: Annotated[list[str] | None, typer.Option(help="forward, query, key: comma-separated or repeated")] = None,
    axis: Axes = None,
    dump: Annotated[Path | None, typer.Option(help="a folder for each kernel's ptx, cubin, sass and json")] = None,
    csv: Annotated[Path | None, typer.Option(help="a file for the table")] = None,
    check: Annotated[bool, typer.Option("--check", help="exit with 1 where a limit is missed")] = False,
    record: Annotated[bool, typer.Option("--record", help="record the counts that the tests compare with")] = False,
) -> None:
    """Compile the fused kernels without a GPU and show what became of them."""
    from .offline.command import OfflineRequest, run_offline

    kernels, axes = tuple(kernel or ()), tuple(axis or ())
    raise typer.Exit(run_offline(OfflineRequest(arch, kernels, axes, dump, csv, record=record, check=check)))


app.add_typer(run_commands)

if __name__ == "__main__":
    app()
