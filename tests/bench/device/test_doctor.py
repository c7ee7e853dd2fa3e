"""The doctor on this machine for real, its verdicts on GPUs that are pretended, its kernels in the interpreter."""

import json
from collections import defaultdict
from contextlib import nullcontext
from types import SimpleNamespace
from typing import Any

import pytest
import torch

from bench.cost.chips import CHIPS
from bench.device import doctor, roof_kernels, roofs
from bench.device import nvml as nvml_module
from bench.device.calibration import path_of, rates_of
from bench.device.device import chip_of
from bench.device.doctor import CHECKS, Check, Examination, noise_floor
from bench.device.nvml import Telemetry
from bench.device.roof_kernels import exponential_kernel, multiply_add_kernel
from bench.device.roofs import ROOFS, Roof
from bench.device.timers import Call
from bench.device.timing import Timing
from bench.samples import Block, Latency
from tests.support.bench_cases import CPU
from tests.support.in_process import Invoke
from tests.support.nvml import HANDLED, Nvml, process

CUDA = torch.device("cuda")
H200 = CHIPS["H200 SXM"]


def nothing(_: torch.device) -> Call:
    """A call that does nothing."""
    return lambda: None


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Measurements of a few samples."""
    short = Timing(seconds=0.0, warmup_seconds=0.0)
    for module, name in ((doctor, "_TIMING"), (doctor, "_NOISE_TIMING"), (roofs, "_TIMING")):
        monkeypatch.setattr(module, name, short)
    monkeypatch.setattr(noise_floor, "__defaults__", (2,))


@pytest.mark.usefixtures("quick")
def test_the_command_examines_this_machine(invoke: Invoke) -> None:
    code, out, error = invoke("doctor", "--device", "cpu")
    found = json.loads(path_of(CPU).read_text(encoding="utf-8"))
    verdicts = [check["verdict"] for check in found["checks"]]
    assert (code, error) == (int("FAIL" in verdicts), "")
    assert [check["name"] for check in found["checks"]] == ["others", "timer", "copy", "fma", "exp", "clocks", "noise"]
    assert set(verdicts) <= {"PASS", "WARN", "FAIL"}
    # Neither a tape drive nor a supercomputer.
    assert 1e8 < found["roofs"]["copy"] < 1e13
    assert all(1e6 < found["roofs"][name] < 1e14 for name in ("fma", "exp"))
    assert 0 <= found["noise_floor"] < 100
    for check in found["checks"]:
        assert f"{check['verdict']} {check['name']}: {check['found']}" in out
    assert out.count("→ ") == len(verdicts) - verdicts.count("PASS")
    assert all(f"→ {check['advice']}" in out for check in found["checks"] if check["verdict"] != "PASS")


def test_a_device_that_is_not_here(invoke: Invoke) -> None:
    code, out, error = invoke("doctor", "--device", "tpu")
    assert (code, out) == (2, "")
    assert "'tpu'" in error


def test_a_check_that_breaks_has_failed_and_the_others_go_on(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(_: Examination) -> Check:
        raise ZeroDivisionError("no such thing\nand more")

    monkeypatch.setattr(
        doctor, "CHECKS", {"one": broken, "none": lambda _: None, "two": lambda _: Check("two", "PASS", "")}
    )
    examination = Examination(CPU, nothing)
    assert [(check.name, check.verdict) for check in examination.run()] == [("one", "FAIL"), ("two", "PASS")]
    assert examination.checks[0].found == "ZeroDivisionError: no such thing"
    assert examination.calibration()["noise_floor"] is None


def test_the_noise_floor_is_the_largest_difference(monkeypatch: pytest.MonkeyPatch) -> None:
    medians = iter([10.0, 10.1, 10.0, 9.6, 10.0, 10.0])
    order: list[int] = []

    class Side:
        def __init__(self, *_: Any, capture: bool) -> None:
            assert not capture
            self.median, self.number = next(medians), len(order)

        def round(self) -> None:
            order.append(self.number)

        def latency(self) -> SimpleNamespace:
            return SimpleNamespace(samples_ms=[self.median] * 3)

    monkeypatch.setattr(doctor, "Sampler", Side)
    assert noise_floor(lambda: None, CPU, pairs=3) == pytest.approx(0.04)
    assert len(order) == 3 * 2 * 3


def pretend(monkeypatch: pytest.MonkeyPatch, told: Telemetry, nvml: Nvml, rate: float = 1.0) -> Examination:
    """An H200 that reaches so much of its data sheet's rates."""
    monkeypatch.setattr(nvml_module, "pynvml", nvml)
    monkeypatch.setattr(doctor, "telemetry_of", lambda _: told)
    monkeypatch.setattr(doctor, "chip_of", lambda _: H200)

    def measured(name: str) -> Any:
        latency = Latency([Block([1.0] * 9, "interval", told.read(), told.read())])
        return lambda _: SimpleNamespace(
            measured=lambda _: (rate * rates_of(H200)[name], latency), unit="/s", summary="a roof"
        )

    monkeypatch.setattr(doctor, "ROOFS", {name: measured(name) for name in ROOFS})
    return Examination(CUDA, nothing)


