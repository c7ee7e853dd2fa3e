"""The counts against Python loops that walk every multiply–add, and the paper's formula worked out by hand."""

from dataclasses import replace
from fractions import Fraction
from itertools import product
from typing import Any

import pytest
import torch

from bench.cost.complexity import (
    flops,
    macs,
    min_bytes,
    paper_cost,
    projection_macs,
    relation_macs,
    taken_taps,
)
from bench.measure.workloads import draw
from kernels import Problem
from tests.support.bench_cases import CPU, problem

PROBLEMS = {
    "m divides C": problem(m=3),
    "last group smaller": problem(),
    "m above C": problem(m=8),
    "m = 1": problem(m=1),
    "stride 2": problem(stride=2),
    "stride 3, no padding": problem(stride=3, padding=0, height=7),
    "even k": problem(kernel_size=2, padding=0),
    "even k, stride 2, partial padding": problem(kernel_size=4, stride=2, padding=1, height=6),
    "partial padding": problem(kernel_size=5, padding=1, stride=2),
    "dilation": problem(dilation=2, padding=2),
    "window larger than the image": problem(kernel_size=7, padding=3, height=2, width=3),
    "1×1 image": problem(height=1, width=1),
    "no images": problem(batch=0),
}
every_problem = pytest.mark.parametrize("posed", PROBLEMS.values(), ids=PROBLEMS.keys())
DIVISIBLE = [
    problem(channels=8, m=m, stride=s, height=6 * s, width=2 * s, kernel_size=k, padding=k // 2, batch=3)
    for m, s, k in product((1, 2, 8), (1, 2, 3), (1, 3, 5))
]


def window_starts(size: int, posed: Problem) -> range:
    """The first row (or column) of every window that fits the padded image."""
    reach = posed.dilation * (posed.kernel_size - 1)
    return range(-posed.padding, size + posed.padding - reach, posed.stride)


def counted(posed: Problem) -> dict[str, int]:
    """Multiply–adds of each part of the layer, one at a time."""
    count = dict.fromkeys(("query", "key", "output", "similarity", "aggregation"), 0)
    groups = {channel // posed.m for channel in range(posed.channels)}
    for _image in range(posed.batch):
        for _row, _column in product(range(posed.height), range(posed.width)):
            for _group, _channel in product(groups, range(posed.channels)):
                count["key"] += 1
        for _row, _column in product(window_starts(posed.height, posed), window_starts(posed.width, posed)):
            for _group, _channel in product(groups, range(posed.channels)):
                count["query"] += 1
            for _from, _to in product(range(posed.channels), repeat=2):
                count["output"] += 1
            for group, _u, _v in product(groups, range(posed.kernel_size), range(posed.kernel_size)):
                count["similarity"] += 1
                for channel in range(posed.channels):
                    count["aggregation"] += channel // posed.m == group
    return count


def taps(posed: Problem) -> int:
    """Taps of all windows of all groups."""
    return counted(posed)["similarity"]


@every_problem
def test_multiply_adds_are_those_of_the_loops(posed: Problem) -> None:
    count = counted(posed)
    assert relation_macs(posed) == count["similarity"] + count["aggregation"]
    assert projection_macs(posed) == count["query"] + count["key"] + count["output"]
    assert macs(posed, "operator") == relation_macs(posed)
    assert macs(posed, "layer") == sum(count.values())


@pytest.mark.parametrize(
    ("posed", "cost"),
    [
        # (2/8 + 1)·200·(200 + 49)·28²
        (problem(batch=1, channels=200, m=8, kernel_size=7, padding=3, height=28, width=28), 48_804_000),
        # (5/8 + 1)·64·(64 + 49)·224²/4
        (
            problem(batch=1, channels=64, m=8, kernel_size=7, padding=3, height=224, width=224, stride=2),
            147_417_088,
        ),
        # 4·(2/8 + 1)·100·(100 + 9)·5·7, m not dividing C
        (problem(batch=4, channels=100, m=8, kernel_size=3, height=5, width=7), 1_907_500),
        # (10/1 + 1)·3·(3 + 25)·36/9
        (problem(batch=1, channels=3, m=1, kernel_size=5, padding=2, height=6, width=6, stride=3), 3_696),
    ],
)
def test_paper_cost_by_hand(posed: Problem, cost: int) -> None:
    assert paper_cost(posed) == pytest.approx(cost, rel=1e-12)


@pytest.mark.parametrize("posed", DIVISIBLE, ids=str)
def test_closed_forms_where_sizes_divide(posed: Problem) -> None:
    c, m, squares = posed.channels, posed.m, posed.kernel_size**2
    pixels = Fraction(posed.batch * posed.height * posed.width, posed.stride**2)
    shared = Fraction(1 + posed.stride**2, m) + 1
    assert macs(posed, "layer") == c * (c * shared + squares * (Fraction(1, m) + 1)) * pixels
    assert paper_cost(posed) == pytest.approx(float(shared * c * (c + squares) * pixels), rel=1e-12)


@pytest.mark.parametrize("posed", DIVISIBLE, ids=str)
def test_the_paper_counts_the_convolutions_as_we_do(posed: Problem) -> None:
    at_3, at_5 = (paper_cost(replace(posed, kernel_size=k, padding=k // 2)) for k in (3, 5))
    without_window = at_3 - (at_5 - at_3) * 9 / (25 - 9)
    assert projection_macs(posed) == pytest.approx(without_window, rel=1e-9)


@every_problem
@pytest.mark.parametrize(
    ("composability", "extra"), [("multiplication", 0), ("squared_difference", 1), ("absolute_difference", 1)]
)
def test_operations_of_the_operator(posed: Problem, composability: str, extra: int) -> None:
    posed = replace(posed, composability=composability)
    count = counted(posed)
    forward = (6 + extra) * count["similarity"] + 2 * count["aggregation"]
    backward = (17 + 2 * extra) * count["similarity"] + 6 * count["aggregation"]
    assert flops(posed, "operator", "forward") == forward
    assert flops(posed, "operator", "backward") == backward
    assert flops(posed, "operator", "forward_backward") == forward + backward


@pytest.mark.parametrize("m", [1, 2, 3, 6])
def test_operations_per_tap(m: int) -> None:
    posed = problem(m=m)
    assert flops(posed, "operator", "forward") == taps(posed) * (2 * m + 6)
    assert flops(posed, "operator", "backward") == taps(posed) * (6 * m + 17)


@every_problem
def test_operations_of_the_layer(posed: Problem) -> None:
    count = counted(posed)
    convolutions = count["query"] + count["key"] + count["output"]
    more = {"forward": 2 * convolutions, "backward": 4 * convolutions, "forward_backward": 6 * convolutions}
    for mode, extra in more.items():
        assert flops(posed, "layer", mode) == flops(posed, "operator", mode) + extra


def nbytes_of(posed: Problem, scope: str) -> dict[str, int]:
    """The size in memory of the tensors that a workload is made of; the output is as large as its gradient."""
    return {name: tensor.nbytes for name, tensor in draw(posed, scope, CPU).items()}


@every_problem
@pytest.mark.parametrize("dtype", ["float32", "bfloat16", "float64"])
@pytest.mark.parametrize("prior", [True, False])
def test_bytes_of_the_operator_are_those_of_its_tensors(posed: Problem, dtype: str, prior: bool) -> None:
    posed = replace(posed, dtype=dtype, prior=prior)
    tensors = nbytes_of(posed, "operator")
    output = tensors.pop("grad_out")
    inputs = sum(tensors.values())
    log_sums = 4 * (tensors["query"] // draw(posed, "operator", CPU)["query"].element_size())
    forward = inputs + output
    # Reads the inputs, output, its gradient and the log-sums; writes a gradient for each input.
    backward = inputs + output + output + log_sums + inputs
    assert min_bytes(posed, "operator", "forward") == forward
    assert min_bytes(posed, "operator", "backward") == backward
    assert min_bytes(posed, "operator", "forward_backward") == forward + log_sums + backward


def require_bytes_of_layer(posed: Problem) -> None:
    """Forward reads the inputs and writes the output; backward reads both again and writes the inputs' gradients."""
    tensors = nbytes_of(posed, "layer")
    output = tensors.pop("grad_out")
    inputs = sum(tensors.values())
    assert min_bytes(posed, "layer", "forward") == inputs + output
    assert min_bytes(posed, "layer", "backward") == inputs + output + inputs
    assert min_bytes(posed, "layer", "forward_backward") == 3 * inputs + 2 * output


@every_problem
@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_bytes_of_the_layer_are_those_of_its_tensors(posed: Problem, dtype: str) -> None:
    require_bytes_of_layer(replace(posed, dtype=dtype, prior=False))


def test_bytes_of_the_layer_count_its_prior() -> None:
    require_bytes_of_layer(problem(prior=True))


@pytest.mark.parametrize("changes", [{}, {"stride": 2}, {"dilation": 2, "padding": 2}, {"padding": 0}], ids=str)
def test_taken_taps_are_those_that_unfold_finds_in_the_image(changes: dict[str, Any]) -> None:
    posed = problem(height=5, width=7, **changes)
    ones = torch.ones(posed.batch, 1, 5, 7)
    options = {name: getattr(posed, name) for name in ("padding", "stride", "dilation")}
    windows = torch.nn.functional.unfold(ones, posed.kernel_size, **options)
    assert taken_taps(posed) == windows.sum()
    assert taken_taps(replace(posed, padding_mode="zeros")) == windows.numel()
