"""Peak memory of calls that take a known amount of it."""

from collections.abc import Callable

import psutil
import pytest
import torch

from bench.device import resources
from bench.device.resources import Memory, inputs_mib, unmeasurable, weigh
from kernels import free_bytes
from tests.support.bench_cases import CPU, every_device

MIB = 2**20
SIZE = 128 * MIB


def filled(size: int, device: torch.device) -> torch.Tensor:
    """A tensor of so many bytes, every page of it touched."""
    return torch.ones(size, dtype=torch.int8, device=device)


def two_at_once(device: torch.device) -> None:
    first = filled(SIZE // 2, device)
    second = filled(SIZE // 2, device)
    del first, second


def one_after_the_other(device: torch.device) -> None:
    for _ in range(3):
        filled(SIZE, device)


CALLS: dict[str, tuple[Callable[[torch.device], object], int]] = {
    "returned": (lambda device: filled(SIZE, device), SIZE),
    "freed before it returns": (two_at_once, SIZE),
    "one after the other": (one_after_the_other, SIZE),
    "nothing": (lambda _: None, 0),
}


@every_device
@pytest.mark.parametrize(("call", "expected"), CALLS.values(), ids=CALLS.keys())
def test_peak_of_a_known_size(device: torch.device, call: Callable[[torch.device], object], expected: int) -> None:
    reason = unmeasurable(device)
    if reason is not None:
        pytest.skip(reason)
    resident = filled(SIZE, device)
    # An earlier peak must not count.
    filled(2 * SIZE, device)
    assert weigh(lambda: call(device), device).peak == pytest.approx(expected, rel=0.2, abs=4 * MIB)
    assert resident.nbytes == SIZE


def test_why_it_cannot_be_measured(monkeypatch: pytest.MonkeyPatch) -> None:
    class Sealed:
        def write_text(self, text: str, encoding: str) -> None:
            raise PermissionError(f"no {text} in {encoding}")

    monkeypatch.setattr(resources, "_RESET", Sealed())
    reason = unmeasurable(CPU)
    assert reason is not None
    assert "cannot be reset: no 5" in reason
    assert unmeasurable(torch.device("cuda")) is None


@every_device
def test_free_memory_is_some_of_all(device: torch.device) -> None:
    total = psutil.virtual_memory().total if device.type == "cpu" else torch.cuda.mem_get_info(device)[1]
    assert 0 < free_bytes(device) <= total


def test_figures_in_mib() -> None:
    assert Memory(3 * MIB, 8 * MIB, None).columns() == {"peak_mib": 3.0, "reserved_mib": 8.0, "driver_mib": None}
    assert weigh(lambda: None, CPU).columns().keys() == {"peak_mib", "reserved_mib", "driver_mib"}


def test_inputs_that_share_their_storage_count_once() -> None:
    whole = torch.empty(MIB, dtype=torch.int8)
    assert inputs_mib([whole, whole[: MIB // 2], torch.empty(MIB // 4)]) == 2.0
    assert inputs_mib([]) == 0.0


@pytest.mark.gpu
def test_what_is_reserved_holds_what_is_taken() -> None:
    device = torch.device("cuda")
    resident = filled(SIZE, device)
    memory = weigh(lambda: filled(SIZE, device), device)
    assert memory.reserved is not None
    assert memory.reserved >= memory.peak + resident.nbytes >= 2 * SIZE
