"""What a sweep costs on GPUs, before any of them is asked."""

import heapq
from collections.abc import Sequence

from ..case.case import Case, grouped
from ..device.timing import Timing

DEVICES = (1, 8, 64)
# Assumed, not measured, in seconds: for a case beside its samples (warm-up, memory, building what is timed), for a
# problem's tensors and its results in float64, and for an implementation's first call, where a compiler runs.
CASE_SECONDS, PROBLEM_SECONDS = 0.1, 0.7
_FIRST_CALL = {"triton": 4.0, "compiled": 10.0, "flex": 10.0}


def estimate(cases: Sequence[Case], timing: Timing) -> str:
    """GPU-hours, and how long so many GPUs take, each with the next problem as soon as it is free."""
    seconds = [_seconds(group, timing) for group in grouped(cases)]
    times = ", ".join(f"{_words(_makespan(seconds, count))} on {count}" for count in DEVICES)
    assumed = ", ".join(f"{name} {value:g} s" for name, value in _FIRST_CALL.items())
    return (
        f"estimate for GPUs: {sum(seconds) / 3600:.2g} GPU-hours; {times}. Assumed, not measured: {timing.seconds:g} + "
        f"{CASE_SECONDS} s a case, {PROBLEM_SECONDS} s a problem, first calls: {assumed}; no case is refused"
    )


def _seconds(group: Sequence[Case], timing: Timing) -> float:
    first_calls = sum(_FIRST_CALL.get(name, 0.0) for name in {case.implementation for case in group})
    return len(group) * (timing.seconds + CASE_SECONDS) + PROBLEM_SECONDS + first_calls


def _makespan(seconds: Sequence[float], count: int) -> float:
    """When the last of `count` devices is done."""
    busy_until = [0.0] * count
    for duration in seconds:
        heapq.heapreplace(busy_until, busy_until[0] + duration)
    return max(busy_until)


def _words(seconds: float) -> str:
    return f"{seconds / 3600:.1f} h" if seconds >= 3600 else f"{seconds / 60:.0f} min"
