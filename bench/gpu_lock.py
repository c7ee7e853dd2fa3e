"""A GPU belongs to one benchmark at a time; how many of a machine's GPUs are at work. Both by locks on files.

The files lie in the temporary folder, named by the GPU's UUID. A lock is free when its process ends, however it ends.
"""

import fcntl
import platform
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import BinaryIO

import torch

from .case.axes import UsageError

_PREFIX = "local-relation-"


class DeviceInUse(UsageError):  # noqa: N818
    """A GPU belongs to another benchmark."""


@contextmanager
def owned(uuid: str) -> Iterator[None]:
    """Hold a GPU.

    Raises:
        DeviceInUse: Another process holds it.
    """
    with _opened(_path(uuid, "lock")) as file:
        if not _locked(file, fcntl.LOCK_EX):
            raise DeviceInUse(
                f"GPU {uuid} of {platform.node()} is in use by another benchmark: wait, or take another device"
            )
        yield


@contextmanager
def held(device: torch.device) -> Iterator[None]:
    """Hold a device of this process, if it is a GPU.

    Raises:
        DeviceInUse: Another process holds it.
    """
    with ExitStack() as lock:
        if device.type == "cuda":
            lock.enter_context(owned(str(torch.cuda.get_device_properties(device).uuid)))
        yield


@contextmanager
def at_work(uuid: str) -> Iterator[None]:
    """Let a GPU count as busy."""
    with _opened(_path(uuid, "busy")) as file:
        fcntl.flock(file, fcntl.LOCK_EX)  # at once, but for somebody who counts
        yield


def gpus_at_work() -> int:
    """How many GPUs of this machine are busy with benchmarks, of whatever run."""
    busy = 0
    for path in _path("*", "busy").parent.glob(_path("*", "busy").name):
        with _opened(path) as file:
            busy += not _locked(file, fcntl.LOCK_SH)
    return busy


def _path(uuid: str, what: str) -> Path:
    return Path(tempfile.gettempdir(), f"{_PREFIX}{uuid}.{what}")


def _opened(path: Path) -> BinaryIO:
    """A file that every user of the machine may lock, which needs no more than reading."""
    if not path.exists():
        path.touch()
        path.chmod(0o644)
    return path.open("rb")


def _locked(file: BinaryIO, how: int) -> bool:
    try:
        fcntl.flock(file, how | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
