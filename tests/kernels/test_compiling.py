"""Compiling without a GPU: with the launcher's own arguments, by the real compiler, leaving no trace."""

import inspect
from dataclasses import replace
from typing import Any, NamedTuple

import pytest
import torch
from torch import Tensor

pytest.importorskip("triton")

from triton.runtime import driver

from bench.processes import spread
from kernels import Problem, compile_fused
from kernels.implementations.triton_fused import launch, plans, pretended
from kernels.implementations.triton_fused.compiling import launch_arguments
from kernels.implementations.triton_fused.geometry import geometry_of
from kernels.implementations.triton_fused.settings import KERNELS, Kernel, heuristic
from kernels.tensors import accumulation_dtype
from tests.support.not_compiled import CPU, binary

SMALL = Problem(batch=2, channels=12, height=5, width=6, kernel_size=3, m=4, padding=1, dtype="bfloat16")
PROBLEMS = {
    "small": SMALL,
    "strided": replace(SMALL, stride=2, dtype="float16"),
    "sliced": replace(SMALL, channels=40, m=20),
    "double": replace(SMALL, dtype="float64"),
    "without prior": replace(SMALL, prior=False, dtype="float32"),
}


class Launch(NamedTuple):
    """What a kernel was launched with."""

    grid: tuple[int, int, int]
    arguments: dict[str, Any]
    options: dict[str, Any]


class Recorder:
    """Stands in for a kernel and keeps its launch."""

    def __init__(self, kernel: Any) -> None:
        self.signature = inspect.signature(kernel.fn)
        self.arg_names = kernel.arg_names
        self.launched: Launch | None = None

    def __getitem__(self, grid: tuple[int, int, int]) -> Any:
        def run(*arguments: Any, **options: Any) -> None:
            bound = self.signature.bind(*arguments).arguments
            found = {name: value.dtype if isinstance(value, Tensor) else value for name, value in bound.items()}
            self.launched = Launch(grid, found, options)

        return run


def launched(kernel: Kernel, problem: Problem, monkeypatch: pytest.MonkeyPatch) -> Launch:
    """The launch of a kernel by the launcher, on empty tensors of the problem."""
    recorder = Recorder(plans.KERNELS[kernel])
    monkeypatch.setitem(plans.KERNELS, kernel, recorder)
    dtype = getattr(torch, problem.dtype)
    accumulation = accumulation_dtype(dtype)

    def empty(channels: int, height: int, width: int, of: torch.dtype = dtype) -> Tensor:
        shape = (problem.batch, channels, height, width)
        return torch.empty(shape, dtype=of, memory_format=torch.channels_last)

    size, out_size = (problem.height, problem.width), (problem.out_height, problem.out_width)
    prior = torch.empty(problem.groups, problem.kernel_size, problem.kernel_size) if problem.prior else None
    plan = plans.plan_of(problem, CPU)
    inputs = launch.as_inputs(
        plan, empty(problem.groups, *out_size), empty(problem.groups, *size), empty(problem.channels, *size), prior
    )
    out, softmax = empty(problem.channels, *out_size), empty(2 * problem.groups, *out_size, of=accumulation)
    mean = empty(plan.query.geometry.parts, *out_size, of=accumulation)
    launches: dict[Kernel, Any] = {
        "forward": lambda: launch.launch_forward(plan, inputs, save_softmax=True),
        "query": lambda: launch.launch_query_side(plan, inputs, out, out, softmax),
        "key": lambda: launch.launch_key_side(plan, inputs, out, softmax, mean),
    }
    launches[kernel]()
    assert recorder.launched is not None
    return recorder.launched


@pytest.mark.parametrize("kernel", KERNELS)
@pytest.mark.parametrize("problem", PROBLEMS.values(), ids=PROBLEMS)
def test_compiled_with_what_is_launched(kernel: Kernel, problem: Problem, monkeypatch: pytest.MonkeyPatch) -> None:
    real = launched(kernel, problem, monkeypatch)
    settings = heuristic(kernel, problem)
    arguments = launch_arguments(kernel, problem, geometry_of(kernel, problem, settings))
    assert arguments == real.arguments
    assert list(arguments) == list(real.arguments)
    assert real.options == settings.options
    assert plans.Launch(kernel, problem, settings, CPU).grid == real.grid


def test_an_unknown_kernel_is_refused() -> None:
    with pytest.raises(ValueError, match="kernel must be one of forward, query, key, got 'backward'"):
        compile_fused("backward", SMALL, (9, 0))


@pytest.mark.skipif(not launch.interpreting(), reason="kernels are compiled in this process")
def test_interpreted_kernels_are_not_compiled() -> None:
    with pytest.raises(RuntimeError, match="TRITON_INTERPRET"):
        compile_fused("forward", SMALL, (9, 0))


