"""What a case computes, against plain PyTorch in float64, and what the check before timing catches."""

from collections.abc import Callable
from dataclasses import replace

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from bench.case.axes import MODES_OF
from bench.measure.check import TOLERANCES, error_of, expect, gradients
from bench.measure.workloads import Tensors, Workload, build, call, draw
from kernels import Problem
from tests.support import plain
from tests.support.bench_cases import CPU, problem
from tests.support.oracle import Options

PROBLEMS = {
    "small": problem(batch=3),
    "stride 2": problem(batch=3, stride=2, padding_mode="zeros"),
    "even k, strided channels": problem(kernel_size=4, padding=1, height=6, channel_order="strided"),
    "differences, dilation": problem(composability="squared_difference", dilation=2, padding=2),
    "without prior": problem(prior=False, composability="absolute_difference", padding=0),
    "channels_last": problem(memory_format="channels_last"),
    "one tap": problem(kernel_size=1, padding=0),
    "one pixel": problem(height=1, width=1),
}
every_problem = pytest.mark.parametrize("posed", PROBLEMS.values(), ids=PROBLEMS.keys())
every_scope = pytest.mark.parametrize("scope", ["operator", "layer"])


def options_of(posed: Problem) -> Options:
    return Options(**{name: getattr(posed, name) for name in Options.__dataclass_fields__})


