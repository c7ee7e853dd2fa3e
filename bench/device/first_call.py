"""What a case costs once: compiling, loading and tuning, seen from the first call."""

import sys
import time
from collections.abc import Callable
from dataclasses import dataclass

import torch

# Words in the names under which torch's compiler keeps the seconds of its autotuners.
_TUNING = ("autotuning", "benchmark_all_configs", "coordinate_descent", "sequential_autotune")


@dataclass(frozen=True)
class FirstCall:
    """Seconds of a case's first call in this process, and how many of them torch's autotuners took."""

    seconds: float
    tune_seconds: float

    def columns(self, latency_ms: float) -> dict[str, float]:
        """The columns of a row: what the first call took beyond tuning and a call like every other."""
        return {
            "compile_s": max(0.0, self.seconds - self.tune_seconds - latency_ms / 1e3),
            "tune_s": self.tune_seconds,
        }


def first_call(make: Callable[[], Callable[[], object]], device: torch.device) -> FirstCall:
    """Make what is timed, and call it, for the first time."""
    tuned, start = _tuning_seconds(), time.perf_counter()
    make()()
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    return FirstCall(time.perf_counter() - start, _tuning_seconds() - tuned)


def _tuning_seconds() -> float:
    """Seconds that torch's autotuners have taken in this process; none before its compiler is loaded."""
    compiler = sys.modules.get("torch._dynamo.utils")
    kept: dict[str, list[float]] = {} if compiler is None else compiler.compilation_time_metrics
    return float(sum(sum(seconds) for name, seconds in kept.items() if any(word in name for word in _TUNING)))
