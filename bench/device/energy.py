"""Energy of one call, from the GPU's own counter over a window of calls."""

import time

import torch

from .nvml import Telemetry
from .timers import Call

# The counter moves every 10 to 100 ms: a window has to be long beside that.
WINDOW_SECONDS = 1.0
# Calls between two looks at the clock, so that the queue stays short.
_CALLS = 16


def energy_per_call_mj(call: Call, device: torch.device, telemetry: Telemetry) -> float | None:
    """mJ of the whole GPU for one of many calls in a row, idle power included; None where NVML has no counter."""
    torch.cuda.synchronize(device)
    before, start = telemetry.energy_mj(), time.perf_counter()
    if before is None:
        return None
    calls = 0
    while time.perf_counter() - start < WINDOW_SECONDS:
        for _ in range(_CALLS):
            call()
        calls += _CALLS
        torch.cuda.synchronize(device)
    after = telemetry.energy_mj()
    return None if after is None else (after - before) / calls
