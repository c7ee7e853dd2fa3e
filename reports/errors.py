"""What can go wrong while a report is made, and how a command ends then."""

from collections.abc import Iterator
from contextlib import contextmanager

import typer

from bench.errors import RunFolderError

FAILED = 2


class OutputError(ValueError):
    """What is written cannot go where it should."""


@contextmanager
def one_line_errors() -> Iterator[None]:
    """End the command with one line on the error and the exit code `FAILED`, where a run or a folder is at fault."""
    try:
        yield
    except (RunFolderError, OutputError, OSError) as error:
        typer.echo(f"error: {error}", err=True)
        raise typer.Exit(FAILED) from None
