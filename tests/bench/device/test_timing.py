"""Latencies against a clock that only the timed call moves, against a real sleep, and against a throttled GPU."""

import itertools
import random
import time
from collections.abc import Callable, Iterator
from types import SimpleNamespace

import pytest
import torch

from bench.device import nvml as nvml_module
from bench.device import timers, timing
from bench.device.nvml import Telemetry
from bench.device.timing import Sampler, Timing, measure
from bench.samples import Block, Latency, Reading
from tests.support.bench_cases import CPU, every_device
from tests.support.nvml import Nvml, handled

QUICK = Timing(seconds=0.0, min_samples=7)
# One call a sample, and no warm-up but one.
PLAIN = Timing(seconds=0.0, warmup_seconds=0.0, block_seconds=0.0)


class Clock:
    """Time that passes in calls alone, as many seconds as `durations` say, one after the other."""

    def __init__(self, durations: Iterator[float]) -> None:
        self.now, self.calls, self.durations = 100.0, 0, durations

    def call(self) -> None:
        self.now += next(self.durations)
        self.calls += 1


def sampler_of(
    monkeypatch: pytest.MonkeyPatch, durations: Iterator[float], how: Timing, told: Telemetry | None = None
) -> tuple[Sampler, Clock]:
    """A sampler of a clock's calls."""
    clock = Clock(durations)
    pretended = SimpleNamespace(perf_counter=lambda: clock.now, sleep=lambda _: None)
    for module in (timers, timing):
        monkeypatch.setattr(module, "time", pretended)
    return Sampler(clock.call, CPU, how, telemetry=told), clock


def noisy(share: float, seconds: float = 0.01) -> Iterator[float]:
    """Calls whose time varies by about that share."""
    chance = random.Random(5)
    return (seconds * (1 + chance.uniform(-share, share)) for _ in itertools.count())


def test_percentiles_of_known_samples() -> None:
    samples = [float(sample) for sample in (9, 1, 8, 2, 7, 3, 6, 4, 5, 0, 1000)]
    columns = Latency([Block(samples, "seconds")]).columns()
    expected = {"latency_ms": 5.0, "latency_p20_ms": 2.0, "latency_p80_ms": 8.0, "samples": 11, "outliers": 1}
    assert {name: columns[name] for name in expected} == pytest.approx(expected)
    assert (columns["latency_low_ms"], columns["latency_high_ms"]) == (1.0, 9.0)
    assert (columns["stop"], columns["timer"], columns["host_ms"], columns["tainted"]) == (
        "seconds",
        "wall",
        None,
        False,
    )


def test_no_sample_is_dropped(monkeypatch: pytest.MonkeyPatch) -> None:
    durations = itertools.chain([0.01] * 4, [5.0], itertools.repeat(0.01))
    sampler, _ = sampler_of(monkeypatch, durations, PLAIN)
    sampler.round()
    latency = sampler.latency()
    assert max(latency.samples_ms) == pytest.approx(5000.0)
    assert (latency.columns()["outliers"], latency.details()["outliers"]) == (1, [2])


@pytest.mark.parametrize("seconds", [0.004, 1.0])
def test_a_long_call_is_sampled_one_by_one(monkeypatch: pytest.MonkeyPatch, seconds: float) -> None:
    how = Timing(seconds=0.0, min_samples=9, warmup_seconds=0.0)
    sampler, clock = sampler_of(monkeypatch, itertools.repeat(seconds), how)
    assert sampler.round().samples_ms == pytest.approx([seconds * 1e3] * 9)
    # One to learn how long it takes, one to warm up, nine samples.
    assert clock.calls == 11


def test_a_short_call_is_sampled_in_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    how = Timing(seconds=0.0, min_samples=5, warmup_seconds=0.0, block_seconds=0.002)
    sampler, clock = sampler_of(monkeypatch, itertools.repeat(0.25e-3), how)
    assert sampler.round().samples_ms == pytest.approx([0.25] * 5)
    assert clock.calls == 1 + 8 * (1 + 5)


