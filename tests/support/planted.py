"""`python -m tests.support.planted FD`: the suite's worker with faulty implementations planted in it.

What `chunked` does is chosen by the problem's number of channels, so that each fault is a case of its own.
"""

import ctypes
import sys
import time
from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor

from bench.run import worker_process as worker
from kernels import Problem
from kernels.implementations import chunked

right = chunked.run
_hoard: list[Tensor] = []


def _hang() -> None:
    time.sleep(600.0)


def _segfault() -> None:
    ctypes.string_at(0)


def _allocate() -> None:
    _hoard.clear()
    while True:
        _hoard.append(torch.empty(2**27))


def _leave() -> None:
    sys.exit(3)


def _raise() -> None:
    raise ZeroDivisionError("planted")


FAULTS: Mapping[int, Callable[[], None]] = {
    11: _hang,
    12: _segfault,
    18: _allocate,
    15: _leave,
    16: _raise,
}
WRONG = 17


def run(problem: Problem, *tensors: Any) -> Tensor:
    """The implementation `chunked`, with the fault that the problem's channels ask for."""
    if tensors[0].dtype == torch.float32:
        FAULTS.get(problem.channels, lambda: None)()
    result: Tensor = right(problem, *tensors)
    return 1.01 * result if problem.channels == WRONG else result


def step_clock() -> None:
    """A clock that is set back by an hour whenever somebody looks at it."""
    really, looks = time.time, iter(range(10**9))
    time.time = lambda: really() - 3600.0 * next(looks)


if __name__ == "__main__":
    vars(chunked)["run"] = run
    step_clock()
    available = worker.limit_memory
    worker.limit_memory = lambda size: available(min(size, 3 * 2**29))
    worker.main()
