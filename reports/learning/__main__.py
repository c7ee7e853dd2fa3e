"""`python -m reports.learning RUN`: the page, tables and plot of what `python -m bench learn` trained."""

from pathlib import Path
from typing import Annotated

import typer

from ..errors import one_line_errors


def main(
    run: Annotated[Path, typer.Argument(metavar="RUN", help="A folder that `python -m bench learn` left.")],
    out: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Where the report goes: RUN/report if left out.")
    ] = None,
) -> None:
    """Make the page, the tables and the plot of a learning run."""
    # Imported here so that --help does not wait for matplotlib and scipy.
    from .page import load, write

    target = out or run / "report"
    with one_line_errors():
        write(load(run), target)
    typer.echo(f"page   {target / 'learning.md'}\nplot   {target / 'accuracy.png'}\ntable  {target / 'accuracy.csv'}")


if __name__ == "__main__":
    typer.run(main)
