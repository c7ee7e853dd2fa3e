"""What is read of a GPU whose NVML is pretended: by UUID, with nothing made up where NVML is silent."""

from collections.abc import Iterator
from types import SimpleNamespace

import pytest
import torch

from bench.device import nvml as nvml_module
from bench.device import resources
from bench.device.nvml import Telemetry, neighbours, telemetry_of
from bench.device.resources import energy_per_call_mj
from bench.samples import Reading, summary
from tests.support.bench_cases import CPU
from tests.support.nvml import HANDLED, Nvml, process

CUDA = torch.device("cuda")


@pytest.fixture(autouse=True)
def afresh() -> Iterator[None]:
    """What was found of a device is kept: not across tests."""
    telemetry_of.cache_clear()
    yield
    telemetry_of.cache_clear()


def pretend(monkeypatch: pytest.MonkeyPatch, nvml: Nvml, uuid: str = "8f3c") -> None:
    """An NVML, and a GPU of that UUID."""
    monkeypatch.setattr(nvml_module, "pynvml", nvml)
    monkeypatch.setattr(torch.cuda, "get_device_properties", lambda _: SimpleNamespace(uuid=uuid))


def test_a_reading(monkeypatch: pytest.MonkeyPatch) -> None:
    pretend(monkeypatch, Nvml(bits=iter([0x01 | 0x04 | 0x40])))
    assert telemetry_of(CUDA).read() == Reading(1980, 3201, 40, 350.5, ("power_cap", "hw_thermal"))


@pytest.mark.parametrize(("bits", "throttled"), [(0, False), (0x01, False), (0x02, False), (0x10, False), (0x04, True)])
def test_idle_and_set_clocks_are_no_throttling(monkeypatch: pytest.MonkeyPatch, bits: int, throttled: bool) -> None:
    pretend(monkeypatch, Nvml(bits=iter([bits])))
    assert telemetry_of(CUDA).read().throttled is throttled


def test_an_older_driver_is_asked_by_the_older_name(monkeypatch: pytest.MonkeyPatch) -> None:
    pretend(monkeypatch, Nvml(new_bits=None, old_bits=0x20))
    assert telemetry_of(CUDA).read().throttle == ("sw_thermal",)


def test_what_a_model_does_not_support_is_empty(monkeypatch: pytest.MonkeyPatch) -> None:
    pretend(monkeypatch, Nvml(clocks=None, temperature=None, power=None, energy=None))
    assert telemetry_of(CUDA).read() == Reading(throttle=())
    assert telemetry_of(CUDA).energy_mj() is None


@pytest.mark.parametrize("uuid", ["GPU-8f3c", "MIG-8f3c"])
@pytest.mark.parametrize("torch_says", ["8f3c", "whole"])
def test_the_gpu_is_found_by_its_uuid(monkeypatch: pytest.MonkeyPatch, uuid: str, torch_says: str) -> None:
    pretend(monkeypatch, Nvml(uuid=uuid), uuid if torch_says == "whole" else torch_says)
    assert telemetry_of(CUDA) == HANDLED


def test_another_gpu_is_not_taken_for_it(monkeypatch: pytest.MonkeyPatch) -> None:
    pretend(monkeypatch, Nvml(), "another")
    found = telemetry_of(CUDA)
    assert found.absent == ("NVML does not know the GPU (GPU-another: Not Found; MIG-another: Not Found)")
    assert found.read() == Reading()


def test_without_nvml_it_says_why(monkeypatch: pytest.MonkeyPatch) -> None:
    pretend(monkeypatch, Nvml(init=None))
    found = telemetry_of(CUDA)
    assert found.absent == "NVML cannot be loaded: Not Supported"
    assert (found.read(), found.energy_mj(), found.process_bytes(), found.processes()) == (Reading(), None, None, [])
    assert nvml_module.gpu_state(found) == {"driver": None, "telemetry_absent": found.absent}
    assert telemetry_of(CPU).absent == "NVML tells of GPUs alone"