def test_a_slow_first_call_is_no_sample(monkeypatch: pytest.MonkeyPatch) -> None:
    sampler, _ = sampler_of(monkeypatch, itertools.chain([30.0], itertools.repeat(0.001)), QUICK)
    assert sampler.round().samples_ms == pytest.approx([1.0] * 7)


STOPS: dict[str, tuple[float, float, int, str]] = {
    "a steady call by its interval": (0.0, 1.0, 7, "interval"),
    "a noisy call by the time": (0.5, 1.0, 100, "seconds"),
    "a noisy call that takes all the time by the number": (0.5, 0.1, 30, "samples"),
}


@pytest.mark.parametrize(("noise", "seconds", "about", "ended"), STOPS.values(), ids=STOPS)
def test_what_ends_the_samples(
    monkeypatch: pytest.MonkeyPatch, noise: float, seconds: float, about: int, ended: str
) -> None:
    how = Timing(seconds=seconds, min_samples=30 if ended == "samples" else 7, block_seconds=0.0)
    sampler, _ = sampler_of(monkeypatch, noisy(noise), how)
    assert sampler.round().ended == ended
    assert sampler.latency().stop == ended
    assert len(sampler.latency().samples_ms) == pytest.approx(about, rel=0.1)


def test_samples_go_on_until_the_interval_is_narrow(monkeypatch: pytest.MonkeyPatch) -> None:
    sampler, _ = sampler_of(monkeypatch, noisy(0.05), Timing(seconds=1e9, block_seconds=0.0))
    sampler.round()
    columns = sampler.latency().columns()
    assert columns["stop"] == "interval"
    assert 0 < (columns["latency_high_ms"] - columns["latency_low_ms"]) / 2 <= 0.01 * columns["latency_ms"]
    assert columns["samples"] > 30
    assert columns["latency_ms"] == pytest.approx(10.0, rel=0.02)


def test_warm_up_goes_on_until_times_are_stable(monkeypatch: pytest.MonkeyPatch) -> None:
    # Clocks rise: each call is faster than the last, down to 10 ms.
    rising = itertools.chain((0.01 * (1 + 2.0 ** -(i / 4)) for i in range(40)), itertools.repeat(0.01))
    how = Timing(seconds=0.0, warmup_seconds=0.05, block_seconds=0.0)
    sampler, _ = sampler_of(monkeypatch, rising, how)
    block = sampler.round()
    assert max(block.samples_ms) < 10.5
    assert sampler.latency().columns()["warmup_s"] > 0.1


def test_warm_up_ends_where_times_are_never_stable(monkeypatch: pytest.MonkeyPatch) -> None:
    how = Timing(seconds=0.0, warmup_seconds=0.04, block_seconds=0.0)
    sampler, _ = sampler_of(monkeypatch, (0.01 * 1.05**i for i in itertools.count()), how)
    sampler.round()
    # The call that learns the length comes before, and the last one ends after.
    assert 0.4 <= sampler.latency().columns()["warmup_s"] <= 0.45


def test_a_latency_is_made_of_all_rounds(monkeypatch: pytest.MonkeyPatch) -> None:
    drifting = itertools.chain([0.0, *[0.010] * 8, *[0.020] * 8], itertools.repeat(0.030))
    sampler, _ = sampler_of(monkeypatch, drifting, PLAIN)
    blocks = [sampler.round(least=7) for _ in range(3)]
    latency = sampler.latency()
    assert [block.samples_ms[0] for block in blocks] == pytest.approx([10.0, 20.0, 30.0])
    assert latency.samples_ms == pytest.approx([10.0] * 7 + [20.0] * 7 + [30.0] * 7)
    assert latency.details()["rounds"] == [7, 7, 7]
    # Each round was steady, and they differ.
    assert (latency.stop, latency.columns()["latency_ms"]) == ("rounds", pytest.approx(20.0))


