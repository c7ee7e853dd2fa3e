"""Processes of the suite: work spread over several, in which Triton compiles, and what all print. Loads no torch."""

import io
import os
import signal
import sys
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from multiprocessing import get_context
from typing import TypeVar

from rich.console import Console

Task = TypeVar("Task")
Result = TypeVar("Result")
_WIDE = 1000


def spread(
    function: Callable[[Task], Result], tasks: Sequence[Task], processes: int | None = None
) -> Iterator[tuple[int, Result | Exception]]:
    """Apply a function to each task in new processes, one per core; yield indices and results as they come.

    What a task raises, and the death of its process, is its result. Tasks that have not begun when the caller stops are
    dropped.
    """
    count = processes or min(len(tasks), len(os.sched_getaffinity(0)))
    pool = ProcessPoolExecutor(count, get_context("spawn"), initializer=_prepare)
    try:
        futures = {pool.submit(_described, function, task): index for index, task in enumerate(tasks)}
        for future in as_completed(futures):
            error = future.exception()
            yield futures[future], future.result() if error is None else _exception(error)
    finally:
        pool.shutdown(wait=True, cancel_futures=True)


def print_whatever_the_encoding() -> None:
    """Let no letter that a terminal's or a log's encoding lacks end what this process does: it is printed as "?"."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")


def console() -> Console:
    """What tables are printed on: as wide as a terminal, and as wide as they need in a pipe or a file."""
    found = Console()
    return found if found.is_terminal or "COLUMNS" in os.environ else Console(width=_WIDE)


def _prepare() -> None:
    """Let Triton compile, also where it interprets kernels in the first process; leave Ctrl-C to that one."""
    os.environ.pop("TRITON_INTERPRET", None)
    signal.signal(signal.SIGINT, signal.SIG_IGN)


def _described(function: Callable[[Task], Result], task: Task) -> Result:
    """The function's result; its exceptions in a form that passes from process to process."""
    try:
        return function(task)
    except Exception as error:  # noqa: BLE001  every task has a result
        text = (str(error).strip() or repr(error)).splitlines()[0]
        raise RuntimeError(f"{type(error).__name__}: {text}") from None


def _exception(error: BaseException) -> Exception:
    if isinstance(error, Exception):
        return error
    raise error