ABSENT = Telemetry(absent="NVML cannot be loaded: no library")
VERDICTS: dict[str, tuple[str, Telemetry, dict[str, Any], float, str, str]] = {
    "alone": ("others", HANDLED, {}, 1.0, "PASS", "nobody else is on the GPU"),
    "a neighbour": ("others", HANDLED, {"processes": [process(7)]}, 1.0, "WARN", "process 7"),
    "neighbours unknown": ("others", ABSENT, {}, 1.0, "WARN", "not known without NVML"),
    "nvml": ("nvml", HANDLED, {}, 1.0, "PASS", "SM at 1980 MHz, 40 °C, 350 W"),
    "nvml in part": ("nvml", HANDLED, {"power": None}, 1.0, "WARN", "not told: power_w"),
    "no nvml": ("nvml", ABSENT, {}, 1.0, "WARN", "NVML cannot be loaded: no library"),
    "a good roof": ("copy", HANDLED, {}, 0.9, "PASS", "90% of the data sheet"),
    "a low roof": ("fma", HANDLED, {}, 0.5, "WARN", "50% of the data sheet"),
    "an impossible roof": ("exp", HANDLED, {}, 1.2, "FAIL", "120% of the data sheet"),
    "clocks": ("clocks", HANDLED, {}, 1.0, "PASS", "SM at 1980 MHz under load, throttled by: none"),
    "low clocks": ("clocks", HANDLED, {"clocks": {1: 1000, 2: 3201}}, 1.0, "WARN", "SM at 1000 MHz"),
    "throttled": ("clocks", HANDLED, {"new_bits": 4}, 1.0, "WARN", "throttled by: power_cap"),
    "clocks unknown": ("clocks", ABSENT, {}, 1.0, "WARN", "not known without NVML"),
    "clocks not told": ("clocks", HANDLED, {"clocks": None}, 1.0, "PASS", "SM at None MHz"),
}


@pytest.mark.parametrize(("name", "told", "answers", "rate", "verdict", "found"), VERDICTS.values(), ids=VERDICTS)
def test_verdicts_on_a_gpu(
    monkeypatch: pytest.MonkeyPatch,
    name: str,
    told: Telemetry,
    answers: dict[str, Any],
    rate: float,
    verdict: str,
    found: str,
) -> None:
    examination = pretend(monkeypatch, told, Nvml(**answers), rate)
    check = CHECKS[name](examination)
    assert check is not None
    assert (check.name, check.verdict) == (name, verdict)
    assert found in check.found
    assert bool(check.advice) is (verdict != "PASS")
    assert examination.roofs == ({name: rate * rates_of(H200)[name]} if name in ROOFS else {})


