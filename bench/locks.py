"""A run folder belongs to one process at a time, and is free again when that process ends, however it ends."""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from .results.folder import RunFolderError

LOCK_FILE = ".lock"


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Hold a folder, which is made if it is not there.

    Raises:
        RunFolderError: Another process holds it, or the path cannot be a folder.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        file = (folder / LOCK_FILE).open("a+", encoding="ascii")
    except OSError as error:
        raise RunFolderError(f"{folder} cannot be a run's folder: {error.strerror}") from None
    with file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            file.seek(0)
            holder = file.read().strip() or "unknown"
            raise RunFolderError(
                f"{folder} is in use by another run (process {holder}): wait or take another"
            ) from None
        file.truncate(0)
        file.write(str(os.getpid()))
        file.flush()
        yield
