"""What a first call costs beyond every other, against sleeps of known length."""

import time
from types import SimpleNamespace

import pytest

from bench.device.resources import FirstCall, first_call
from tests.support.bench_cases import CPU


def test_making_and_calling_count() -> None:
    def make() -> object:
        time.sleep(0.02)
        return lambda: time.sleep(0.03)

    first = first_call(make, CPU)  # type: ignore[arg-type]
    assert 0.05 <= first.seconds < 0.15
    assert first.tune_seconds == 0.0


def test_tuning_is_told_apart(monkeypatch: pytest.MonkeyPatch) -> None:
    kept = {"CachingAutotuner.benchmark_all_configs": [1.0], "entire_frame_compile": [5.0]}
    monkeypatch.setitem(
        __import__("sys").modules, "torch._dynamo.utils", SimpleNamespace(compilation_time_metrics=kept)
    )

    def make() -> object:
        kept["CachingAutotuner.benchmark_all_configs"].append(0.5)
        kept["mm_template_autotuning"] = [0.25]
        kept["entire_frame_compile"].append(9.0)
        return lambda: None

    assert first_call(make, CPU).tune_seconds == 0.75  # type: ignore[arg-type]


def test_a_call_like_every_other_is_no_compilation() -> None:
    assert FirstCall(3.0, 1.0).columns(500.0) == {"compile_s": 1.5, "tune_s": 1.0}
    assert FirstCall(0.4, 0.0).columns(500.0) == {"compile_s": 0.0, "tune_s": 0.0}
