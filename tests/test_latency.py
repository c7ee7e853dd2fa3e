"""The guard: a dozen key cases under pytest-benchmark, for people who keep its records.

Disabled by default, when each runs once and is checked; `nox -s guard` measures, and takes `--benchmark-save NAME` and
`--benchmark-compare`. The sweep of `python -m bench` measures more, and judges with statistics.
"""

import os
from collections.abc import Callable
from functools import cache
from typing import TYPE_CHECKING

import pytest
import torch

from bench.measure.check import TOLERANCES, Expected, error_of, expect
from bench.measure.workloads import Tensors, build, call, draw
from kernels import Problem, unsupported

if TYPE_CHECKING:
    from pytest_benchmark.fixture import BenchmarkFixture

CUDA = torch.cuda.is_available()
DEVICE = torch.device("cuda" if CUDA else "cpu")
FASTEST = "triton" if CUDA else "chunked"


def problem(channels: int, size: int, stride: int = 1, kernel_size: int = 7) -> Problem:
    """Stages of LR-Net-50 as a GPU trains it, and smaller ones on a CPU."""
    return Problem(
        batch=64 if CUDA else 2,
        channels=channels if CUDA else channels // 4,
        height=size,
        width=size,
        kernel_size=kernel_size,
        m=8,
        stride=stride,
        padding=kernel_size // 2,
        dtype="bfloat16" if CUDA else "float32",
        memory_format="channels_last" if CUDA else "contiguous",
    )


PROBLEMS = {
    "28x28": problem(200, 28),
    "28x28-stride2": problem(200, 28, stride=2),
    "14x14": problem(400, 14),
    "28x28-k3": problem(200, 28, kernel_size=3),
}
CASES = [
    *(pytest.param(FASTEST, name, id=f"{FASTEST}-{name}") for name in PROBLEMS),
    pytest.param("compiled", "28x28", id="compiled-28x28", marks=pytest.mark.extended),
    pytest.param("unfold", "28x28", id="unfold-28x28"),
]


@cache
def expected(name: str) -> tuple[Tensors, Expected]:
    """The tensors of a problem, and what they give in float64."""
    tensors = draw(PROBLEMS[name], "operator", DEVICE)
    return tensors, expect(PROBLEMS[name], "operator", tensors)


def flush() -> Callable[[], None]:
    """What comes before each round: on a GPU, the L2 is overwritten, and the GPU then idle."""
    if not CUDA:
        return lambda: None
    scratch = torch.empty(2 * torch.cuda.get_device_properties(DEVICE).L2_cache_size, dtype=torch.int8, device=DEVICE)

    def overwrite() -> None:
        scratch.zero_()
        torch.cuda.synchronize(DEVICE)

    return overwrite


@pytest.mark.slow
@pytest.mark.usefixtures("threads")
@pytest.mark.parametrize("mode", ["forward", "forward_backward"])
@pytest.mark.parametrize(("implementation", "name"), CASES)
def test_latency(benchmark: "BenchmarkFixture", implementation: str, name: str, mode: str) -> None:
    reason = unsupported(implementation, PROBLEMS[name], DEVICE, backward=mode != "forward")
    if reason is None and implementation == "triton" and os.environ.get("TRITON_INTERPRET") == "1":
        reason = "the interpreter's speed says nothing about the kernel"
    if reason is not None:
        pytest.skip(reason)
    tensors, reference = expected(name)
    workload = build(PROBLEMS[name], "operator", tensors, implementation)
    error = error_of(workload, reference, backward=mode != "forward")
    assert error <= TOLERANCES[PROBLEMS[name].dtype]
    run = call(workload, mode)

    def synchronised() -> object:
        results = run()
        if CUDA:
            torch.cuda.synchronize(DEVICE)
        return results

    benchmark.group = f"{name} {mode}"
    benchmark.extra_info["error"] = error
    pedantic: Callable[..., object] = benchmark.pedantic
    results = pedantic(synchronised, setup=flush(), rounds=50, warmup_rounds=5)
    tensors_of = results if isinstance(results, tuple) else (results,)
    assert len(tensors_of) == (1 if mode == "forward" else 4)
    assert all(bool(torch.isfinite(tensor).all()) and bool(tensor.any()) for tensor in tensors_of)
