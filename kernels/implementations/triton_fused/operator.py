"""The kernels as operators of PyTorch (torch.library): fake kernels for tracing, autograd, and no second derivative."""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from ...derivatives import refusal, transform_refusal
from ...problem import Problem
from ...tensors import accumulation_dtype
from .launch import Inputs, launch_forward, launch_key_side, launch_query_side

_INTEGERS = ("kernel_size", "m", "stride", "padding", "dilation")
_STRINGS = ("composability", "padding_mode", "channel_order")


def apply(problem: Problem, query: Tensor, key: Tensor, value: Tensor, prior: Tensor | None) -> Tensor:
    """y (N, C, Ho, Wo) for query (N, G, Ho, Wo), key (N, G, H, W), value (N, C, H, W), prior (G, k, k)."""
    tensors = [tensor for tensor in (query, key, value, prior) if tensor is not None]
    wanted = torch.is_grad_enabled() and any(tensor.requires_grad for tensor in tensors)
    # An exported program may be differentiated, whatever it was traced with.
    save_log_sum = wanted or torch.compiler.is_exporting()
    integers = [getattr(problem, name) for name in _INTEGERS]
    strings = ",".join(getattr(problem, name) for name in _STRINGS)
    out: Tensor = _forward(query, key, value, prior, integers, strings, save_log_sum)[0]
    return out


@torch.library.custom_op("local_relation::forward", mutates_args=())
def _forward(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    prior: Tensor | None,
    integers: Sequence[int],
    strings: str,
    save_log_sum: bool,
) -> tuple[Tensor, Tensor]:
    problem = _problem(value, prior, integers, strings)
    out, log_sum = launch_forward(problem, as_inputs(query, key, value, prior), save_log_sum)
    return _images(out), log_sum


@_forward.register_fake
def _(
    query: Tensor,
    key: Tensor,  # noqa: ARG001
    value: Tensor,
    prior: Tensor | None,  # noqa: ARG001
    integers: Sequence[int],  # noqa: ARG001
    strings: str,  # noqa: ARG001
    save_log_sum: bool,
) -> tuple[Tensor, Tensor]:
    batch, groups, height, width = query.shape
    out = value.new_empty(batch, height, width, value.shape[1])
    saved = (batch, height, width, groups) if save_log_sum else (0,)
    return _images(out), value.new_empty(saved, dtype=accumulation_dtype(value.dtype))


@torch.library.custom_op("local_relation::backward", mutates_args=())
def _backward(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    prior: Tensor | None,
    out: Tensor,
    log_sum: Tensor,
    grad_out: Tensor,
    integers: Sequence[int],
    strings: str,
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    problem = _problem(value, prior, integers, strings)
    inputs, grad = as_inputs(query, key, value, prior), as_pixels(grad_out)
    grad_query, grad_prior, mean = launch_query_side(problem, inputs, as_pixels(out), grad, log_sum)
    grad_key, grad_value = launch_key_side(problem, inputs, grad, log_sum, mean)
    grad_prior = (
        query.new_empty(0) if prior is None else grad_prior.t().contiguous().reshape(prior.shape).to(prior.dtype)
    )
    return (
        _images(grad_query.to(query.dtype)),
        _images(grad_key.to(key.dtype)),
        _images(grad_value),
        grad_prior,
    )


@_backward.register_fake
def _(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    prior: Tensor | None,
    out: Tensor,  # noqa: ARG001
    log_sum: Tensor,  # noqa: ARG001
    grad_out: Tensor,  # noqa: ARG001
    integers: Sequence[int],  # noqa: ARG001
    strings: str,  # noqa: ARG001
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    grad_prior = query.new_empty(0) if prior is None else torch.empty_like(prior, memory_format=torch.contiguous_format)
    grad_query, grad_key, grad_value = (_images(t.new_empty(_pixel_shape(t))) for t in (query, key, value))
    return grad_query, grad_key, grad_value, grad_prior


def _save(ctx: Any, inputs: tuple[Any, ...], output: tuple[Tensor, Tensor]) -> None:
    *tensors, integers, strings, _ = inputs
    ctx.integers, ctx.strings = integers, strings
    ctx.save_for_backward(*tensors, *output)
    ctx.mark_non_differentiable(output[1])


def _differentiate(ctx: Any, grad_out: Tensor, _: Tensor | None) -> tuple[Tensor | None, ...]:
    query, key, value, prior, out, log_sum = ctx.saved_tensors
    if log_sum.numel() == 0 and query.numel() > 0:
        raise RuntimeError("local_relation::forward was called without save_log_sum, so that it has no gradient")
    *grads, grad_prior = _backward(query, key, value, prior, out, log_sum, grad_out, ctx.integers, ctx.strings)
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
    batch, channels, height, width = value.shape
    return Problem(
        batch=batch,
        channels=channels,
        height=height,
        width=width,
        prior=prior is not None,
        dtype=str(value.dtype).removeprefix("torch."),
        **dict(zip(_INTEGERS, integers, strict=True)),  # type: ignore[arg-type]
        **dict(zip(_STRINGS, strings.split(","), strict=True)),  # type: ignore[arg-type]
    )


def as_inputs(query: Tensor, key: Tensor, value: Tensor, prior: Tensor | None) -> Inputs:
    """The operator's tensors as the kernels take them."""
    wide = accumulation_dtype(value.dtype)
    table = query.new_empty(0, dtype=wide) if prior is None else prior.flatten(1).t().to(wide).contiguous()
    return Inputs(as_pixels(query), as_pixels(key), as_pixels(value), table)


def as_pixels(images: Tensor) -> Tensor:
    """(N, C, H, W) → (N, H, W, C) contiguous, for loads of 16 bytes; no copy where it is channels_last and aligned."""
    pixels = images.permute(0, 2, 3, 1).contiguous()
    return pixels if pixels.data_ptr() % 16 == 0 else pixels.clone()


def _pixel_shape(images: Tensor) -> tuple[int, ...]:
    batch, channels, height, width = images.shape
    return batch, height, width, channels


def _images(pixels: Tensor) -> Tensor:
    """(N, H, W, C) → (N, C, H, W), a channels_last view."""
    return pixels.permute(0, 3, 1, 2)
