"""The C++ that torch's compiler makes of `compiled`: threads are forked outside of loops, at narrow widths too."""

import re

import pytest
import torch
from torch._inductor.utils import run_and_get_code

from kernels import local_relation
from tests.support.cases import Case, draw, take

pytestmark = [
    pytest.mark.compiles,
    pytest.mark.slow,
    # Tracing an autograd.Function, torch itself makes an instance of it.
    pytest.mark.filterwarnings("ignore:.*should not be instantiated:DeprecationWarning"),
]

NESTED = """
for(int64_t x0=0; x0<7; x0++)
{
    {
        #pragma omp parallel
        {
        }
    }
}
"""
APART = """
#pragma omp parallel
{
    for(int64_t x0=0; x0<7; x0++)
    {
    }
}
"""


def parallel_regions(code: str) -> tuple[int, int]:
    """How many parallel regions a generated program has, and how many of them are inside a loop."""
    loops: list[int] = []
    regions, nested = 0, 0
    for line in code.splitlines():
        text = line.strip()
        if text in ("", "{"):
            continue
        depth = len(line) - len(line.lstrip())
        while loops and depth <= loops[-1]:
            loops.pop()
        if re.match(r"#pragma omp parallel\b", text):
            regions, nested = regions + 1, nested + bool(loops)
        if re.match(r"for\s*\(", text):
            loops.append(depth)
    return regions, nested


def test_a_region_in_a_loop_is_found() -> None:
    assert parallel_regions(NESTED) == (1, 1)
    assert parallel_regions(APART) == (1, 0)


@pytest.mark.usefixtures("threads")
@pytest.mark.parametrize("width", [7, 14])
def test_no_threads_are_forked_in_a_loop(width: int) -> None:
    case = Case(channels=64, m=8, height=width, width=width, kernel_size=7)
    take("compiled", case)
    leaves = [x.detach().requires_grad_() for x in draw(case).operands if x is not None]

    def step() -> tuple[torch.Tensor, ...]:
        output = local_relation(*leaves, implementation="compiled", **case.keywords)
        return torch.autograd.grad(output.sum(), leaves)

    _, code = run_and_get_code(step)
    regions, nested = (sum(counts) for counts in zip(*map(parallel_regions, code), strict=True))
    assert regions > 0
    assert nested == 0
