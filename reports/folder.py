"""Putting a finished folder in the place of another in one step, so that nobody sees a half-written one."""

import ctypes
import os
import shutil
import time
from collections.abc import Callable, Collection
from pathlib import Path

_HERE, _EXCHANGE = -100, 2  # AT_FDCWD and RENAME_EXCHANGE of Linux
_STALE_S = 3600


class OutputError(ValueError):
    """What is written cannot go where it should."""


def replace_folder(out: Path, entries: Collection[str], write: Callable[[Path], None]) -> None:
    """Let `write` fill a folder beside `out`, then put it there; if it fails, what was there stays.

    Raises:
        OutputError: `out` is a file, or holds something else than `entries`.
    """
    target = out.resolve()
    require_replaceable(target, entries)
    target.parent.mkdir(parents=True, exist_ok=True)
    _clear(target)
    partial = target.parent / f".{target.name}.{os.getpid()}.partial"
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir()
    try:
        write(partial)
        if target.exists():
            _exchange(partial, target)
        else:
            partial.rename(target)
    finally:
        shutil.rmtree(partial, ignore_errors=True)


def require_replaceable(out: Path, entries: Collection[str]) -> None:
    """Check that nothing but `entries` would be lost.

    Raises:
        OutputError: As `replace_folder`.
    """
    if not out.exists():
        return
    if not out.is_dir():
        raise OutputError(f"{out} is a file: give a folder with --out")
    foreign = sorted(entry.name for entry in out.iterdir() if entry.name not in entries)
    if foreign:
        raise OutputError(f"{out} holds {foreign[0]}, which is no part of a report: give another folder with --out")


def _clear(target: Path) -> None:
    """Remove what processes that were killed have left beside the target."""
    start, end = f".{target.name}.", ".partial"
    for left in target.parent.iterdir():
        if left.name.startswith(start) and left.name.endswith(end) and time.time() - left.stat().st_mtime > _STALE_S:
            shutil.rmtree(left, ignore_errors=True)


def _exchange(partial: Path, target: Path) -> None:
    """Swap two folders, which Linux does in one step; elsewhere there is none for the time of a renaming."""
    exchange = getattr(ctypes.CDLL(None), "renameat2", None)
    if exchange and exchange(_HERE, os.fsencode(partial), _HERE, os.fsencode(target), _EXCHANGE) == 0:
        return
    old = target.with_name(f"{partial.name}.old")
    target.rename(old)
    try:
        partial.rename(target)
    except OSError:
        old.rename(target)
        raise
    shutil.rmtree(old, ignore_errors=True)
