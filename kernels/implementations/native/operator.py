"""The kernels as operators of PyTorch (torch.library): fake kernels for tracing, autograd, and no second derivative."""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from ...derivatives import refusal, transform_refusal
from ...problem import Problem
from .launch import backward, empty_like, forward, options_of


def apply(problem: Problem, query: Tensor, key: Tensor, value: Tensor, prior: Tensor | None) -> Tensor:
    """y (N, C, Ho, Wo) for query (N, G, Ho, Wo), key (N, G, H, W), value (N, C, H, W), prior (G, k, k)."""
    out: Tensor = _forward(query, key, value, prior, options_of(problem))
    return out


@torch.library.custom_op("local_relation::native_forward", mutates_args=())
def _forward(query: Tensor, key: Tensor, value: Tensor, prior: Tensor | None, options: Sequence[int]) -> Tensor:
    return forward(query, key, value, prior, options)


@_forward.register_fake
def _(query: Tensor, key: Tensor, value: Tensor, prior: Tensor | None, options: Sequence[int]) -> Tensor:  # noqa: ARG001
    return empty_like(value, query.shape[2:])


@torch.library.custom_op("local_relation::native_backward", mutates_args=())
def _backward(
    query: Tensor, key: Tensor, value: Tensor, prior: Tensor | None, grad: Tensor, options: Sequence[int]
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    *grads, grad_prior = backward(query, key, value, prior, grad, options)
    return grads[0], grads[1], grads[2], query.new_empty(0) if grad_prior is None else grad_prior


@_backward.register_fake
def _(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    prior: Tensor | None,
    grad: Tensor,  # noqa: ARG001
    options: Sequence[int],  # noqa: ARG001
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    grads = [empty_like(tensor, tensor.shape[2:]) for tensor in (query, key, value)]
    return grads[0], grads[1], grads[2], query.new_empty(0) if prior is None else prior.new_empty(prior.shape)


def _save(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:  # noqa: ARG001
    *tensors, ctx.options = inputs
    ctx.save_for_backward(*tensors)


def _differentiate(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
    *operands, prior = ctx.saved_tensors
    *grads, grad_prior = _backward(*operands, prior, grad, ctx.options)
    return *grads, None if prior is None else grad_prior, None


def _refuse(_: Any, *__: Tensor) -> tuple[Tensor | None, ...]:
    raise refusal("native")


def _refuse_vmap(*_: Any) -> Any:
    raise transform_refusal("native")


_forward.register_autograd(_differentiate, setup_context=_save)
_backward.register_autograd(_refuse)
_forward.register_vmap(_refuse_vmap)
_backward.register_vmap(_refuse_vmap)
