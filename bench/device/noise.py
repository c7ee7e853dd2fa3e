"""The noise floor: how far two measurements of one and the same call lie apart."""

import statistics

import torch

from .timers import Call
from .timing import Sampler, Timing

PAIRS = 12
_ROUNDS = 3
_TIMING = Timing(seconds=0.03)


def noise_floor(call: Call, device: torch.device, pairs: int = PAIRS) -> float:
    """The largest |b/a − 1| of the medians of pairs (a, b) of one call, which take turns as two implementations do.

    Each side has three rounds, in the order a b, b a, a b.
    """
    return max(_difference(call, device) for _ in range(pairs))


def _difference(call: Call, device: torch.device) -> float:
    # Not from a graph: on a GPU, that a launch is more noisy than a replay belongs to the floor.
    sides = [Sampler(call, device, _TIMING, capture=False) for _ in range(2)]
    for number in range(_ROUNDS):
        for side in sides if number % 2 == 0 else sides[::-1]:
            side.round()
    one, other = (statistics.median(side.latency().samples_ms) for side in sides)
    return abs(other / one - 1)
