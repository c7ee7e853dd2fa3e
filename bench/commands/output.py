"""Where a command's text goes: to the terminal, or whole into a file."""

from pathlib import Path

import typer

from ..errors import UsageError


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
