"""A run folder and a GPU belong to one process at a time; how many GPUs are busy. All by locks on files.

A lock is free when its process ends, however it ends. Those of GPUs lie in the temporary folder, named by the UUID.
"""

import fcntl
import os
import platform
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from .errors import DeviceInUse, RunFolderError

LOCK_FILE = ".lock"
_PREFIX = "local-relation-"


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
        if not _taken(file.fileno(), fcntl.LOCK_EX):
            file.seek(0)
            holder = file.read().strip() or "unknown"
            raise RunFolderError(f"{folder} is in use by another run (process {holder}): wait or take another")
        file.truncate(0)
        file.write(str(os.getpid()))
        file.flush()
        yield


@contextmanager
def owned(uuid: str) -> Iterator[None]:
    """Hold a GPU.

    Raises:
        DeviceInUse: Another process holds it.
    """
    with _opened(_path(uuid, "lock")) as file:
        if not _taken(file.fileno(), fcntl.LOCK_EX):
            raise DeviceInUse(
                f"GPU {uuid} of {platform.node()} is in use by another benchmark: wait, or take another device"
            )
        yield


@contextmanager
def busy(uuid: str) -> Iterator[None]:
    """Let a GPU count as busy."""
    with _opened(_path(uuid, "busy")) as file:
        fcntl.flock(file, fcntl.LOCK_EX)  # at once, but for somebody who counts
        yield


def busy_gpus() -> int:
    """How many GPUs of this machine are busy with benchmarks, of whatever run."""
    count = 0
    for path in Path(tempfile.gettempdir()).glob(f"{_PREFIX}*.busy"):
        with _opened(path) as file:
            count += not _taken(file.fileno(), fcntl.LOCK_SH)
    return count


def _path(uuid: str, what: str) -> Path:
    return Path(tempfile.gettempdir(), f"{_PREFIX}{uuid}.{what}")


def _opened(path: Path) -> BinaryIO:
    """A file that every user of the machine may lock, which needs no more than reading."""
    if not path.exists():
        path.touch()
        path.chmod(0o644)
    return path.open("rb")


def _taken(file: int, how: int) -> bool:
    """Whether a lock could be had at once."""
    try:
        fcntl.flock(file, how | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
