"""How the cases of a run become results: order, rounds, limits."""

import math
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import torch

from ..device.timing import Timing
from .budget import Fitting
from .capacity import MOST


@dataclass(frozen=True)
class Conduct:
    """How cases become results.

    Args:
        timing: How long a case is measured, all its rounds together.
        order: "rotated": all cases of a problem are prepared, then share rounds, each in an order of its own;
            "blocked": each case has all its rounds at once.
        rounds: How many rounds a case has.
        seed: Decides the order within a round.
        try_all: Also try cases that are larger than one that ran out of memory.
        largest_batch: Also find the largest batch that fits.
        case_timeout: Seconds for a case, checks and compilation included.
        memory_mib: MiB of the device's memory that a worker may take, if they are limited.
        deadline: No step is begun after it, on `clock`: a case ends with the rounds that it had, without any as
            "timeout".
        clock: The time, in seconds.
        budget: Who leaves out cases that would not end before the deadline, if anybody does.
    """

    timing: Timing
    order: str = "rotated"
    rounds: int = 3
    seed: int = 0
    try_all: bool = False
    largest_batch: bool = False
    case_timeout: float = 600.0
    memory_mib: float | None = None
    deadline: float = math.inf
    clock: Callable[[], float] = time.monotonic
    budget: Fitting | None = None

    @property
    def over(self) -> bool:
        """Whether the time for the whole run is over."""
        return self.clock() >= self.deadline

    def round_timing(self, device: torch.device) -> Timing:
        """How long a round is measured on a device."""
        whole = self.timing
        return replace(
            whole,
            seconds=whole.seconds / self.rounds,
            warmup_seconds=whole.warmup_seconds / self.rounds,
            min_samples=-(-whole.least(device) // self.rounds),
        )

    def method(self) -> dict[str, Any]:
        """What environment.json says of it."""
        plan = {"order": self.order, "rounds": self.rounds, "seed": self.seed}
        plan |= {"largest_batch": MOST if self.largest_batch else None, "memory_limit_mib": self.memory_mib}
        plan["flush_factor"] = self.timing.flush_factor
        return {**plan, "seconds": self.timing.seconds, "target": self.timing.target, "case_timeout": self.case_timeout}
