"""The command: `python -m reports RUN [RUN …]`."""

from pathlib import Path
from typing import Annotated

import typer

FAILED = 2


def main(
    runs: Annotated[list[Path], typer.Argument(metavar="RUN…", help="Run folders that `python -m bench run` left.")],
    out: Annotated[
        Path | None,
        typer.Option(metavar="DIR", help="Where the report goes: RUN/report if left out, needed for several runs."),
    ] = None,
) -> None:
    """Make the tables, the plots and the page of one or more runs."""
    # Imported here so that --help does not wait for matplotlib and scipy.
    from bench.results import RunFolderError
    from reports.output import OutputError, default_out, write_report
    from reports.rows import load_runs

    try:
        written = write_report(load_runs(runs), out or default_out(runs))
    except (RunFolderError, OutputError, OSError) as error:
        typer.echo(f"error: {error}", err=True)
        raise typer.Exit(FAILED) from None
    for what, path in written.items():
        typer.echo(f"{what:<7}{path}")


if __name__ == "__main__":
    typer.run(main)
