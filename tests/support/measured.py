"""A runner whose cases are measured one at a time in this process, and what a case that failed looks like."""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from bench.case.case import Case
from bench.device.device import chip_of, device_name
from bench.device.timing import Timing
from bench.measure.runner import Runner
from bench.results.columns import COLUMNS, Row
from bench.run.conduct import Conduct
from bench.run.schedule import Schedule

TIMING = Timing(seconds=0.0, warmup_seconds=0.0, block_seconds=0.0)
MEASURED = {"latency_ms", "latency_p20_ms", "latency_p80_ms", "samples", "images_per_s", "tflops", "gbps", "peak_mib"}


class Measured(Schedule):
    """A runner whose cases are measured one at a time, each in one round."""

    def __init__(self, device: torch.device | None = None) -> None:
        device = device or torch.device("cpu")
        super().__init__(Runner(device, TIMING), Conduct(TIMING, rounds=1), chip_of(device))
        self._device = device_name(device)

    def row(self, one: Case) -> Row:
        (result,) = self.run([one])
        self.samples_ms = result.latency.samples_ms
        return result.told("place", {"device": self._device}).row


def require_no_numbers(row: Row, runner: Measured) -> None:
    """Nothing was measured, and no number stands in for it."""
    assert {name for name in MEASURED if row.get(name) is not None} == set()
    assert runner.samples_ms == []
    assert row["reason"]
    assert "\n" not in row["reason"]
    assert row.keys() <= set(COLUMNS)


def raising(error: BaseException) -> Callable[..., Any]:
    """An implementation that fails."""

    def run(*_: Any, **__: Any) -> Tensor:
        raise error

    return run
