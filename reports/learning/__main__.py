"""`python -m reports.learning RUN`: the page, tables and plot of what `python -m bench learn` trained."""

from pathlib import Path
from typing import Annotated

import typer

from bench.errors import RunFolderError

from .page import load, write

FAILED = 2


def main(
    run: Annotated[Path, typer.Argument(metavar="RUN", help="A folder that `python -m bench learn` left.")],
    out: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Where the report goes: RUN/report if left out.")
    ] = None,
) -> None:
    """Make the page, the tables and the plot of a learning run."""
    target = out or run / "report"
    try:
        write(load(run), target)
    except (RunFolderError, OSError) as error:
        typer.echo(f"error: {error}", err=True)
        raise typer.Exit(FAILED) from None
    typer.echo(f"page   {target / 'learning.md'}\nplot   {target / 'accuracy.png'}\ntable  {target / 'accuracy.csv'}")


if __name__ == "__main__":
    typer.run(main)
