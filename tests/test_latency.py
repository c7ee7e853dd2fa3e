"""The implementations side by side under pytest-benchmark, for people who keep its records.

Disabled by default, when each runs once; `nox -s tests -- tests/test_latency.py -n 0 --benchmark-enable` measures.
"""

import os
from typing import TYPE_CHECKING

import pytest
import torch

from bench.workloads import build, call, draw
from kernels import IMPLEMENTATIONS, Problem, unsupported

if TYPE_CHECKING:
    from pytest_benchmark.fixture import BenchmarkFixture

DEVICE = torch.device("cuda" if torch.cuda.is_available() else "cpu")
PROBLEM = Problem(batch=2, channels=96, height=56, width=56, kernel_size=7, m=8, padding=3)


@pytest.mark.slow
@pytest.mark.parametrize("mode", ["forward", "forward_backward"])
@pytest.mark.parametrize("implementation", IMPLEMENTATIONS)
def test_latency(benchmark: "BenchmarkFixture", implementation: str, mode: str) -> None:
    reason = unsupported(implementation, PROBLEM, DEVICE)
    if reason is None and implementation == "triton" and os.environ.get("TRITON_INTERPRET") == "1":
        reason = "the interpreter's speed says nothing about the kernel"
    if reason is not None:
        pytest.skip(reason)
    benchmark.group = mode
    run = call(build(PROBLEM, "operator", draw(PROBLEM, "operator", DEVICE), implementation), mode)

    def synchronised() -> object:
        results = run()
        if DEVICE.type == "cuda":
            torch.cuda.synchronize(DEVICE)
        return results

    results = benchmark(synchronised)
    tensors = results if isinstance(results, tuple) else (results,)
    assert len(tensors) == (1 if mode == "forward" else 4)
    assert all(bool(torch.isfinite(tensor).all()) and bool(tensor.any()) for tensor in tensors)
