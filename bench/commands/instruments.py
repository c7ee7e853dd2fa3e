"""The commands that look into a device or into kernels: doctor, tune, profile, host, offline."""

from pathlib import Path
from typing import Annotated

import typer

from .. import RUNS
from ..errors import Exit

app = typer.Typer()

# Options of several commands.
Axes = Annotated[list[str] | None, typer.Option("--axis", "-a", help="NAME=VALUE,VALUE for any axis")]
Device = Annotated[str, typer.Option(help="auto, cpu, cuda or cuda:N")]


@app.command()
def doctor(device: Device = "auto") -> int:
    """Measure the machine itself: timer, roofs, noise, clocks, other users; runs use what it finds."""
    from .doctor import run_doctor

    return run_doctor(device)


@app.command("tune")
def tune_(
    sweep: Annotated[str, typer.Argument(help="the named sweep whose problems are searched")] = "stages",
    axis: Axes = None,
    device: Annotated[str, typer.Option(help="auto, cuda or cuda:N")] = "auto",
    seconds: Annotated[float, typer.Option(min=1.0, help="for the search of a problem")] = 90.0,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="print the problems, search nothing")] = False,
) -> int:
    """Search for faster launch settings of the fused kernels and keep them for this GPU."""
    from ..case.request import Request
    from .tune import run_tune

    run_tune(Request(sweep, tuple(axis or ()), ("triton",), None, device, yardsticks=False), seconds, dry_run=dry_run)
    return Exit.OK


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
        Path | None, typer.Option(help=f"a folder; RUN/profiles/LINE or a new one under {RUNS} if left out")
    ] = None,
    calls: Annotated[int, typer.Option(min=1, help="calls that are profiled")] = 5,
    case_timeout: Annotated[float, typer.Option(min=1.0, help="seconds for an instrument, compilation included")] = 600,
) -> int:
    """Look inside one case: a trace, kernels or operations by time, gaps, memory, and counters where there are any.

    What CASE and the options leave open is as in the middle of the device's own sweep, or as in the row.
    """
    from ..case.request import Request
    from ..profile.command import run_profile

    request = Request(None, tuple(axis or ()), (implementation,) if implementation else (), mode, device)
    run_profile(" ".join(case or ()), request, out, calls, case_timeout)
    return Exit.OK


@app.command()
def host(
    device: Device = "auto",
    samples: Annotated[int, typer.Option(min=1, help="calls that are timed, of the whole and of each part")] = 2000,
    csv: Annotated[Path | None, typer.Option(help="a file for the table")] = None,
) -> int:
    """Time what a call of the fused kernels costs the host, part by part, the launch left out; no GPU needed."""
    from .host import run_host

    return run_host(device, samples, csv)


@app.command()
def offline(  # noqa: PLR0913
    arch: Annotated[str, typer.Option(help="architectures, comma-separated")] = "sm_80,sm_90,sm_100",
    kernel: Annotated[list[str] | None, typer.Option(help="forward, query, key: comma-separated or repeated")] = None,
    axis: Axes = None,
    dump: Annotated[Path | None, typer.Option(help="a folder for each kernel's ptx, cubin, sass and json")] = None,
    csv: Annotated[Path | None, typer.Option(help="a file for the table")] = None,
    check: Annotated[bool, typer.Option("--check", help="exit with 1 where a limit is missed")] = False,
    record: Annotated[bool, typer.Option("--record", help="record the counts that the tests compare with")] = False,
    schedule: Annotated[
        bool, typer.Option("--schedule", help="simulate the kernels' schedules and their time")
    ] = False,
    measured: Annotated[Path | None, typer.Option(help="a run on a GPU, whose times stand beside schedules")] = None,
    why: Annotated[str | None, typer.Option(metavar="KERNEL", help="what the loop of one kernel waits for")] = None,
) -> int:
    """Compile the fused kernels without a GPU and show what became of them."""
    from ..offline.command import Files, View, run_offline
    from ..offline.examine import tasks_of

    tasks = tasks_of(arch, kernel or (), axis or ())
    return run_offline(tasks, Files(dump, csv, record), View(schedule, measured, why), check=check)
