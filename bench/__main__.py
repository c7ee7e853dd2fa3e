"""The commands: `python -m bench list | run`."""

from pathlib import Path
from typing import Annotated

import typer

app = typer.Typer(no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False, help=__doc__)


@app.command("list")
def list_(
    what: Annotated[
        str, typer.Argument(help="implementations, sweeps, axes or metrics; all of them if left out")
    ] = "all",
) -> None:
    """Show what there is to measure."""
    from .session import list_session

    raise typer.Exit(list_session(what))


@app.command()
def run(  # noqa: PLR0913
    sweep: Annotated[
        str | None, typer.Argument(help="a named sweep; quick on a CPU, axes on a GPU if left out")
    ] = None,
    axis: Annotated[list[str] | None, typer.Option("--axis", "-a", help="NAME=VALUE,VALUE for any axis")] = None,
    implementation: Annotated[
        list[str] | None, typer.Option(help="implementations, comma-separated or repeated")
    ] = None,
    mode: Annotated[str | None, typer.Option(help="forward,backward,forward_backward")] = None,
    device: Annotated[str, typer.Option(help="auto, cpu, cuda or cuda:N")] = "auto",
    out: Annotated[Path | None, typer.Option(help="the run's folder; a new one under reports/runs if left out")] = None,
    seconds: Annotated[float, typer.Option(min=0.0, help="time for the samples of a case")] = 0.3,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="print the cases and what they need, run nothing")] = False,
) -> None:
    """Measure a sweep and leave a run folder."""
    from .session import Request, run_session

    request = Request(sweep, tuple(axis or ()), tuple(implementation or ()), mode, device)
    raise typer.Exit(run_session(request, out, seconds, dry_run=dry_run))


if __name__ == "__main__":
    app()
