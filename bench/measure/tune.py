"""The search for launch settings that are faster than those in use, one kernel and one field at a time."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor

from kernels import FusedSettings, FusedTuner, Problem

from ..device.timing import Timing, measure
from .check import TOLERANCES
from .workloads import draw

_SEARCH, _FINAL = Timing(seconds=0.02, min_samples=10), Timing(seconds=0.1, min_samples=30)
# A gain below this share of the time is taken for noise.
_LEAST_GAIN = 0.02

Measure = Callable[[FusedSettings, Timing], float]


@dataclass
class Found:
    """What a search found for one kernel: the settings, their time and that of the settings in use, both in ms."""

    tuner: FusedTuner
    settings: FusedSettings
    ms: float
    in_use_ms: float
    tried: int = 0
    failures: list[str] = field(default_factory=list)

    @property
    def gain(self) -> float:
        """The share of the time that the settings save."""
        return 1 - self.ms / self.in_use_ms


class WrongResultError(Exception):
    """Settings changed what a kernel computes."""


def search(tuner: FusedTuner, measure_ms: Measure, deadline: float) -> Found:
    """Descend field by field from the settings in use until none of them helps or the deadline (monotonic) is past.

    Settings that cannot be launched, or give another result, are kept as failures with their reason. The winner is
    timed once more beside the settings in use, which stay unless it saves two per cent.
    """
    start = tuner.settings
    found = Found(tuner, start, measure_ms(start, _SEARCH), 0.0)
    improving = True
    while improving and time.monotonic() < deadline:
        improving = False
        for name in tuner.fields:
            for settings in tuner.neighbours(found.settings, name):
                if time.monotonic() >= deadline:
                    break
                improving |= _try(found, settings, measure_ms)
    found.ms, found.in_use_ms = measure_ms(found.settings, _FINAL), measure_ms(start, _FINAL)
    if found.gain < _LEAST_GAIN:
        found.settings, found.ms = start, found.in_use_ms
    return found


def _try(found: Found, settings: FusedSettings, measure_ms: Measure) -> bool:
    """Take settings where they are faster than the best so far; whether they are."""
    found.tried += 1
    try:
        ms = measure_ms(settings, _SEARCH)
    except torch.cuda.OutOfMemoryError:
        raise
    except Exception as error:  # noqa: BLE001  Triton has no one class for what cannot be compiled or launched
        found.failures.append(f"{settings}: {type(error).__name__}: {str(error).splitlines()[0] if str(error) else ''}")
        return False
    if ms >= found.ms:
        return False
    found.settings, found.ms = settings, ms
    return True


def measured(tuner: FusedTuner, device: torch.device) -> Measure:
    """Time a tuner's kernel on a device, its results checked against those of the settings in use first."""
    expected = tuner.launch(tuner.settings)

    def measure_ms(settings: FusedSettings, timing: Timing) -> float:
        _require_equal(tuner.launch(settings), expected, TOLERANCES[tuner.problem.dtype])
        latency = measure(lambda: tuner.launch(settings), device, timing, "cold")
        return float(latency.columns()["latency_ms"])

    return measure_ms


def _require_equal(actual: Sequence[Tensor], expected: Sequence[Tensor], tolerance: float) -> None:
    for one, other in zip(actual, expected, strict=True):
        error = float((one.double() - other.double()).norm() / other.double().norm().clamp_min(1e-30))
        if not error <= tolerance:
            raise WrongResultError(f"relative error {error:.1e} against the settings in use, at most {tolerance:.0e}")


def tune(problem: Problem, device: torch.device, seconds: float) -> list[Found]:
    """Search for each of the three kernels of a problem, each within a third of the time."""
    tensors = draw(problem, "operator", device)
    operands = tensors["query"], tensors["key"], tensors["value"], tensors.get("prior")
    tuners = [FusedTuner(kernel, problem, operands, tensors["grad_out"]) for kernel in FusedTuner.kernels]
    return [search(tuner, measured(tuner, device), time.monotonic() + seconds / len(tuners)) for tuner in tuners]
