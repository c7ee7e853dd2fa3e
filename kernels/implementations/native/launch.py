"""Calls of the library: tensors and options laid out as source/call.h has them."""

import ctypes
from collections.abc import Sequence

import torch
from torch import Tensor

from ...problem import CHANNEL_ORDERS, COMPOSABILITIES, PADDING_MODES, Problem
from ...tensors import MEMORY_FORMATS, accumulation_dtype, memory_format_of
from .library import load

_DTYPES = {torch.float32: 0, torch.bfloat16: 1, torch.float16: 2, torch.float64: 3}
_IMAGES = 7  # of a call; forward has no gradients


def options_of(problem: Problem) -> list[int]:
    """The options as the library numbers them: Φ, padding mode, channel order, k, m, stride, padding, dilation."""
    return [
        COMPOSABILITIES.index(problem.composability),
        PADDING_MODES.index(problem.padding_mode),
        CHANNEL_ORDERS.index(problem.channel_order),
        problem.kernel_size,
        problem.m,
        problem.stride,
        problem.padding,
        problem.dilation,
    ]


def empty_like(tensor: Tensor, spatial: Sequence[int]) -> Tensor:
    """An image of a tensor's channels and memory format, and of other height and width."""
    layout = MEMORY_FORMATS[memory_format_of(tensor)]
    return torch.empty((*tensor.shape[:2], *spatial), dtype=tensor.dtype, device=tensor.device, memory_format=layout)


def forward(query: Tensor, key: Tensor, value: Tensor, prior: Tensor | None, options: Sequence[int]) -> Tensor:
    """y (N, C, Ho, Wo), in the value's memory format."""
    output = empty_like(value, query.shape[2:])
    _run("forward", [query, key, value, output], prior, None, options)
    return output


def backward(
    query: Tensor, key: Tensor, value: Tensor, prior: Tensor | None, grad: Tensor, options: Sequence[int]
) -> tuple[Tensor, Tensor, Tensor, Tensor | None]:
    """The gradients of query, key and value, each in its tensor's memory format, and the prior's."""
    grads = [empty_like(tensor, tensor.shape[2:]) for tensor in (query, key, value)]
    grad_prior = None
    if prior is not None:
        grad_prior = torch.empty(prior.shape, dtype=accumulation_dtype(value.dtype), device=prior.device)
    _run("backward", [query, key, value, grad, *grads], prior, grad_prior, options)
    return grads[0], grads[1], grads[2], None if prior is None or grad_prior is None else grad_prior.to(prior.dtype)


def _run(
    entry: str, images: list[Tensor], prior: Tensor | None, grad_prior: Tensor | None, options: Sequence[int]
) -> None:
    query, _, value, *_ = images
    library, wide = load(), accumulation_dtype(value.dtype)
    composability, padding_mode, channel_order, *window = options
    table = None if prior is None else prior.to(wide).contiguous()
    sizes = [*value.shape[:2], query.shape[1], *value.shape[2:], *query.shape[2:]]
    fields = [_DTYPES[value.dtype], composability, padding_mode, channel_order, *sizes, *window]
    for image in images:
        fields += [image.data_ptr(), *image.stride()]
    fields += [0] * (5 * (_IMAGES - len(images)))
    fields += [0 if tensor is None else tensor.data_ptr() for tensor in (table, grad_prior)]
    fields += [library.parallel_for, 0]
    error = getattr(library, entry)((ctypes.c_int64 * len(fields))(*fields))
    if error:
        raise MemoryError(f"the C++ kernels of local_relation ran out of memory ({entry})")