def by_hand(posed: Problem, scope: str, tensors: Tensors) -> Tensor:
    """The operator, or the layer composed of convolutions and the operator."""
    if scope == "operator":
        operands = (tensors["query"], tensors["key"], tensors["value"], tensors.get("prior"))
        return plain.local_relation(*operands, options_of(posed))
    x, first = tensors["input"], posed.dilation * ((posed.kernel_size - 1) // 2) - posed.padding
    rows, columns = (first + posed.stride * torch.arange(size) for size in (posed.out_height, posed.out_width))
    centres = x[:, :, rows][:, :, :, columns]
    query, key = F.conv2d(centres, tensors["query.weight"]), F.conv2d(x, tensors["key.weight"])
    relation = plain.local_relation(query, key, x, tensors.get("prior.table"), options_of(posed))
    return F.conv2d(relation, tensors["output.weight"])


def doubles(tensors: Tensors) -> tuple[Tensors, Tensor]:
    """The tensors to differentiate, and the gradient of the output, in float64."""
    leaves = {name: t.double().requires_grad_() for name, t in tensors.items() if name != "grad_out"}
    return leaves, tensors["grad_out"].double()


@every_problem
@every_scope
def test_drawn_tensors_fit_the_problem(posed: Problem, scope: str) -> None:
    n, c, g, k = posed.batch, posed.channels, posed.groups, posed.kernel_size
    image, output = (posed.height, posed.width), (posed.out_height, posed.out_width)
    maps: dict[str, tuple[int, ...]] = {"query": (n, g, *output), "key": (n, g, *image), "value": (n, c, *image)}
    others: dict[str, tuple[int, ...]] = {"prior": (g, k, k)}
    if scope == "layer":
        maps = {"input": (n, c, *image)}
        others = {"key.weight": (g, c, 1, 1), "query.weight": (g, c, 1, 1), "output.weight": (c, c, 1, 1)}
        others["prior.table"] = (g, k, k)
    maps["grad_out"] = (n, c, *output)
    tensors = draw(posed, scope, CPU)
    shapes = {name: size for name, size in {**maps, **others}.items() if posed.prior or "prior" not in name}
    assert {name: tuple(tensor.shape) for name, tensor in tensors.items()} == shapes
    layouts = {"contiguous": torch.contiguous_format, "channels_last": torch.channels_last}
    assert all(tensors[name].is_contiguous(memory_format=layouts[posed.memory_format]) for name in maps)


@pytest.mark.parametrize("dtype", list(TOLERANCES))
@every_scope
def test_drawn_tensors_have_the_dtype(dtype: str, scope: str) -> None:
    tensors = draw(problem(dtype=dtype), scope, CPU)
    assert {str(tensor.dtype) for tensor in tensors.values()} == {f"torch.{dtype}"}


@every_scope
def test_drawing_is_repeatable_and_random(scope: str) -> None:
    one, again = (draw(problem(), scope, CPU) for _ in range(2))
    other = draw(problem(stride=2, height=9, width=7), scope, CPU)
    assert one.keys() == again.keys()
    assert all(torch.equal(one[name], again[name]) for name in one)
    name = {"operator": "value", "layer": "input"}[scope]
    assert not torch.equal(one[name].flatten(), other[name].flatten()[: one[name].numel()])
    assert not torch.equal(one[name][0], one[name][1])


def test_drawn_tensors_are_normal() -> None:
    posed = problem(channels=64, height=20, width=20, m=1)
    tensors = {**draw(posed, "operator", CPU), **draw(posed, "layer", CPU)}
    for name, tensor in tensors.items():
        expected = 1 / 8 if name.endswith("weight") else 1.0
        assert tensor.std().item() == pytest.approx(expected, rel=0.15), name
        assert abs(tensor.mean().item()) < 0.15 * expected, name


@every_problem
@every_scope
def test_expectation_is_that_of_the_whole_batch(posed: Problem, scope: str) -> None:
    tensors = draw(posed, scope, CPU)
    expected = expect(posed, scope, tensors)
    leaves, grad_out = doubles(tensors)
    out = by_hand(posed, scope, leaves)
    grads = dict(zip(leaves, torch.autograd.grad(out, list(leaves.values()), grad_out), strict=True))
    torch.testing.assert_close(expected.out, out.detach(), rtol=1e-11, atol=1e-12)
    assert expected.grads.keys() == grads.keys()
    for name, grad in grads.items():
        torch.testing.assert_close(expected.grads[name], grad, rtol=1e-11, atol=1e-12)


@every_problem
@every_scope
@pytest.mark.parametrize("implementation", ["unfold", "chunked"])
def test_right_results_pass(posed: Problem, scope: str, implementation: str) -> None:
    tensors = draw(posed, scope, CPU)
    workload = build(posed, scope, tensors, implementation)
    assert error_of(workload, expect(posed, scope, tensors), backward=True) <= TOLERANCES["float32"]


@every_scope
def test_each_mode_returns_what_it_times(scope: str) -> None:
    tensors = draw(problem(), scope, CPU)
    workload = build(problem(), scope, tensors, "unfold")
    out = workload.forward()
    grads = list(gradients(workload, out).values())
    results = {mode: call(workload, mode) for mode in MODES_OF[scope]}
    forward = results["forward"]()
    assert isinstance(forward, Tensor)
    assert not forward.requires_grad
    assert torch.equal(forward, out)
    for mode in ("backward", "forward_backward"):
        for _ in range(2):
            given = results[mode]()
            assert isinstance(given, tuple)
            assert len(given) == len(grads)
            assert all(torch.equal(a, b) for a, b in zip(given, grads, strict=True))


def with_others(workload: Workload, others: Tensors) -> Tensor:
    """The small problem's output with some of its tensors replaced."""
    return by_hand(problem(), "operator", {**workload.leaves, **others})


def shifted(workload: Workload) -> Tensor:
    """The output of windows that are one column off."""
    return with_others(workload, {name: workload.leaves[name].roll(1, -1) for name in ("key", "value")})


@pytest.mark.parametrize(
    ("spoil", "least", "most"),
    [
        (lambda workload: torch.zeros_like(workload.grad_out), 1.0, 1.0),
        (lambda workload: 1.01 * workload.forward(), 0.009, 0.011),
        (shifted, 0.3, 3.0),
        (lambda workload: workload.forward().flip(1), 0.3, 3.0),
    ],
    ids=["zeros", "one per cent", "shifted window", "channels mixed up"],
)
def test_wrong_outputs_are_flagged(spoil: Callable[[Workload], Tensor], least: float, most: float) -> None:
    tensors = draw(problem(), "operator", CPU)
    right = build(problem(), "operator", tensors, "unfold")
    error = error_of(
        replace(right, forward=lambda: spoil(right)), expect(problem(), "operator", tensors), backward=False
    )
    assert least - 1e-6 <= error <= most + 1e-6
    assert error > TOLERANCES["float32"]


@pytest.mark.parametrize("value", [torch.nan, torch.inf])
def test_one_number_that_is_none_is_flagged(value: float) -> None:
    tensors = draw(problem(), "operator", CPU)
    right = build(problem(), "operator", tensors, "unfold")

    def forward() -> Tensor:
        out = right.forward()
        out.view(-1)[7] = value
        return out

    error = error_of(replace(right, forward=forward), expect(problem(), "operator", tensors), backward=False)
    assert not error <= TOLERANCES["bfloat16"]


@pytest.mark.parametrize("name", ["query", "key", "value", "prior"])
def test_wrong_gradients_are_flagged(name: str) -> None:
    tensors = draw(problem(), "operator", CPU)
    expected, right = expect(problem(), "operator", tensors), build(problem(), "operator", tensors, "unfold")
    leaf = right.leaves[name]

    def forward() -> Tensor:
        # The same output, but half of one gradient.
        return with_others(right, {name: (leaf + leaf.detach()) / 2})

    halved = replace(right, forward=forward)
    assert error_of(halved, expected, backward=False) <= TOLERANCES["float32"]
    assert error_of(halved, expected, backward=True) == pytest.approx(0.5, abs=1e-4)
