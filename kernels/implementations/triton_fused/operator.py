"""The kernels as operators of PyTorch (torch.library), for compilers and modes: fake kernels, autograd once."""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from ...derivatives import refusal, transform_refusal
from ...plain import keep, kept, ordinary
from ...problem import Problem
from ...tensors import accumulation_dtype
from .eager import gradients, relate, relate_differentiably
from .launch import as_inputs, launch_forward
from .plans import plan_of

_INTEGERS = ("kernel_size", "m", "stride", "padding", "dilation")
_STRINGS = ("composability", "padding_mode", "channel_order")
_PROBLEMS: dict[tuple[Any, ...], Problem] = kept()


def apply(problem: Problem, query: Tensor, key: Tensor, value: Tensor, prior: Tensor | None) -> Tensor:
    """y (N, C, Ho, Wo) for query (N, G, Ho, Wo), key (N, G, H, W), value (N, C, H, W), prior (G, k, k)."""
    tensors = [tensor for tensor in (query, key, value, prior) if tensor is not None]
    save_softmax = torch.is_grad_enabled() and any(tensor.requires_grad for tensor in tensors)
    if ordinary(*tensors):
        relate_ = relate_differentiably if save_softmax else relate
        return relate_(plan_of(problem, value.device), query, key, value, prior)
    # An exported program may be differentiated, whatever it was traced with.
    save_softmax = save_softmax or torch.compiler.is_exporting()
    integers = [getattr(problem, name) for name in _INTEGERS]
    strings = ",".join(getattr(problem, name) for name in _STRINGS)
    out: Tensor = _forward(query, key, value, prior, integers, strings, save_softmax)[0]
    return out


@torch.library.custom_op("local_relation::forward", mutates_args=())
def _forward(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    prior: Tensor | None,
    integers: Sequence[int],
    strings: str,
    save_softmax: bool,
) -> tuple[Tensor, Tensor]:
    plan = plan_of(_problem(value, prior, integers, strings), value.device)
    out, softmax = launch_forward(plan, as_inputs(plan, query, key, value, prior), save_softmax)
    return out, softmax if save_softmax else query.new_empty(0, dtype=plan.wide)


@_forward.register_fake
def _(
    query: Tensor,
    key: Tensor,  # noqa: ARG001
    value: Tensor,
    prior: Tensor | None,  # noqa: ARG001
    integers: Sequence[int],  # noqa: ARG001
    strings: str,  # noqa: ARG001
    save_softmax: bool,
) -> tuple[Tensor, Tensor]:
    wide = accumulation_dtype(value.dtype)
    batch, _, height, width = query.shape
    out = _pixels(value, (batch, value.shape[1], height, width))
    saved = (batch, 2 * query.shape[1], height, width)
    return out, _pixels(query, saved, wide) if save_softmax else query.new_empty(0, dtype=wide)


@torch.library.custom_op("local_relation::backward", mutates_args=())
def _backward(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    prior: Tensor | None,
    out: Tensor,
    softmax: Tensor,
    grad_out: Tensor,
    integers: Sequence[int],
    strings: str,
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    plan = plan_of(_problem(value, prior, integers, strings), value.device)
    inputs = as_inputs(plan, query, key, value, prior)
    grad_query, grad_key, grad_value, grad_prior = gradients(plan, inputs, out, softmax, grad_out, prior)
    return grad_query, grad_key, grad_value, query.new_empty(0) if grad_prior is None else grad_prior.contiguous()


@_backward.register_fake
def _(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    prior: Tensor | None,
    out: Tensor,  # noqa: ARG001
    softmax: Tensor,  # noqa: ARG001
    grad_out: Tensor,  # noqa: ARG001
    integers: Sequence[int],  # noqa: ARG001
    strings: str,  # noqa: ARG001
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    grad_prior = query.new_empty(0) if prior is None else torch.empty_like(prior, memory_format=torch.contiguous_format)
    grad_query, grad_key, grad_value = (_pixels(x, x.shape) for x in (query, key, value))
    return grad_query, grad_key, grad_value, grad_prior


def _save(ctx: Any, inputs: tuple[Any, ...], output: tuple[Tensor, Tensor]) -> None:
    *tensors, integers, strings, _ = inputs
    ctx.integers, ctx.strings = integers, strings
    ctx.save_for_backward(*tensors, *output)
    ctx.mark_non_differentiable(output[1])


def _differentiate(ctx: Any, grad_out: Tensor, _: Tensor | None) -> tuple[Tensor | None, ...]:
    query, key, value, prior, out, softmax = ctx.saved_tensors
    if softmax.numel() == 0 and query.numel() > 0:
        raise RuntimeError("local_relation::forward was called without save_softmax, so that it has no gradient")
    *grads, grad_prior = _backward(query, key, value, prior, out, softmax, grad_out, ctx.integers, ctx.strings)
    return *grads, None if prior is None else grad_prior, None, None, None


def _refuse(_: Any, *__: Tensor) -> tuple[Tensor | None, ...]:
    raise refusal("triton")


def _refuse_vmap(*_: Any) -> Any:
    raise transform_refusal("triton")


_forward.register_autograd(_differentiate, setup_context=_save)
_backward.register_autograd(_refuse)
_forward.register_vmap(_refuse_vmap)
_backward.register_vmap(_refuse_vmap)


def _problem(value: Tensor, prior: Tensor | None, integers: Sequence[int], strings: str) -> Problem:
    facts = (value.shape, value.dtype, prior is None, tuple(integers), strings)
    problem = _PROBLEMS.get(facts)
    if problem is not None:
        return problem
    batch, channels, height, width = value.shape
    problem = Problem(
        batch=batch,
        channels=channels,
        height=height,
        width=width,
        prior=prior is not None,
        dtype=str(value.dtype).removeprefix("torch."),
        **dict(zip(_INTEGERS, integers, strict=True)),  # type: ignore[arg-type]
        **dict(zip(_STRINGS, strings.split(","), strict=True)),  # type: ignore[arg-type]
    )
    return keep(_PROBLEMS, facts, problem)


def _pixels(like: Tensor, shape: Sequence[int], dtype: torch.dtype | None = None) -> Tensor:
    """Memory for images whose pixels hold their channels side by side."""
    batch, channels, height, width = shape
    return like.new_empty(batch, height, width, channels, dtype=dtype).permute(0, 3, 1, 2)