def test_a_row_has_the_worst_of_its_readings() -> None:
    readings = [Reading(1980, 3201, 40, 300.0, ()), Reading(1500, 3201, 61, 690.0, ("power_cap",)), Reading()]
    assert summary(readings) == {
        "sm_mhz": 1500,
        "memory_mhz": 3201,
        "temperature_c": 61,
        "power_w": 690.0,
        "throttle": "power_cap",
    }
    assert summary([Reading(throttle=())])["throttle"] == "none"
    assert set(summary([Reading()]).values()) == set(summary([]).values()) == {None}


def test_this_process_and_its_neighbours(monkeypatch: pytest.MonkeyPatch) -> None:
    pretend(monkeypatch, Nvml(processes=[process(mib=512), process(1, 100), process(1, 100), process(2, None)]))
    found = telemetry_of(CUDA)
    assert found.process_bytes() == 512 * 2**20
    assert neighbours(found) == [{"pid": 1, "mib": 100.0}, {"pid": 2, "mib": None}]
    assert nvml_module.gpu_state(found)["driver_mib_unknown"] is None


def test_a_process_that_the_driver_does_not_list(monkeypatch: pytest.MonkeyPatch) -> None:
    pretend(monkeypatch, Nvml(processes=[process(1)]))
    state = nvml_module.gpu_state(telemetry_of(CUDA))
    assert telemetry_of(CUDA).process_bytes() is None
    assert state["driver_mib_unknown"] == "the driver lists this process under no number of ours"
    assert state["neighbours"] == [{"pid": 1, "mib": 512.0}]
    assert (state["power_limit_w"], state["power_limits_w"]) == (700.0, [200.0, 700.0])
    assert (state["ecc"], state["mig"], state["persistence_mode"]) == (True, False, True)
    assert state["set_clocks_mhz"] == {"sm": None, "memory": None}


def test_energy_is_spread_over_the_calls_of_a_window(monkeypatch: pytest.MonkeyPatch) -> None:
    nvml, now = Nvml(), [0.0]
    pretend(monkeypatch, nvml)
    monkeypatch.setattr(resources, "time", SimpleNamespace(perf_counter=lambda: now[0]))
    monkeypatch.setattr(torch.cuda, "synchronize", lambda _: None)

    def call() -> None:
        now[0] += 0.01
        nvml.energy += 7.0

    assert energy_per_call_mj(call, CUDA, telemetry_of(CUDA)) == pytest.approx(7.0)
    assert now[0] >= resources.WINDOW_SECONDS
    assert energy_per_call_mj(call, CUDA, Telemetry(absent="none here")) is None


def test_power_is_of_the_instant_where_the_gpu_tells_it(monkeypatch: pytest.MonkeyPatch) -> None:
    pretend(monkeypatch, Nvml(instant_power=611_250))
    assert telemetry_of(CUDA).read().power_w == 611.25
    assert nvml_module.gpu_state(telemetry_of(CUDA))["power_reading"] == "instant"


@pytest.mark.parametrize(("power", "said"), [(350_500, "mean of a second"), (None, None)])
def test_power_that_is_a_mean_is_called_so(
    monkeypatch: pytest.MonkeyPatch, power: int | None, said: str | None
) -> None:
    pretend(monkeypatch, Nvml(power=power))
    assert telemetry_of(CUDA).read().power_w == (None if power is None else 350.5)
    assert nvml_module.gpu_state(telemetry_of(CUDA))["power_reading"] == said


@pytest.mark.gpu
def test_a_real_gpu_is_known_or_nvml_says_why() -> None:
    found = telemetry_of(torch.device("cuda", 0))
    assert (found.handle is None) is (found.absent is not None)
    clock = found.read().sm_mhz
    assert clock is None or 0 < clock < 10_000
