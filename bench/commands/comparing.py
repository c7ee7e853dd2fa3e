"""Comparing two runs, with statistics that a CI job can act on. Free of torch."""

from pathlib import Path

import typer

from ..errors import RunFolderError
from ..results.comparison import USAGE, VERDICTS, Comparison, Pair, Settings, compare
from ..results.formats import FORMATS, formatter
from ..results.intervals import Ratio, ratio_of_medians
from ..results.reading import Run, read_run

__all__ = [
    "FORMATS",
    "USAGE",
    "VERDICTS",
    "Comparison",
    "Pair",
    "Ratio",
    "Run",
    "Settings",
    "compare",
    "compare_folders",
    "ratio_of_medians",
    "read_run",
]


def compare_folders(a: Path, b: Path, settings: Settings, out: Path | None, form: str) -> int:
    """Compare two run folders, print the result or write it to a file; return the exit code."""
    try:
        write = formatter(form)
        comparison = compare(read_run(a), read_run(b), settings)
        text = write(comparison)
        if out is not None:
            out.write_text(text, encoding="utf-8")
    except (RunFolderError, OSError) as error:
        typer.echo(f"error: {error}", err=True)
        return USAGE
    typer.echo(
        text if out is None else f"exit code {comparison.exit_code}; the comparison is in {out}", nl=out is not None
    )
    return comparison.exit_code
