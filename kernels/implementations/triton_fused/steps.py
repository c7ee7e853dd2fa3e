"""The steps of an ordinary call, each to be run by itself: what its host time is made of."""

from collections.abc import Callable

from torch import Tensor

from ...problem import Problem
from .eager import gradients, relate, relate_differentiably
from .launch import as_inputs, launch_forward, launch_key_side, launch_query_side
from .plans import plan_of


def steps_of(
    problem: Problem, operands: tuple[Tensor, Tensor, Tensor, Tensor], grad_out: Tensor
) -> dict[str, Callable[[], object]]:
    """The steps by name; a name that ends in "launch" or "launches" is a part of the one before."""
    plan = plan_of(problem, grad_out.device)
    leaves = [x.detach().requires_grad_() for x in operands]
    inputs = as_inputs(plan, *operands)
    out, softmax = launch_forward(plan, inputs, save_softmax=True)
    grad_query, grad_prior, mean = launch_query_side(plan, inputs, out, grad_out, softmax)
    grad_key, grad_value = launch_key_side(plan, inputs, grad_out, softmax, mean)

    def backward_launches() -> None:
        plan.query(*inputs, out, grad_out, softmax, grad_query, grad_prior, mean)
        plan.key(*inputs[1:], grad_out, softmax, mean, grad_key, grad_value)

    return {
        "relate": lambda: relate(plan, *operands),
        "relate_differentiably": lambda: relate_differentiably(plan, *leaves),
        "inputs": lambda: as_inputs(plan, *operands),
        "forward": lambda: launch_forward(plan, inputs, save_softmax=False),
        "forward launch": lambda: plan.forward(*inputs, out, softmax),
        "saving": lambda: launch_forward(plan, inputs, save_softmax=True),
        "saving launch": lambda: plan.saving(*inputs, out, softmax),
        "backward": lambda: gradients(plan, inputs, out, softmax, grad_out, operands[3]),
        "backward launches": backward_launches,
    }
