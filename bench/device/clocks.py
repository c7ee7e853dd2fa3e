"""The timers' own functions as they were before anything that is timed was loaded, and whether they still are so."""

import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch

# What a sample is made of, by the name under which the timers find it: the owner, the attribute, and what it was.
_TIMERS: Mapping[str, tuple[Any, str, Any]] = {
    f"{name}.{attribute}": (owner, attribute, getattr(owner, attribute))
    for name, owner, attributes in (
        ("time", time, ("perf_counter", "monotonic", "sleep")),
        ("torch.cuda", torch.cuda, ("Event", "Stream", "CUDAGraph", "synchronize", "current_stream")),
        ("torch.cuda.Event", torch.cuda.Event, ("elapsed_time", "record", "synchronize", "query")),
    )
    for attribute in attributes
}
_ANOTHER_CLOCK = time.clock_gettime_ns
# What two clocks may differ by over an interval: a share of it, and s for steps of a clock.
_SHARE, _STEP_S = 0.01, 0.001
# On a busy machine a process may wait between two clocks that it reads: the quickest of so many readings counts.
_READINGS = 5


def replaced() -> str | None:
    """What the timers use that is no longer what it was, in a sentence, or None."""
    found = [name for name, (owner, attribute, was) in _TIMERS.items() if getattr(owner, attribute) is not was]
    return f"the timer was tampered with: {' and '.join(found)} is not what it was" if found else None


@dataclass(frozen=True)
class Interval:
    """The time since it was made, in s: by the timers' clock, and by one they do not use, read within `spread_s`."""

    timers_s: float
    other_s: float
    spread_s: float

    @classmethod
    def begin(cls) -> "Interval":
        """Both clocks now."""
        return min((cls._reading() for _ in range(_READINGS)), key=lambda one: one.spread_s)

    @classmethod
    def _reading(cls) -> "Interval":
        before = _ANOTHER_CLOCK(time.CLOCK_MONOTONIC) / 1e9
        timers = time.perf_counter()
        after = _ANOTHER_CLOCK(time.CLOCK_MONOTONIC) / 1e9
        return cls(timers, before, after - before)

    def disagreement(self) -> str | None:
        """Why the timers' clock is not believed, in a sentence, or None."""
        now = self.begin()
        told, passed = now.timers_s - self.timers_s, now.other_s - self.other_s
        if abs(told - passed) <= _SHARE * passed + _STEP_S + self.spread_s + now.spread_s:
            return None
        return f"the timer is wrong: time.perf_counter tells of {told:.3f} s, another clock of {passed:.3f} s"
