"""The commands on runs that are made, and on pairs of them: compare, gate, export, merge."""

from pathlib import Path
from typing import Annotated

import typer

app = typer.Typer()


@app.command("compare")
def compare_(  # noqa: PLR0913
    a: Annotated[Path, typer.Argument(metavar="A", help="the run folder to compare with")],
    b: Annotated[Path, typer.Argument(metavar="B", help="the run folder to judge")],
    tolerance: Annotated[float, typer.Option(help="the share by which a time may change and be the same")] = 0.02,
    confidence: Annotated[float, typer.Option(help="of each interval")] = 0.99,
    across_devices: Annotated[bool, typer.Option("--across-devices", help="although the devices differ")] = False,
    form: Annotated[str, typer.Option("--format", help="text, markdown, csv or json")] = "text",
    out: Annotated[Path | None, typer.Option(help="a file to write; printed if left out")] = None,
) -> None:
    """Judge run B against run A: exit code 0 nothing worse, 1 slower, 2 usage, 3 incorrect, 4 not enough evidence."""
    from ..crashes import crash_is_no_verdict
    from ..results.comparison import Settings
    from .comparing import compare_folders

    with crash_is_no_verdict():
        code = compare_folders(a, b, Settings(tolerance, confidence, across_devices), out, form)
    raise typer.Exit(code)


@app.command(context_settings={"allow_extra_args": True, "ignore_unknown_options": True})
def gate(
    context: typer.Context,
    base: Annotated[str, typer.Argument(metavar="BASE", help="a commit, tag or branch")],
    turns: Annotated[int, typer.Option(min=4, help="processes in the order ABBA, a multiple of 4")] = 8,
    tolerance: Annotated[float, typer.Option(help="the share by which a time may change and be the same")] = 0.02,
    out: Annotated[Path | None, typer.Option(help="a folder; a new one under reports/runs if left out")] = None,
) -> None:
    """Measure the kernels of BASE and of the working tree in turns, and exit as compare; the rest goes to `run`."""
    from ..crashes import crash_is_no_verdict
    from .gate import Gate, run_gate

    with crash_is_no_verdict():
        code = run_gate(Gate(base, tuple(context.args), turns, tolerance, out))
    raise typer.Exit(code)


@app.command()
def export(
    run: Annotated[Path, typer.Argument(metavar="RUN", help="a run folder")],
    form: Annotated[str, typer.Option("--format", help="pytest-benchmark")] = "pytest-benchmark",
    out: Annotated[Path | None, typer.Option(help="a file to write; printed if left out")] = None,
) -> None:
    """Write a run in the format of another tool, as `pytest-benchmark compare` reads it."""
    from ..results.export import export_folder

    raise typer.Exit(export_folder(run, form, out))


@app.command("merge")
def merge_(
    runs: Annotated[list[Path], typer.Argument(metavar="RUN...", help="run folders of one sweep, as its shards")],
    out: Annotated[Path, typer.Option(help="the folder to make")],
) -> None:
    """Make one run out of many: each case once, duplicates and conflicts named, the parts left as they are."""
    from ..results.merge import merge_folders

    raise typer.Exit(merge_folders(runs, out))
