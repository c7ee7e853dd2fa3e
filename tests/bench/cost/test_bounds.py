"""The bounds against figures worked out by hand, and against the notes' table for an H200."""

from dataclasses import replace
from types import SimpleNamespace

import pytest
import torch

from bench.case.axes import MODES_OF
from bench.cost.bounds import KERNELS, MODES, Step, bounds_us, kernel_work, largest, mode_work
from bench.cost.chips import CHIPS, Chip, find_chip
from bench.cost.complexity import flops, min_bytes
from bench.device.device import chip_of
from kernels import Problem
from tests.support.bench_cases import CPU, problem

H200 = CHIPS["H200 SXM"]
STAGES = {
    (100, 56): (42.0, 30.6, 98, 0.94),
    (200, 28): (20.2, 14.7, 47, 0.88),
    (400, 14): (10.1, 7.3, 24, 0.77),
    (800, 7): (5.0, 3.7, 12, 0.57),
}


def stage(channels: int, size: int, **changes: object) -> Problem:
    """A stage of LR-Net-50 in bfloat16 with 64 images."""
    sizes = {"batch": 64, "channels": channels, "height": size, "width": size, "kernel_size": 7, "m": 8, "padding": 3}
    return problem(**{**sizes, "dtype": "bfloat16", **changes})


@pytest.mark.parametrize(
    ("chip", "tflops"),
    [
        ("A100 SXM 80GB", 19.5),
        ("H100 SXM", 67),
        ("H200 SXM", 67),
        ("B200", 75),
        ("L40S", 91.6),
        ("RTX 4090", 82.6),
        ("RTX 5090", 104.8),
    ],
)
def test_chips_reach_the_float32_rate_of_their_data_sheets(chip: str, tflops: float) -> None:
    one = CHIPS[chip]
    assert 2 * one.per_us(one.units.fp32) / 1e6 == pytest.approx(tflops, rel=0.01)


@pytest.mark.parametrize(("chip", "tflops"), [("A100 SXM 80GB", 9.7), ("H200 SXM", 34), ("B200", 37)])
def test_chips_reach_the_float64_rate_of_their_data_sheets(chip: str, tflops: float) -> None:
    one = CHIPS[chip]
    assert 2 * one.per_us(one.units.fp64) / 1e6 == pytest.approx(tflops, rel=0.02)


def test_a_chip_is_found_by_its_whole_name() -> None:
    assert find_chip("NVIDIA H200") is H200
    assert (H200.architecture, CHIPS["B200"].architecture) == ("sm_90", "sm_100")
    assert find_chip("NVIDIA H200 MIG 1g.18gb") is None
    assert find_chip("NVIDIA H100 PCIe") is None


def test_an_unknown_capability_is_refused() -> None:
    with pytest.raises(ValueError, match=r"got \(7, 0\)"):
        replace(H200, capability=(7, 0))


def properties(**changes: object) -> SimpleNamespace:
    """What the driver tells of an unknown GPU of Ada's kind."""
    told = {
        "name": "NVIDIA L4",
        "major": 8,
        "minor": 9,
        "multi_processor_count": 58,
        "clock_rate": 2_040_000,
        "memory_clock_rate": 6_251_000,
        "memory_bus_width": 192,
        "L2_cache_size": 48 * 2**20,
    }
    return SimpleNamespace(**{**told, **changes})


def test_the_chip_of_a_device(monkeypatch: pytest.MonkeyPatch) -> None:
    def asked(**changes: object) -> Chip | None:
        monkeypatch.setattr(torch.cuda, "get_device_properties", lambda _: properties(**changes))
        return chip_of(torch.device("cuda"))

    assert chip_of(CPU) is None
    assert asked(name="NVIDIA H200") is H200
    unknown = asked()
    assert unknown is not None
    assert (unknown.name, unknown.multiprocessors, unknown.clock_ghz) == ("NVIDIA L4", 58, 2.04)
    assert unknown.dram_tbps == pytest.approx(0.300, rel=0.001)
    assert asked(memory_clock_rate=0) is None
    assert asked(major=7, minor=5) is None


@pytest.mark.parametrize(("channels", "size"), STAGES)
def test_bounds_are_those_of_the_notes(channels: int, size: int) -> None:
    # The notes count 13 whole groups at C = 100, and issue 25.75 instructions per tap, which a compiler made.
    fp32, exp, issue, inside = STAGES[channels, size]
    bounds = bounds_us(mode_work(stage(channels, size, padding_mode="zeros"), "forward"), H200)
    assert bounds["fp32"] == pytest.approx(fp32, rel=0.03)
    assert bounds["exp"] == pytest.approx(exp, rel=0.02)
    masked = bounds_us(mode_work(stage(channels, size), "forward"), H200)
    assert masked["fp32"] == pytest.approx(inside * bounds["fp32"], rel=0.01)
    assert masked["exp"] == pytest.approx(inside * bounds["exp"], rel=0.01)
    assert 0.75 * issue < bounds["issue"] < issue
    assert largest(bounds) == "issue"
    assert bounds["memory"] == pytest.approx(min_bytes(stage(channels, size), "operator", "forward") / 4.8e6)


