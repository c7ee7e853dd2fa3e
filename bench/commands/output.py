"""Where a command's text goes, to the terminal or whole into a file, and a run's report. Free of torch."""

import subprocess
from pathlib import Path

import typer

from .. import ROOT, module_command
from ..errors import Exit, UsageError


def require_writable(out: Path) -> None:
    """Nothing, where a file can be written: asked before what takes time.

    Raises:
        UsageError: It cannot.
    """
    try:
        with out.open("a", encoding="utf-8"):
            pass
    except OSError as error:
        raise UsageError(f"cannot write {out}: {error.strerror}") from None


def emit(text: str, out: Path | None, written: str) -> None:
    """Print a text, or write it to a file and say `written` with the file's name.

    Raises:
        UsageError: The file cannot be written.
    """
    if out is None:
        typer.echo(text, nl=False)
        return
    try:
        out.write_text(text, encoding="utf-8")
    except OSError as error:
        raise UsageError(f"cannot write {out}: {error.strerror}") from None
    typer.echo(f"{written} {out}")


def report_on(path: Path) -> Exit:
    """Make the report of a run, in a process of its own that knows nothing of torch; its exit code."""
    return _reports(str(path.resolve()))


def index_of(published: Path) -> Exit:
    """Make the page on the runs in a folder anew; its exit code."""
    return _reports("--index", str(published.resolve()))


def _reports(*words: str) -> Exit:
    done = subprocess.run([*module_command("reports"), *words], cwd=ROOT, check=False)
    return Exit.OK if done.returncode == 0 else Exit.FAILED
