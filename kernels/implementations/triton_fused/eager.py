"""The kernels in an ordinary call: a plain autograd.Function, as an operator's dispatch would take longer than they."""

from typing import Any

import torch
from torch import Tensor

from ...derivatives import differentiable_once
from .launch import Inputs, as_inputs, as_pixels, launch_forward, launch_key_side, launch_query_side
from .plans import Plan


def relate(plan: Plan, query: Tensor, key: Tensor, value: Tensor, prior: Tensor | None) -> Tensor:
    """y (N, C, Ho, Wo), in the value's memory format, for the operator's tensors; nothing is kept for gradients."""
    out, _ = launch_forward(plan, as_inputs(plan, query, key, value, prior), save_softmax=False)
    return out.contiguous() if plan.contiguous else out


def relate_differentiably(plan: Plan, query: Tensor, key: Tensor, value: Tensor, prior: Tensor | None) -> Tensor:
    """The same, to be differentiated."""
    # What torch's own `apply` does beside this is about transforms of torch.func, of which an ordinary call has none.
    out: Tensor = super(torch.autograd.Function, _Fused).apply(plan, query, key, value, prior)  # type: ignore[no-untyped-call]
    return out


def gradients(
    plan: Plan, inputs: Inputs, out: Tensor, softmax: Tensor, grad_out: Tensor, prior: Tensor | None
) -> tuple[Tensor, Tensor, Tensor, Tensor | None]:
    """The gradients of query, key, value and prior, in their dtypes."""
    out, softmax, grad = as_pixels(out, softmax, grad_out)
    grad_query, grad_table, mean = launch_query_side(plan, inputs, out, grad, softmax)
    grad_key, grad_value = launch_key_side(plan, inputs, grad, softmax, mean)
    if plan.query.geometry.slices > 1:
        grad_query, grad_key = grad_query.to(grad_value.dtype), grad_key.to(grad_value.dtype)
    grad_prior = None if prior is None else grad_table.permute(2, 0, 1)
    if prior is not None and grad_prior is not None and prior.dtype is not plan.wide:
        grad_prior = grad_prior.to(prior.dtype)
    return grad_query, grad_key, grad_value, grad_prior


class _Fused(torch.autograd.Function):
    """Saves the operator's tensors, output and softmaxes. Hooks may give them back in another layout."""

    @staticmethod
    def forward(ctx: Any, plan: Plan, query: Tensor, key: Tensor, value: Tensor, prior: Tensor | None) -> Tensor:
        inputs = as_inputs(plan, query, key, value, prior)
        out, softmax = launch_forward(plan, inputs, save_softmax=True)
        returned = out.contiguous() if plan.contiguous else out
        ctx.plan, ctx.witness = plan, None
        if returned is out:
            # The caller may write into what it gets. This keeps the output's version, and none of its memory.
            ctx.witness = out.detach()
            ctx.witness.data = plan.nothing()
            out = out.data
        ctx.save_for_backward(query, key, value, prior, out, softmax)
        return returned

    @staticmethod
    @differentiable_once("triton")
    def backward(ctx: Any, grad_out: Tensor) -> tuple[Tensor | None, ...]:
        plan: Plan = ctx.plan
        query, key, value, prior, out, softmax = ctx.saved_tensors
        inputs = as_inputs(plan, query, key, value, prior)
        if ctx.witness is not None and ctx.witness._version:  # noqa: SLF001
            out, softmax = launch_forward(plan, inputs, save_softmax=True)
        return None, *gradients(plan, inputs, out, softmax, grad_out, prior)