def test_instructions_of_a_tap_by_hand() -> None:
    posed = stage(200, 28, padding_mode="zeros")
    taps = 64 * 28 * 28 * 49 * 25
    # Ten columns serve 28 taps: value 8 conversions and a load, key a conversion and a load, four more.
    columns = 15 * 10 / 28
    assert kernel_work(posed, "forward").instructions / taps == pytest.approx(
        8 + 5 + columns + 1 / 4 + (8 + 4) / 7 + (2 + 9 + 5) / 49
    )
    assert kernel_work(posed, "query").instructions / taps == pytest.approx(
        8 + 6 + columns + 1 / 4 + (11 + 18 + 2) / 49
    )
    assert kernel_work(posed, "key").instructions / taps == pytest.approx(
        16 + 5 + 17 * 10 / 28 + 1 / 4 + (1 + 9 + 2 + 5) / 49
    )


@pytest.mark.parametrize(
    ("changes", "more"),
    [
        ({"composability": "squared_difference"}, 1),
        ({"prior": False}, -1 / 4),
        # Nine conversions and ten columns for 28 taps; two more loads of the value, one conversion of the query, and
        # one more store for four packings less.
        ({"dtype": "float32"}, (1 - 9) * 10 / 28 - (1 + 4 - 1) / 49),
        ({"dilation": 2, "padding": 6}, 15 * (16 - 10) / 28),
    ],
    ids=str,
)
def test_what_an_option_costs_forward(changes: dict[str, object], more: float) -> None:
    taps = 64 * 28 * 28 * 49 * 25
    plain, other = (
        kernel_work(stage(200, 28, padding_mode="zeros", **some), "forward").instructions / taps
        for some in ({}, changes)
    )
    assert other - plain == pytest.approx(more)


def test_a_masked_tap_costs_a_select_forward_and_on_the_query_side() -> None:
    # A window that no border cuts: the taps are the same.
    posed = stage(200, 28, padding=0)
    taps = 64 * 22 * 22 * 49 * 25
    for name, more in (("forward", 1), ("query", 1), ("key", 0)):
        masked, zeros = (
            kernel_work(replace(posed, padding_mode=mode), name).instructions / taps for mode in ("mask", "zeros")
        )
        assert masked - zeros == pytest.approx(more)


def test_a_smaller_last_group_costs_less() -> None:
    whole, part = (kernel_work(stage(channels, 28), "forward").instructions for channels in (104, 100))
    assert 12 / 13 * whole < part < whole
    assert kernel_work(stage(5, 7), "forward") == kernel_work(stage(5, 7, m=5), "forward")


def test_a_step_counts_loads_of_sixteen_bytes() -> None:
    assert Step(vectors=1).instructions(8, 4) == 2
    assert Step(vectors=1).instructions(9, 2) == 2 + 9
    assert Step(scalars=1).instructions(9, 8) == 1
    assert Step(stores=1).instructions(8, 2) == 1 + 4


@pytest.mark.parametrize("mode", MODES_OF["operator"])
@pytest.mark.parametrize("composability", ["multiplication", "squared_difference"])
def test_modes_have_the_operations_and_bytes_of_the_operator(mode: str, composability: str) -> None:
    posed = problem(stride=2, composability=composability, padding_mode="zeros")
    work = mode_work(posed, mode)
    assert work.fp32 == flops(posed, "operator", mode) / 2
    assert work.bytes == min_bytes(posed, "operator", mode)
    assert work.instructions == sum(kernel_work(posed, name).instructions for name in MODES[mode])


def test_bytes_of_the_kernels() -> None:
    posed = problem(dtype="bfloat16", stride=2)
    assert kernel_work(posed, "forward").bytes == min_bytes(posed, "operator", "forward")
    # 3×2 output pixels of 5×4, 2 groups, 6 channels, 2 images: query 24, key 80, value 240, prior 18, output 72.
    assert kernel_work(posed, "query").bytes == 2 * (24 + 80 + 240 + 18 + 2 * 72 + 24 + 18) + 2 * 4 * 24
    assert kernel_work(posed, "key").bytes == 2 * (24 + 80 + 240 + 18 + 72 + 80 + 240) + 2 * 4 * 24


def test_float64_has_its_own_pipe_and_no_exponential() -> None:
    posed = stage(200, 28)
    single, double = (bounds_us(mode_work(replace(posed, dtype=d), "forward"), H200) for d in ("float32", "float64"))
    assert set(double) == {"memory", "fp64", "exp", "issue"}
    assert double["fp64"] == pytest.approx(2 * single["fp32"])
    assert double["exp"] == 0


def test_the_largest_bound_decides() -> None:
    assert largest({"memory": 1.0, "fp32": 3.0, "exp": 2.0, "issue": 0.5}) == "fp32"
    assert set(KERNELS) == {name for names in MODES.values() for name in names}
