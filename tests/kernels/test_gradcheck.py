"""First derivatives in float64 against finite differences; second ones right, or refused in words."""

from collections.abc import Callable

import pytest
import torch
from torch import Tensor
from torch.autograd import gradcheck, gradgradcheck

from kernels import IMPLEMENTATIONS, local_relation
from tests.support.cases import Case, draw, every_implementation, take

TORCH = [name for name in IMPLEMENTATIONS if name != "triton"]  # finite differences take the interpreter minutes
CASES = {
    "defaults": Case(dtype="float64", batch=1, channels=3, height=3, width=4),
    "all options": Case(
        dtype="float64",
        batch=1,
        channels=5,
        height=6,
        width=5,
        kernel_size=4,
        padding=1,
        stride=2,
        composability="squared_difference",
        padding_mode="zeros",
        channel_order="strided",
    ),
    "absolute difference": Case(
        dtype="float64",
        batch=1,
        channels=2,
        height=3,
        width=3,
        composability="absolute_difference",
        dilation=2,
    ),
    "no prior": Case(dtype="float64", batch=2, channels=2, height=3, width=3, prior=None),
}
TWICE = {"unfold"}
LOSSES: dict[str, Callable[[Tensor], Tensor]] = {
    "sum": torch.sum,
    "sum of squares": lambda y: y.square().sum(),
}


def as_function(implementation: str, case: Case) -> tuple[Callable[..., Tensor], list[Tensor]]:
    operands = [x.detach().clone().requires_grad_() for x in draw(case).operands if x is not None]
    return lambda *xs: local_relation(*xs, implementation=implementation, **case.keywords), operands


@pytest.mark.parametrize("implementation", TORCH)
@pytest.mark.parametrize("case", CASES.values(), ids=CASES.keys())
def test_first_derivatives(implementation: str, case: Case) -> None:
    take(implementation, case)
    function, operands = as_function(implementation, case)
    assert gradcheck(function, operands)


@every_implementation
@pytest.mark.parametrize("wanted", range(4), ids=["query", "key", "value", "prior"])
def test_each_gradient_alone(implementation: str, wanted: int) -> None:
    """The gradient of one input alone is the one that comes when all are asked for."""
    case = Case(batch=1, channels=3, m=2, height=4, width=5)
    take(implementation, case)
    function, operands = as_function(implementation, case)
    output = function(*operands)
    together = torch.autograd.grad(output, operands, torch.ones_like(output))[wanted]
    only = [x.detach().requires_grad_(place == wanted) for place, x in enumerate(operands)]
    output = function(*only)
    (alone,) = torch.autograd.grad(output, only[wanted], torch.ones_like(output))
    assert torch.equal(alone, together)


@every_implementation
@pytest.mark.parametrize("loss", LOSSES.values(), ids=LOSSES.keys())
def test_second_derivatives_are_right_or_refused(implementation: str, loss: Callable[[Tensor], Tensor]) -> None:
    """A penalty on a gradient that passes for a constant would train something else, and say nothing."""
    case = Case(dtype="float64" if implementation in TWICE else "float32", batch=1, channels=2, height=2, width=3)
    take(implementation, case)
    function, operands = as_function(implementation, case)
    if implementation in TWICE:
        assert gradgradcheck(lambda *xs: loss(function(*xs)), operands)
        return
    (gradient,) = torch.autograd.grad(loss(function(*operands)), operands[:1], create_graph=True)
    with pytest.raises(RuntimeError, match=r"differentiate twice|double backward|second"):
        torch.autograd.backward(gradient.sum() + operands[0].sum())