@pytest.mark.parametrize(
    ("timers", "verdict"),
    [
        ([("events", 0.004), ("graph", 0.002)], "PASS"),
        ([("events", 0.05), ("graph", 0.002)], "WARN"),
        ([("events", 0.004), ("events", 0.004)], "WARN"),
    ],
)
def test_the_timer_on_a_gpu(monkeypatch: pytest.MonkeyPatch, timers: list[tuple[str, float]], verdict: str) -> None:
    def measured(*_: Any, capture: bool) -> Latency:
        timer, latency_ms = timers[capture]
        return Latency([Block([latency_ms] * 9, "interval")], timer=timer)

    monkeypatch.setattr(doctor, "measure", measured)
    monkeypatch.setattr(doctor, "empty_call", lambda _: lambda: None)
    check = CHECKS["timer"](Examination(CUDA, nothing))
    assert check is not None
    assert check.verdict == verdict


@pytest.mark.parametrize(("busy", "verdict"), [(5.0, "PASS"), (50.0, "WARN"), (95.0, "FAIL")])
def test_a_busy_cpu(monkeypatch: pytest.MonkeyPatch, busy: float, verdict: str) -> None:
    monkeypatch.setattr(doctor, "psutil", SimpleNamespace(cpu_percent=lambda **_: busy))
    check = CHECKS["others"](Examination(CPU, nothing))
    assert check is not None
    assert check.verdict == verdict


@pytest.mark.parametrize(("governor", "verdict"), [("performance", "PASS"), ("powersave", "WARN"), (None, "WARN")])
def test_the_governor(monkeypatch: pytest.MonkeyPatch, governor: str | None, verdict: str) -> None:
    monkeypatch.setattr(doctor, "governor", lambda: governor)
    check = CHECKS["clocks"](Examination(CPU, nothing))
    assert check is not None
    assert check.verdict == verdict


def test_a_rate_is_an_amount_over_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(roofs, "measure", lambda *_: Latency([Block([2.0] * 9, "interval")]))
    assert Roof(lambda: None, 1e6, "B/s", "").measured(CPU)[0] == pytest.approx(5e8)


def test_kernels_compute_what_they_are_counted_for() -> None:
    device = CUDA if torch.cuda.is_available() else CPU
    x = torch.arange(32, dtype=torch.float64)
    out = torch.empty(32, device=device)
    multiply_add_kernel[(2,)](out, 0.5, 0.25, 2, BLOCK=16, UNROLL=3)
    for _ in range(6):
        x = x * 0.5 + 0.25
    torch.testing.assert_close(out.cpu().double(), x, rtol=1e-6, atol=1e-6)
    x = torch.arange(32, dtype=torch.float64)
    exponential_kernel[(2,)](out, 2, BLOCK=16, UNROLL=3)
    for _ in range(6):
        x = torch.exp2(-x)
    torch.testing.assert_close(out.cpu().double(), x, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("name", ["fma", "exp", "empty"])
def test_products_and_sums_stay_one_instruction(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Triton 3.9 asks whether they may, 3.10 takes them apart if nobody says so."""
    launched: list[dict[str, Any]] = []
    kernel: dict[Any, Any] = defaultdict(lambda: lambda *_, **options: launched.append(options))
    for one in ("multiply_add_kernel", "exponential_kernel", "empty_kernel"):
        monkeypatch.setattr(roof_kernels, one, kernel)
    monkeypatch.setattr(torch.cuda, "get_device_properties", lambda _: SimpleNamespace(multi_processor_count=2))
    monkeypatch.setattr(torch.cuda, "device", lambda _: nullcontext())
    monkeypatch.setattr(torch, "empty", lambda *_, **__: None)
    roofs.empty_call(CUDA) if name == "empty" else ROOFS[name](CUDA)
    assert [options["enable_fp_fusion"] for options in launched] == [True]


@pytest.mark.gpu
def test_roofs_of_a_gpu_are_below_its_data_sheet() -> None:
    chip = chip_of(CUDA)
    for name, make in ROOFS.items():
        rate, _ = make(CUDA).measured(CUDA)
        assert rate > 1e9
        assert chip is None or rate <= 1.05 * rates_of(chip)[name]
