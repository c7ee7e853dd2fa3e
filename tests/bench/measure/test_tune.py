"""The search takes what is faster and right, and keeps what it cannot launch as a failure with its reason."""

import tempfile
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from bench.case.request import Request
from bench.commands import tune as tune_command
from bench.device.timing import Timing
from bench.errors import DeviceInUse
from bench.locks import owned
from bench.measure import tune
from bench.measure.tune import Found, measured, search
from kernels import FusedSettings, FusedTuner, Problem
from tests.support.cases import DEVICE

pytest.importorskip("triton")

PROBLEM = Problem(batch=1, channels=8, height=4, width=4, kernel_size=3, m=4, padding=1)
Cost = Callable[[FusedSettings], float]


def tuner_of(kernel: Any = "forward") -> FusedTuner:
    query, key, value = (torch.randn(1, channels, 4, 4, device=DEVICE) for channels in (2, 2, 8))
    prior = torch.randn(2, 3, 3, device=DEVICE)
    return FusedTuner(kernel, PROBLEM, (query, key, value, prior), torch.randn_like(value))


def found_by(cost: Cost, seconds: float = 60.0) -> Found:
    return search(tuner_of(), lambda settings, _: cost(settings), time.monotonic() + seconds)


def bowl(settings: FusedSettings) -> float:
    """Least at 2 columns and 64 lanes, from wherever one starts."""
    return 1.0 + abs(settings.columns - 2) + abs(settings.lanes - 64) / 64


def test_it_descends_to_the_least() -> None:
    found = found_by(bowl)
    assert (found.settings.columns, found.settings.lanes, found.ms) == (2, 64, 1.0)
    start = tuner_of().settings
    assert found.in_use_ms == bowl(start)
    assert found.gain == pytest.approx(1 - 1 / bowl(start))
    assert found.tried > 10
    assert found.failures == []


def test_noise_changes_nothing() -> None:
    found = found_by(lambda settings: 1.0 - 0.001 * (settings.lanes == 64))
    assert found.settings == tuner_of().settings
    assert found.gain == 0


def test_what_cannot_be_launched_is_kept_with_its_reason() -> None:
    def cost(settings: FusedSettings) -> float:
        if settings.lanes == 256:
            raise RuntimeError("out of resource: registers\nmore")
        return bowl(settings)

    found = found_by(cost)
    assert found.settings.lanes == 64
    assert {reason.partition(": ")[2] for reason in found.failures} == {"RuntimeError: out of resource: registers"}


def test_it_ends_at_the_deadline() -> None:
    found = found_by(bowl, seconds=-1.0)
    assert (found.tried, found.settings) == (0, tuner_of().settings)


@pytest.mark.parametrize("kernel", FusedTuner.kernels)
def test_a_wrong_result_is_never_timed(kernel: str, monkeypatch: pytest.MonkeyPatch) -> None:
    tuner = tuner_of(kernel)
    measure_ms = measured(tuner, DEVICE)
    right = tuner.launch
    monkeypatch.setattr(tuner, "launch", lambda settings: tuple(1.01 * tensor for tensor in right(settings)))
    monkeypatch.setattr(tune, "measure", None)
    with pytest.raises(tune.WrongResultError, match=r"relative error 1\.0e-02"):
        measure_ms(tuner.settings, Timing())


def test_a_right_result_is_timed() -> None:
    tuner = tuner_of()
    other = replace(tuner.settings, rows=2, lanes=32)
    ms = measured(tuner, DEVICE)(other, Timing(seconds=0.0, min_samples=2, warmup_seconds=0.0))
    assert 0 < ms < 60_000


def test_a_gpu_that_another_benchmark_has_is_not_tuned(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    monkeypatch.setattr(tune_command, "uuid_of", lambda _: "GPU-a")
    monkeypatch.setattr("bench.case.request.require_device", lambda _: torch.device("cuda"))
    monkeypatch.setattr(tune_command, "unsupported", lambda *_: "not here")
    request = Request("stages", (), ("triton",), None, "cuda", yardsticks=False)
    with owned("GPU-a"), pytest.raises(DeviceInUse, match="GPU GPU-a"):
        tune_command.run_tune(request, 1.0, dry_run=False)
    tune_command.run_tune(request, 1.0, dry_run=False)
