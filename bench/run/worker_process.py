"""`python -m bench.run.worker_process FD`: the process that measures.

It answers the requests on a socket until that is closed.
"""

import ctypes
import faulthandler
import resource
import signal
import sys
from collections.abc import Callable, Mapping
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import torch

from kernels import free_bytes

from ..device.timers import index_of
from ..errors import in_a_line
from ..measure.runner import Runner
from ..processes import print_whatever_the_encoding
from .messages import Answer, Question, Setup

_DIE_WITH_PARENT = 1  # PR_SET_PDEATHSIG
_OOM_SCORE = Path("/proc/self/oom_score_adj")
# Of the memory that is available at the start; the rest is left to the process that keeps the results.
_MEMORY_SHARE = 0.9
_MIB = 2**20


def main() -> None:
    """Answer requests until the other side is gone."""
    faulthandler.enable()
    print_whatever_the_encoding()
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))  # a sweep with many crashes must not fill the disk
    die_with_parent()
    connection = Connection(int(sys.argv[1]))
    setup: Setup = connection.recv()
    device = torch.device(setup.device)
    limit(device, setup.memory_mib, setup.sharing)
    runner = Runner(device, setup.timing)
    offered = {name: getattr(runner, name) for name in ("prepare", "round", "recheck", "fits")}
    connection.send(Answer())
    serve(connection, {**offered, "call": lambda function, *a: function(*a)})


def serve(connection: Connection, offered: Mapping[str, Callable[..., Any]]) -> None:
    """Answer requests, one at a time; a step's failures are rows, another function's are passed on in words."""
    while True:
        try:
            question: Question = connection.recv()
        except EOFError:
            return
        try:
            answer = Answer(offered[question.what](*question.arguments, **question.options))
        except Exception as error:  # noqa: BLE001  the process that asked raises it
            answer = Answer(failure=in_a_line(error))
        connection.send(answer)


def die_with_parent() -> None:
    """Let the kernel kill this process with its parent, even in the midst of a case, and first when memory is short."""
    ctypes.CDLL(None).prctl(_DIE_WITH_PARENT, signal.SIGKILL)
    try:
        _OOM_SCORE.write_text("1000", encoding="ascii")
    except OSError as error:  # a nicety, which some containers forbid
        print(f"warning: {_OOM_SCORE} cannot be set: {error.strerror}", file=sys.stderr)  # noqa: T201  the log


def limit(device: torch.device, mib: float | None, sharing: int = 1) -> None:
    """Let a process take so many MiB of a device's memory; on a CPU its share of what is free at the most."""
    if device.type == "cpu":
        free = int(_MEMORY_SHARE * free_bytes(device) / sharing)
        limit_memory(free if mib is None else min(free, int(mib * _MIB)))
    elif mib is not None:
        total = torch.cuda.get_device_properties(device).total_memory
        torch.cuda.set_per_process_memory_fraction(min(1.0, mib * _MIB / total), index_of(device))


def limit_memory(size: int) -> None:
    """Make allocations fail before the machine's memory is full: else the kernel kills, and not always this process."""
    _, hard = resource.getrlimit(resource.RLIMIT_DATA)
    resource.setrlimit(resource.RLIMIT_DATA, (size if hard == resource.RLIM_INFINITY else min(size, hard), hard))


if __name__ == "__main__":
    main()
