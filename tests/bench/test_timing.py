"""Latencies against a clock that only the timed call moves, and against a real sleep."""

import time
from contextlib import nullcontext
from types import SimpleNamespace

import pytest
import torch

from bench import timing
from bench.timing import Latency, Timing, measure
from tests.bench.conftest import CPU, every_device

QUICK = Timing(seconds=0.0)


class Clock:
    """Time that passes in calls alone: so many seconds for the first, so many for each other."""

    def __init__(self, first: float, later: float) -> None:
        self.now, self.calls, self.first, self.later = 100.0, 0, first, later

    def call(self) -> None:
        self.now += self.later if self.calls else self.first
        self.calls += 1


def measured(monkeypatch: pytest.MonkeyPatch, clock: Clock, how: Timing) -> list[float]:
    """The samples of a clock's calls."""
    monkeypatch.setattr(timing, "time", SimpleNamespace(perf_counter=lambda: clock.now))
    return measure(clock.call, CPU, how).samples_ms


def test_percentiles_of_known_samples() -> None:
    samples = [float(sample) for sample in (9, 1, 8, 2, 7, 3, 6, 4, 5, 0, 1000)]
    expected = {"latency_ms": 5.0, "latency_p20_ms": 2.0, "latency_p80_ms": 8.0, "samples": 11}
    assert Latency(samples).columns() == pytest.approx(expected)
    assert Latency([3.0] * 7).columns() == pytest.approx(
        {"latency_ms": 3.0, "latency_p20_ms": 3.0, "latency_p80_ms": 3.0, "samples": 7}
    )


def test_no_sample_is_dropped(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = Clock(0.01, 0.01)
    calls = iter([0.01] * 4 + [5.0])
    monkeypatch.setattr(clock, "call", lambda: setattr(clock, "now", clock.now + next(calls, 0.01)))
    samples = measured(monkeypatch, clock, Timing(seconds=0.0, warmup_seconds=0.0))
    assert max(samples) == pytest.approx(5000.0)


@pytest.mark.parametrize("seconds", [0.004, 1.0])
def test_a_long_call_is_sampled_one_by_one(monkeypatch: pytest.MonkeyPatch, seconds: float) -> None:
    clock = Clock(seconds, seconds)
    samples = measured(monkeypatch, clock, Timing(seconds=0.0, min_samples=9, warmup_seconds=0.0))
    assert samples == pytest.approx([seconds * 1e3] * 9)
    # One to learn how long it takes, one to warm up, nine samples.
    assert clock.calls == 11


def test_a_short_call_is_sampled_in_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = Clock(0.25e-3, 0.25e-3)
    samples = measured(monkeypatch, clock, Timing(seconds=0.0, min_samples=5, warmup_seconds=0.0, block_seconds=0.002))
    assert samples == pytest.approx([0.25] * 5)
    assert clock.calls == 1 + 8 * (1 + 5)


def test_the_time_is_filled(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = Clock(0.01, 0.01)
    how = Timing(seconds=0.995, min_samples=3, warmup_seconds=0.095, block_seconds=0.0)
    assert len(measured(monkeypatch, clock, how)) == 100
    assert clock.calls == 1 + 10 + 100


def test_a_slow_first_call_is_no_sample(monkeypatch: pytest.MonkeyPatch) -> None:
    samples = measured(monkeypatch, Clock(30.0, 0.001), QUICK)
    assert samples == pytest.approx([1.0] * QUICK.min_samples)


def test_a_sleep_takes_as_long_as_it_says() -> None:
    columns = measure(lambda: time.sleep(0.02), CPU, QUICK).columns()
    assert 20.0 <= columns["latency_p20_ms"] <= columns["latency_ms"] <= 30.0
    assert columns["samples"] == QUICK.min_samples


@every_device
def test_twice_the_work_takes_longer(device: torch.device) -> None:
    a = torch.ones(512, 512, device=device)

    def work(times: int) -> None:
        for _ in range(times):
            torch.mm(a, a)

    # The least of the samples is what other load on the machine disturbs least.
    least = [min(measure(lambda times=times: work(times), device, QUICK).samples_ms) for times in (2, 16)]  # type: ignore[misc]
    assert least[1] > 2 * least[0] > 0


class Gpu:
    """A GPU whose stream takes time of its own: what it was told, and what its events say."""

    def __init__(self, queueing_cycles: int) -> None:
        self.queueing_cycles, self.held = queueing_cycles, 0
        self.told: list[str] = []
        gpu = self

        class Event:
            def __init__(self, *, enable_timing: bool) -> None:
                assert enable_timing

            def record(self) -> None:
                gpu.told.append("event")

            def query(self) -> bool:
                return gpu.held < gpu.queueing_cycles

            def synchronize(self) -> None:
                gpu.told.append("wait")

            def elapsed_time(self, _: object) -> float:
                return 0.25

        self.torch = SimpleNamespace(
            cuda=SimpleNamespace(
                Event=Event,
                device=lambda _: nullcontext(),
                get_device_properties=lambda _: SimpleNamespace(L2_cache_size=100),
                _sleep=self.hold,
            ),
            empty=self.empty,
            int8="int8",
        )

    def hold(self, cycles: int) -> None:
        self.held = cycles
        self.told.append("hold")

    def empty(self, size: int, **_: object) -> SimpleNamespace:
        assert size == 200
        return SimpleNamespace(zero_=lambda: self.told.append("flush"))


def told(monkeypatch: pytest.MonkeyPatch, cache: str, queueing_cycles: int) -> tuple[list[str], list[float], int]:
    """What a GPU is told for the last sample, all samples, and for how many cycles it was held at last."""
    gpu = Gpu(queueing_cycles)
    monkeypatch.setattr(timing, "torch", gpu.torch)
    how = Timing(seconds=0.0, min_samples=3, warmup_seconds=0.0)
    latency = measure(lambda: gpu.told.append("call"), torch.device("cuda"), how, cache)
    last = len(gpu.told) - gpu.told[::-1].index("wait", 1) if gpu.told.count("wait") > 1 else 0
    return gpu.told[last:], latency.samples_ms, gpu.held


def test_the_l2_is_flushed_before_a_cold_sample_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    cold, samples, _ = told(monkeypatch, "cold", 0)
    assert cold == ["flush", "hold", "event", "call", "event", "wait"]
    assert samples == [0.25] * 3
    assert told(monkeypatch, "hot", 0)[0] == ["hold", "event", "call", "event", "wait"]


@pytest.mark.parametrize(("queueing", "held"), [(0, 200_000), (300_000, 400_000), (10**12, 20_000_000)])
def test_the_gpu_is_held_until_all_is_queued(monkeypatch: pytest.MonkeyPatch, queueing: int, held: int) -> None:
    assert told(monkeypatch, "hot", queueing)[2] == held


@pytest.mark.gpu
def test_a_short_kernel_is_timed_without_its_launch() -> None:
    device = torch.device("cuda")
    a = torch.ones(8, device=device)

    def slow_to_queue() -> None:
        time.sleep(0.002)
        a.add_(1)

    assert min(measure(slow_to_queue, device, QUICK).samples_ms) < 1.0


@pytest.mark.gpu
def test_a_hot_cache_is_not_slower() -> None:
    device = torch.device("cuda")
    a = torch.ones(2**20, device=device)
    cold, hot = (measure(a.sum, device, QUICK, cache).columns()["latency_ms"] for cache in ("cold", "hot"))
    assert hot < 1.1 * cold
