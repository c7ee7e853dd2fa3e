"""Plain PyTorch on a GPU launches few kernels, however many images, taps and pixels there are; counted without one."""

from collections.abc import Callable
from dataclasses import replace
from types import SimpleNamespace

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from bench.case.sweeps import SWEEPS, expand
from kernels import IMPLEMENTATIONS, Problem
from kernels.implementations.chunked.chunking import chunk_bytes, default_budget, plan
from kernels.tensors import MEMORY_FORMATS
from tests.support.launches import Launches

GIB = 2**30
SMALL = Problem(batch=2, channels=6, height=7, width=5, kernel_size=3, m=2, padding=1)
# The largest image takes several chunks, each of tensors that torch cuts in two.
MOST, MOST_AT_224 = 250, 700


@pytest.fixture(autouse=True)
def poisoned_memory() -> None:
    """What fills memory with NaN elsewhere would be counted."""


@pytest.fixture
def memory(monkeypatch: pytest.MonkeyPatch) -> Callable[[int], torch.device]:
    """A pretended GPU with so many bytes, of which nobody asks how many are free."""

    def make(total: int) -> torch.device:
        monkeypatch.setattr(torch.cuda, "get_device_properties", lambda _: SimpleNamespace(total_memory=total))
        monkeypatch.delattr(torch.cuda, "mem_get_info", raising=False)
        return torch.device("cuda")

    return make


def posed(problem: Problem) -> list[Tensor]:
    """Query, key, value and prior without numbers."""
    n, g, k = problem.batch, problem.groups, problem.kernel_size
    shapes = [(n, channels, problem.height, problem.width) for channels in (g, problem.channels)]
    value_format = MEMORY_FORMATS[problem.memory_format]
    made = [
        torch.empty(shape, dtype=getattr(torch, problem.dtype), device="meta")
        for shape in [(n, g, problem.out_height, problem.out_width), *shapes, (g, k, k)]
    ]
    made[2] = made[2].contiguous(memory_format=value_format)
    return [one.requires_grad_() for one in made]


def launches(implementation: str, problem: Problem, **options: int) -> tuple[Launches, Launches]:
    """What a call and its backward pass launch."""
    operands = posed(problem)
    with Launches() as forward:
        output = IMPLEMENTATIONS[implementation].module.run(problem, *operands, **options)
    grad = torch.empty_like(output)
    with Launches() as backward:
        torch.autograd.grad(output, operands, grad)
    return forward, backward


SWEPT = dict.fromkeys(
    one.problem
    for name in ("gpu", "axes", "stages")
    for one in expand(SWEEPS[name], {}, ["chunked"], yardsticks=False)
    if one.scope == "operator"
)


def test_chunked_launches_some_hundred_kernels(memory: Callable[[int], torch.device]) -> None:
    budgets = {problem: default_budget(problem, memory(80 * GIB)) for problem in SWEPT}
    assert {problem.height for problem in budgets} >= {112, 224}
    for problem, budget in budgets.items():
        most = MOST if problem.height <= 112 or problem.stride > 1 else MOST_AT_224
        both = launches("chunked", problem, memory_budget=budget)
        assert max(one.total for one in both) <= most, (problem, *(one.counts for one in both))


def test_a_chunk_takes_whole_rows_of_taps() -> None:
    """Three launches a row forward and five backward, beside a fixed number."""
    counts = {}
    for size in (3, 5, 7):
        problem = replace(SMALL, kernel_size=size, padding=size // 2)
        counts[size] = [one.total for one in launches("chunked", problem, memory_budget=GIB)]
    assert [counts[5][i] - counts[3][i] for i in (0, 1)] == [2 * 3, 2 * 5]
    assert [counts[7][i] - counts[5][i] for i in (0, 1)] == [2 * 3, 2 * 5]


@pytest.mark.parametrize("memory_format", MEMORY_FORMATS)
def test_unfold_launches_as_many_for_many_images(memory_format: str) -> None:
    for dtype in ("float32", "bfloat16"):
        one, many = (
            [side.counts for side in launches("unfold", replace(SMALL, batch=batch, dtype=dtype))] for batch in (2, 64)
        )
        assert one == many, memory_format
        assert one[0]["im2col"] == 2


BUDGETS = {"a small one": (2 * GIB, GIB), "24 GB": (24 * GIB, 4 * GIB), "80 GB": (80 * GIB, 10 * GIB)}


@pytest.mark.parametrize(("total", "budget"), BUDGETS.values(), ids=BUDGETS)
def test_a_gpu_gives_a_sixth_of_its_memory(total: int, budget: int, memory: Callable[[int], torch.device]) -> None:
    assert default_budget(SMALL, memory(total)) == budget


def test_a_default_budget_holds_a_row() -> None:
    problem = Problem(batch=1, channels=8, height=2, width=100_000, kernel_size=7, m=8, padding=3)
    budget = default_budget(problem, torch.device("cpu"))
    assert budget == chunk_bytes(problem, 1)
    assert plan(problem, budget).rows == 1


def test_chunks_are_few() -> None:
    """Where not all groups of an image fit, several images of fewer groups do."""
    problem = Problem(batch=16, channels=200, height=28, width=28, kernel_size=7, m=8, padding=3)
    group = chunk_bytes(problem, 28)
    assert plan(problem, int(0.6 * group)).rows == 14
    for maps in (1, 2, 24, 25, 60, 399, 400):
        cut = plan(problem, maps * group)
        chunks = list(cut.chunks())
        assert cut.rows == 28
        assert cut.groups * cut.images <= maps
        assert len(chunks) <= 1.3 * -(-400 // maps)


COUNTED: dict[str, tuple[Callable[[Tensor], object], int]] = {
    "views": (lambda x: x[:, 1:].transpose(1, 2).unflatten(0, (2, 1)), 0),
    "memory": (lambda x: torch.empty_like(x).new_empty(3), 0),
    "one after another": (lambda x: (x + 1).mul_(2).sum(), 3),
    "zeros around": (lambda x: F.pad(x, (1, 1, 1, 1)), 2),
    "an image each": (lambda x: F.unfold(x, 2), 2),
    "more than 2 GiB": (lambda x: x.expand(2, 3, 4, 5).new_zeros(2**30), 2),
    "more than 4 GiB": (lambda x: x.new_zeros(2**30 + 1), 4),
}


@pytest.mark.parametrize(("function", "count"), COUNTED.values(), ids=COUNTED)
def test_what_is_counted(function: Callable[[Tensor], object], count: int) -> None:
    image = torch.empty(2, 3, 4, 5, device="meta")
    with Launches() as counted:
        function(image)
    assert counted.total == count, counted.counts
