"""The commands on runs that are made, and on several: compare, gate, export, merge, history, submit. Free of torch."""

import json
import subprocess
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from .. import INSTALLED, PUBLISHED, RUNS, module_command

app = typer.Typer()
_REST = {"allow_extra_args": True, "ignore_unknown_options": True}


class Format(StrEnum):
    """How a comparison is written."""

    TEXT = "text"
    MARKDOWN = "markdown"
    CSV = "csv"
    JSON = "json"


class Tool(StrEnum):
    """Whose format a run is exported in."""

    PYTEST_BENCHMARK = "pytest-benchmark"


@app.command()
def compare(  # noqa: PLR0913
    a: Annotated[Path, typer.Argument(metavar="A", help="the run folder to compare with")],
    b: Annotated[Path, typer.Argument(metavar="B", help="the run folder to judge")],
    tolerance: Annotated[float, typer.Option(help="the share by which a time may change and be the same")] = 0.02,
    confidence: Annotated[float, typer.Option(help="of each interval")] = 0.99,
    across_devices: Annotated[bool, typer.Option("--across-devices", help="although the devices differ")] = False,
    form: Annotated[Format, typer.Option("--format", help="how the comparison is written")] = Format.TEXT,
    out: Annotated[Path | None, typer.Option(help="a file to write; printed if left out")] = None,
) -> int:
    """Judge run B against run A: exit code 0 nothing worse, 1 slower, 2 usage, 3 incorrect, 4 not enough evidence."""
    from ..results.comparing.comparison import compare as judge
    from ..results.comparing.formats import FORMATS
    from ..results.comparing.verdicts import Judging
    from ..results.reading import read_run
    from .output import emit

    comparison = judge(read_run(a), read_run(b), Judging(tolerance, confidence, across_devices))
    code = comparison.exit_code
    emit(FORMATS[form](comparison), out, f"exit code {code}; the comparison is in")
    return code


@app.command(context_settings=_REST)
def gate(
    context: typer.Context,
    base: Annotated[str, typer.Argument(metavar="BASE", help="a commit, tag or branch")],
    turns: Annotated[int, typer.Option(min=4, help="processes in the order ABBA, a multiple of 4")] = 8,
    tolerance: Annotated[float, typer.Option(help="the share by which a time may change and be the same")] = 0.02,
    out: Annotated[Path | None, typer.Option(help=f"a folder; a new one under {RUNS} if left out")] = None,
) -> int:
    """Measure the kernels of BASE and of the working tree in turns, and exit as compare; the rest goes to `run`."""
    from .gate import run_gate

    return run_gate(base, tuple(context.args), turns, tolerance, out)


@app.command()
def export(
    run: Annotated[Path, typer.Argument(metavar="RUN", help="a run folder")],
    _tool: Annotated[Tool, typer.Option("--format", help="the tool that is to read it")] = Tool.PYTEST_BENCHMARK,
    out: Annotated[Path | None, typer.Option(help="a file to write; printed if left out")] = None,
) -> int:
    """Write a run in the format of another tool, as `pytest-benchmark compare` reads it."""
    from ..results.export import pytest_benchmark
    from ..results.reading import read_run
    from .output import emit

    found = read_run(run)
    exported = pytest_benchmark(found)
    count = len(exported["benchmarks"])
    if count < len(found.rows):
        typer.echo(f"{len(found.rows) - count} of {len(found.rows)} cases have no samples and are left out", err=True)
    emit(json.dumps(exported, indent=1) + "\n", out, f"{count} cases are in")
    return 0


@app.command()
def merge(
    runs: Annotated[list[Path], typer.Argument(metavar="RUN...", help="run folders of one sweep, as its shards")],
    out: Annotated[Path, typer.Option(help="the folder to make")],
) -> int:
    """Make one run out of many: each case once, duplicates and conflicts named, the parts left as they are."""
    from ..results.merge import merge as merged
    from ..results.merge import read_parts, warnings_of

    with read_parts(runs, out) as parts:
        folder, clashes = merged(parts, out)
        warnings = list(warnings_of(parts, clashes))
    for warning in warnings:
        typer.echo(f"warning: {warning}", err=True)
    done = {key for part in parts for key in part.rows}
    typer.echo(f"{len(done)} of the sweep's {parts[0].environment['sweep']['cases']} cases are in {folder.csv_path}")
    return 0


@app.command()
def history(  # noqa: PLR0913
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="a folder of run folders")],
    where: Annotated[
        list[str] | None, typer.Option("--where", "-w", help="COLUMN=VALUE,VALUE that the cases have; repeated")
    ] = None,
    tolerance: Annotated[float, typer.Option(help="the share by which a time may change and be the same")] = 0.02,
    confidence: Annotated[float, typer.Option(help="of each interval")] = 0.99,
    form: Annotated[Format, typer.Option("--format", help="how the table is written")] = Format.TEXT,
    out: Annotated[Path | None, typer.Option(help="a file to write; printed if left out")] = None,
    plot: Annotated[Path | None, typer.Option(help="a file for the plot of one case, .png or .svg")] = None,
) -> int:
    """Follow a case over many runs, or all cases in short, and name the runs in which a time changed."""
    from ..results.comparing.verdicts import Judging
    from .history import Output, run_history

    return run_history(folder, where or (), Judging(tolerance, confidence), Output(form, out, plot))


@app.command()
def submit(
    run: Annotated[Path, typer.Argument(metavar="RUN", help="the run folder to hand in")],
    out: Annotated[Path, typer.Option(help="the folder of published runs")] = PUBLISHED,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="check the run, pack nothing")] = False,
) -> int:
    """Check whether a run can be published, and pack it with its report under a name of its own."""
    from .submit import run_submit

    return run_submit(run, out, dry_run=dry_run)


if INSTALLED:  # in a checkout, which has the folder of reports, this is `python -m reports`

    @app.command(context_settings=_REST, add_help_option=False)
    def report(context: typer.Context) -> int:
        """Make the page, the figures and the tables of runs; `report --help` says what it takes."""
        return subprocess.run([*module_command("reports"), *context.args], check=False).returncode