def test_a_round_may_have_limits_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    sampler, _ = sampler_of(monkeypatch, noisy(0.5), Timing(seconds=9.0, block_seconds=0.0))
    assert len(sampler.round(seconds=0.5).samples_ms) == pytest.approx(50, rel=0.1)
    assert len(sampler.round(seconds=0.0, least=3).samples_ms) == 3


def test_without_a_round_there_is_no_latency() -> None:
    with pytest.raises(ValueError, match="at least one round of samples, got none"):
        Sampler(lambda: None, CPU, QUICK).latency()


THROTTLED: dict[str, tuple[list[int], int, int, bool]] = {
    # The throttle reasons of each reading; blocks kept and set aside; whether the row is tainted.
    "never": ([0, 0], 1, 0, False),
    "after the first": ([0, 4, 0, 0], 1, 1, False),
    "before the first": ([0x40, 0, 0, 0], 1, 1, False),
    "always": ([4, 4, 4, 4], 1, 1, True),
    "again after": ([0, 4, 0, 0x20], 1, 1, True),
}


@pytest.mark.parametrize(("bits", "kept", "aside", "tainted"), THROTTLED.values(), ids=THROTTLED)
def test_a_throttled_block_is_measured_once_more(
    monkeypatch: pytest.MonkeyPatch, bits: list[int], kept: int, aside: int, tainted: bool
) -> None:
    left = iter(bits)
    monkeypatch.setattr(nvml_module, "pynvml", Nvml(bits=left))
    durations = itertools.chain([0.0, 0.01], [0.01] * 7, itertools.repeat(0.02))
    sampler, _ = sampler_of(monkeypatch, durations, PLAIN, handled())
    sampler.round()
    latency = sampler.latency()
    assert (len(latency.blocks), len(latency.set_aside)) == (kept, aside)
    assert latency.columns()["tainted"] is tainted
    assert latency.columns()["latency_ms"] == pytest.approx(20.0 if aside else 10.0)
    assert [len(block) for block in latency.details()["set_aside_ms"]] == [7] * aside
    assert list(left) == []


def test_readings_are_columns_and_details(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(nvml_module, "pynvml", Nvml())
    sampler, _ = sampler_of(monkeypatch, itertools.repeat(0.01), PLAIN, handled())
    sampler.round()
    columns = sampler.latency().columns()
    assert {name: columns[name] for name in ("sm_mhz", "power_w", "throttle")} == {
        "sm_mhz": 1980,
        "power_w": 350.5,
        "throttle": "none",
    }
    assert sampler.latency().details()["telemetry"][0][1]["temperature_c"] == 40
    assert Block([1.0], "seconds").before == Reading()


@pytest.mark.parametrize(("device", "least"), [("cpu", 7), ("cuda", 30)])
def test_a_gpu_has_thirty_samples_at_the_least(device: str, least: int) -> None:
    assert Timing().least(torch.device(device)) == least
    assert Timing(min_samples=3).least(torch.device(device)) == 3


def test_a_sleep_takes_as_long_as_it_says() -> None:
    columns = measure(lambda: time.sleep(0.02), CPU, QUICK).columns()
    assert 20.0 <= columns["latency_p20_ms"] <= columns["latency_ms"] <= 30.0
    assert columns["samples"] == 7


@every_device
def test_twice_the_work_takes_longer(device: torch.device) -> None:
    a = torch.ones(512, 512, device=device)

    def work(times: int) -> Callable[[], None]:
        def multiply() -> None:
            for _ in range(times):
                torch.mm(a, a)

        return multiply

    # The least of the samples is what other load on the machine disturbs least.
    least = [min(measure(work(times), device, QUICK).samples_ms) for times in (2, 16)]
    assert least[1] > 2 * least[0] > 0


@pytest.mark.gpu
def test_a_hot_cache_is_not_slower() -> None:
    device = torch.device("cuda")
    a = torch.ones(2**20, device=device)
    cold, hot = (measure(a.sum, device, QUICK, cache).columns()["latency_ms"] for cache in ("cold", "hot"))
    assert hot < 1.1 * cold