def compiled_twice(problem: Problem) -> dict[str, Any]:
    """In a process of its own: one kernel, compiled twice, and what that leaves behind."""
    before = driver._active
    first, other, second = (compile_fused("key", problem, capability) for capability in ((9, 0), (8, 0), (9, 0)))
    return {
        "equal": first.cubin == second.cubin,
        "targets": [text for one in (first, other) for text in one.ptx.split() if text.startswith("sm_")],
        "seconds": [first.compile_seconds, second.compile_seconds],
        "driver": driver._active is before,
        "cached": len(plans.KERNELS["key"].device_caches),
        "geometry": first.geometry,
    }


def test_compiling_leaves_no_trace_and_takes_nothing_from_a_cache(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TRITON_INTERPRET", "1")
    ((_, found),) = spread(compiled_twice, [SMALL])
    assert isinstance(found, dict)
    assert found["equal"]
    assert found["targets"] == ["sm_90a", "sm_80"]
    assert found["driver"]
    assert found["cached"] == 0
    # From Triton's cache the second would take a few milliseconds.
    assert found["seconds"][1] > found["seconds"][0] / 10


def pairs_asked_for(problem: Problem) -> list[int]:
    """In a process of its own: how often two multiply–adds are asked for as one, on Hopper and on Blackwell."""
    texts = [compile_fused("key", problem, capability).ptx for capability in ((9, 0), (10, 0))]
    return [text.count("fma.rn.f32x2 total, weights, vector, total") for text in texts]


def test_values_are_added_in_pairs_on_blackwell() -> None:
    ((_, found),) = spread(pairs_asked_for, [replace(SMALL, channels=16, m=8)])
    assert isinstance(found, list)
    assert found[0] == 0
    # Of each tap that a lane computes in a window row, four pairs.
    assert found[1] >= 4 * SMALL.kernel_size


class Cached:
    """Has what a kernel keeps of its compilations."""

    def __init__(self) -> None:
        self.device_caches: dict[Any, str] = {}


def fail_to_compile(kernel: Cached) -> None:
    with pretended.pretended((8, 9), [kernel]):
        assert driver.active.get_current_target().arch == 89
        kernel.device_caches[driver.active.get_current_device()] = "half done"
        raise MemoryError


def test_the_driver_is_put_back() -> None:
    real, kernel = driver._active, Cached()
    with pytest.raises(MemoryError):
        fail_to_compile(kernel)
    assert driver._active is real
    assert kernel.device_caches == {}


STEM = Problem(batch=64, channels=64, height=224, width=224, kernel_size=7, m=8, stride=2, padding=3, dtype="bfloat16")
STAGE_28 = replace(STEM, channels=200, height=28, width=28, stride=1)
STAGE_7 = replace(STEM, channels=800, height=7, width=7, stride=1)


@pytest.mark.parametrize("kernel", KERNELS)
def test_taps_are_pixels_groups_and_neighbours(kernel: Kernel) -> None:
    full = binary(kernel, STAGE_28, columns=4, slices=1)
    assert (full.taps_per_iteration, full.taps_per_lane) == (4 * 7, 4 * 7 * 7)
    assert full.taps == 64 * 28 * 28 * 25 * 49
    assert binary(kernel, replace(STAGE_28, m=32), columns=4, slices=2).taps_per_iteration == 14


def test_a_stride_leaves_the_key_side_fewer_taps() -> None:
    key = binary("key", STEM, columns=4, rows=4, gathered_width=0)
    # Of 7 rows and columns every second: 4 or 3 of them, in 4 iterations.
    assert (key.taps_per_lane, key.taps_per_iteration) == (4 * 3.5**2, 4 * 3.5)
    assert (key.iterations, key.weights_per_iteration) == (4, 4 * 3.5)
    assert binary("forward", STEM, columns=4).taps_per_iteration == 28


@pytest.mark.parametrize("kernel", KERNELS)
def test_rows_and_columns_known_to_be_outside_are_left_out(kernel: Kernel) -> None:
    whole = binary(kernel, STAGE_7, columns=7, rows=1, gathered_width=7)
    inside = 4 + 5 + 6 + 7 + 6 + 5 + 4
    assert whole.weights_per_iteration == inside
    assert whole.iterations == pytest.approx(inside / 7)
    strips = binary(kernel, STAGE_7, columns=7, rows=7, gathered_width=0)
    assert (strips.weights_per_iteration, strips.iterations) == (49, 7)


def test_rows_without_a_query_are_left_out() -> None:
    # Input rows 0 to 5, outputs centred on 0, 2 and 4: these are seen by 1, 2, 1, 2, 1 and 1 output rows.
    strided = replace(SMALL, height=6, width=6, stride=2)
    assert binary("key", strided, rows=1).iterations == pytest.approx(8 / 6)


@pytest.mark.parametrize("kernel", KERNELS)
@pytest.mark.parametrize("problem", [STEM, STAGE_28, STAGE_7, *PROBLEMS.values()], ids=str)
def test_enough_lanes_are_launched(kernel: Kernel, problem: Problem) -> None:
    one = binary(kernel, problem)
    assert one.lanes * one.taps_per_lane >= one.taps
