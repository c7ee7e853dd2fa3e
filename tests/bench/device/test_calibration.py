"""What the doctor found: kept per device, and believed where it is plausible."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch

from bench.cost.bounds import Work, bounds_us
from bench.cost.chips import CHIPS
from bench.device import calibration as diagnosis
from bench.device import device as devices
from bench.device.calibration import bounding_chip, keep, kept, path_of, rates_of, summary, with_roofs
from bench.device.environment import describe
from tests.support.bench_cases import CPU

H200 = CHIPS["H200 SXM"]
CUDA = torch.device("cuda")
FOUND: dict[str, Any] = {"measured": "2026-11-22T10:00:00+00:00", "noise_floor": 0.0123, "roofs": {}}


@pytest.fixture
def h200(monkeypatch: pytest.MonkeyPatch) -> None:
    """A GPU that is an H200 by its name."""
    properties = SimpleNamespace(
        name=H200.device_name, uuid="8f3c", major=9, minor=0, clock_rate=1, memory_clock_rate=1, memory_bus_width=1
    )
    for module in (diagnosis, devices):
        monkeypatch.setattr(
            module, "torch", SimpleNamespace(cuda=SimpleNamespace(get_device_properties=lambda _: properties))
        )


def test_what_is_kept_is_found_again() -> None:
    assert kept(CPU) is None
    path = keep(CPU, FOUND)
    assert (path, path.parent.name) == (path_of(CPU), "local-relation")
    assert kept(CPU) == {"format": 1, **FOUND}
    keep(CPU, {**FOUND, "noise_floor": 0.5})
    assert [file.name for file in path.parent.iterdir() if file.is_file()] == [path.name]
    assert describe(CPU, [])["doctor"]["noise_floor"] == 0.5


@pytest.mark.usefixtures("h200")
def test_a_gpu_is_told_by_its_uuid() -> None:
    assert path_of(CUDA).name == "doctor-cuda-8f3c.json"


@pytest.mark.parametrize("text", ["{", "[]", "{}", '{"format": 99}'])
def test_what_cannot_be_read_is_named_and_left(text: str) -> None:
    path = keep(CPU, FOUND)
    path.write_text(text, encoding="utf-8")
    with pytest.warns(UserWarning, match=r"doctor-cpu-.*is not used.*makes it anew"):
        assert kept(CPU) is None
    assert path.read_text(encoding="utf-8") == text


def test_measured_roofs_move_the_bounds() -> None:
    work = Work(bytes=1e6, fp32=1e6, exps=1e6, instructions=1e6)
    sheet = rates_of(H200)
    chip, sources = with_roofs(
        H200, {"copy": 0.9 * sheet["copy"], "fma": 0.8 * sheet["fma"], "exp": 0.5 * sheet["exp"]}
    )
    assert sources == {"copy": "measured", "fma": "measured", "exp": "measured"}
    before, after = bounds_us(work, H200), bounds_us(work, chip)
    slower = {name: after[name] / before[name] for name in before}
    assert slower == pytest.approx({"memory": 1 / 0.9, "fp32": 1 / 0.8, "exp": 1 / 0.5, "issue": 1 / 0.8})


@pytest.mark.parametrize("share", [0.1, 1.2])
def test_roofs_that_cannot_be_are_left_out(share: float) -> None:
    chip, sources = with_roofs(H200, {name: share * rate for name, rate in rates_of(H200).items()})
    assert rates_of(chip) == pytest.approx(rates_of(H200))
    assert set(sources.values()) == {"data sheet"}


def test_a_clock_that_was_measured_does_not_change_the_data_sheets_exponentials() -> None:
    chip, sources = with_roofs(H200, {"fma": 0.8 * rates_of(H200)["fma"]})
    assert sources == {"copy": "data sheet", "fma": "measured", "exp": "data sheet"}
    assert rates_of(chip)["exp"] == pytest.approx(rates_of(H200)["exp"])


@pytest.mark.usefixtures("h200")
def test_a_gpu_is_bounded_by_what_was_measured_of_it() -> None:
    assert bounding_chip(CUDA)[1] == dict.fromkeys(("copy", "fma", "exp"), "data sheet")
    assert summary(CUDA).startswith("doctor: not run on this device")
    keep(CUDA, {**FOUND, "roofs": {"copy": 4.2e12}})
    chip, _ = bounding_chip(CUDA)
    assert chip is not None
    assert chip.dram_tbps == pytest.approx(4.2)
    assert summary(CUDA) == (
        "doctor: of 2026-11-22T10:00:00+00:00, noise floor 1.2%; roofs: copy measured, fma data sheet, exp data sheet"
    )


def test_a_cpu_has_no_bounds(tmp_path: Path) -> None:
    keep(CPU, {**FOUND, "noise_floor": None})
    assert bounding_chip(CPU) == (None, {})
    assert summary(CPU) == "doctor: of 2026-11-22T10:00:00+00:00, the noise floor is not known"
    assert list(tmp_path.iterdir()) == []
