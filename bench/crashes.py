"""A crash of a command whose exit code is a verdict is no verdict."""

import traceback
from collections.abc import Iterator
from contextlib import contextmanager

import typer

# EX_SOFTWARE of sysexits.h: Python's own 1 would be read as a confirmed regression.
CRASHED_EXIT = 70


@contextmanager
def crash_is_no_verdict() -> Iterator[None]:
    """Let an exception end the command with its traceback and `CRASHED_EXIT`."""
    try:
        yield
    except Exception:  # noqa: BLE001  shown, and named by the exit code
        traceback.print_exc()
        raise typer.Exit(CRASHED_EXIT) from None
