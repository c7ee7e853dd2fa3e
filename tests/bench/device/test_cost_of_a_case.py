"""How many calls a case costs, and how long a GPU is waited for: with a clock that only a pretended GPU moves."""

from collections.abc import Iterator

import pytest
import torch

from bench.device import nvml as nvml_module
from bench.device.nvml import Telemetry
from bench.device.timers import Known
from bench.device.timing import Sampler, Timing
from bench.run.conduct import Conduct
from bench.samples import Latency, joined
from tests.support.gpu import Gpu, pretend
from tests.support.nvml import Nvml, handled

CUDA = torch.device("cuda")
# What `bench run` takes by default.
CONDUCT = Conduct(Timing(seconds=0.3))
SHORT = Conduct(Timing(seconds=0.05))


def rounds(
    gpu: Gpu, conduct: Conduct, cache: str = "cold", telemetry: Telemetry | None = None, *, capture: bool = True
) -> Latency:
    """The rounds of a case, each by a sampler of its own, as a worker takes them; only what is known is kept."""
    known, latencies = Known(), []
    for _ in range(conduct.rounds):
        timing, silent = conduct.round_timing(CUDA), Telemetry() if telemetry is None else telemetry
        sampler = Sampler(gpu.call, CUDA, timing, cache, capture=capture, telemetry=silent, known=known)
        sampler.round()
        latencies.append(sampler.latency())
    return joined(latencies)


def gpu_of(monkeypatch: pytest.MonkeyPatch, seconds: float, queueing_s: float = 0.0001) -> Gpu:
    gpu = pretend(monkeypatch, Gpu(int(2e9 * queueing_s), seconds * 1e3))
    gpu.device_s, gpu.queueing_s = seconds, queueing_s
    return gpu


COSTS = {
    # The call's seconds on the GPU and on the host; of the three rounds, the calls, the samples among them, and s.
    "30 ms": (0.03, 0.0005, CONDUCT, 40, 30, 1.3),
    "100 ms": (0.1, 0.0005, CONDUCT, 21, 15, 2.2),
    "1.3 s": (1.3, 0.0005, CONDUCT, 15, 9, 20.0),
    "1.3 s, of launches": (1.3, 1.3, CONDUCT, 13, 9, 34.0),
    "30 ms, in a shorter sweep": (0.03, 0.0005, SHORT, 19, 9, 0.6),
    "1.3 s, in a shorter sweep": (1.3, 0.0005, SHORT, 15, 9, 20.0),
}


@pytest.mark.parametrize("cache", ["cold", "hot"])
@pytest.mark.parametrize(("device", "host", "conduct", "calls", "samples", "most"), COSTS.values(), ids=COSTS)
def test_a_long_call_is_made_few_times(
    monkeypatch: pytest.MonkeyPatch,
    device: float,
    host: float,
    conduct: Conduct,
    calls: int,
    samples: int,
    most: float,
    cache: str,
) -> None:
    gpu = gpu_of(monkeypatch, device, host)
    latency = rounds(gpu, conduct, cache)
    assert (gpu.told.count("call"), len(latency.samples_ms)) == (calls, samples)
    assert gpu.now <= most
    assert latency.columns()["latency_low_ms"] is not None


def test_a_short_call_keeps_its_samples(monkeypatch: pytest.MonkeyPatch) -> None:
    gpu = gpu_of(monkeypatch, 0.001)
    assert len(rounds(gpu, CONDUCT).samples_ms) >= 30


def clocks(monkeypatch: pytest.MonkeyPatch, gpu: Gpu, up_after: float) -> list[float]:
    """A GPU whose clock is up after so many seconds of work; when it was looked at."""
    looked: list[float] = []

    class Rising(Nvml):
        def nvmlDeviceGetClockInfo(self, _: object, kind: int) -> int:  # noqa: N802
            looked.append(gpu.now)
            return 3201 if kind == self.NVML_CLOCK_MEM else 1900 if gpu.now >= up_after else 345

    monkeypatch.setattr(nvml_module, "pynvml", Rising())
    return looked


def test_warm_up_waits_for_the_clock(monkeypatch: pytest.MonkeyPatch) -> None:
    gpu = gpu_of(monkeypatch, 0.001)
    clocks(monkeypatch, gpu, 0.06)
    latency = rounds(gpu, Conduct(Timing(seconds=0.01), rounds=1), telemetry=handled())
    assert 0.06 <= latency.warmup_s <= 0.07
    assert latency.columns()["sm_mhz"] == 1900


def test_a_clock_that_stays_low_is_waited_for_three_times(monkeypatch: pytest.MonkeyPatch) -> None:
    gpu, telemetry = gpu_of(monkeypatch, 0.001), handled()
    clocks(monkeypatch, gpu, 1e9)
    warmups = [rounds(gpu, Conduct(Timing(seconds=0.01), rounds=1), telemetry=telemetry).warmup_s for _ in range(5)]
    assert [warmup >= 0.1 for warmup in warmups] == [True, True, True, False, False]
    assert max(warmups) < 0.12


def throttled_forever() -> Iterator[int]:
    while True:
        yield 0x04


def test_a_gpu_that_is_always_capped_is_paused_for_three_times(monkeypatch: pytest.MonkeyPatch) -> None:
    gpu, telemetry = gpu_of(monkeypatch, 0.001), handled()
    monkeypatch.setattr(nvml_module, "pynvml", Nvml(bits=throttled_forever()))
    found = [rounds(gpu, Conduct(Timing(seconds=0.01), rounds=1), telemetry=telemetry) for _ in range(5)]
    assert gpu.told.count("pause") == 3
    assert [len(one.set_aside) for one in found] == [1, 1, 1, 0, 0]
    assert [one.columns()["throttle"] for one in found] == ["power_cap"] * 3 + ["power_cap+not_retaken"] * 2
    assert all(one.columns()["tainted"] for one in found)
    assert joined(found).columns()["throttle"] == "power_cap+not_retaken"
