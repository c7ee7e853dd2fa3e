"""Putting a finished folder in the place of another, so that nobody sees a half-written one."""

import os
import shutil
import time
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from pathlib import Path

from .errors import OutputError

_STALE_S = 3600


@contextmanager
def replacement(out: Path, entries: Collection[str]) -> Iterator[Path]:
    """An empty folder to fill, which takes the place of `out` at the end; if the filling fails, what was there stays.

    Raises:
        OutputError: `out` is a file, or holds something else than `entries`.
    """
    target = out.resolve()
    require_replaceable(target, entries)
    target.parent.mkdir(parents=True, exist_ok=True)
    new = target.with_name(f".{target.name}.{os.getpid()}.partial")
    shutil.rmtree(new, ignore_errors=True)
    new.mkdir()
    try:
        yield new
        replace_folder(new, target)
    finally:
        shutil.rmtree(new, ignore_errors=True)
    _clear(target)


def require_replaceable(out: Path, entries: Collection[str]) -> None:
    """Check that nothing but `entries` would be lost.

    Raises:
        OutputError: As `replacement`.
    """
    if not out.exists():
        return
    if not out.is_dir():
        raise OutputError(f"{out} is a file: give a folder with --out")
    foreign = sorted(entry.name for entry in out.iterdir() if entry.name not in entries)
    if foreign:
        raise OutputError(f"{out} holds {foreign[0]}, which is no part of a report: give another folder with --out")


def replace_folder(new: Path, target: Path) -> None:
    """Put the folder `new`, which lies beside it, in the place of `target` by renames; the old one is then removed.

    Whoever opens `target` finds all of the old one or all of the new one, or, between two renames, none. If a step
    fails the old one is back; a process that is killed there leaves it under `new`'s name with `.old`.
    """
    if not target.exists():
        new.rename(target)
        return
    old = new.with_name(f"{new.name}.old")
    target.rename(old)
    try:
        new.rename(target)
    except OSError:
        old.rename(target)
        raise
    shutil.rmtree(old, ignore_errors=True)


def _clear(target: Path) -> None:
    """Remove what processes that were killed have left beside the target, now that it is there."""
    for left in target.parent.iterdir():
        ours = left.name.startswith(f".{target.name}.") and left.name.endswith((".partial", ".partial.old"))
        if ours and time.time() - left.stat().st_mtime > _STALE_S:
            shutil.rmtree(left, ignore_errors=True)
