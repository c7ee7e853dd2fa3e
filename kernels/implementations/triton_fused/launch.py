"""Launching the kernels: allocation and arguments, on images whose pixels hold their channels side by side."""

import torch
import triton
from torch import Tensor

from ...problem import Problem
from .forward import local_relation_forward_kernel
from .plans import Plan, plan_of

# Query (N, G, Ho, Wo), key (N, G, H, W) and value (N, C, H, W) as `as_pixels`, prior as `as_table`.
Inputs = tuple[Tensor, Tensor, Tensor, Tensor]


def as_inputs(plan: Plan, query: Tensor, key: Tensor, value: Tensor, prior: Tensor | None) -> Inputs:
    """The operator's tensors as the kernels take them."""
    query, key, value = as_pixels(query, key, value)
    return query, key, value, as_table(plan, prior)


def as_pixels(*images: Tensor) -> list[Tensor]:
    """Images (N, C, H, W) in the order of (N, H, W, C), for loads of 16 bytes; no copy of what is so, and aligned."""
    found = []
    for image in images:
        fits = image.is_contiguous(memory_format=torch.channels_last) and image.data_ptr() % 16 == 0
        found.append(image if fits else image.clone(memory_format=torch.channels_last))
    return found


def as_table(plan: Plan, prior: Tensor | None) -> Tensor:
    """The prior (G, k, k) in the order of (k, k, G) and the dtype of sums, aligned; no copy where it is so."""
    if prior is None:
        return plan.nothing()
    if prior.dtype is not plan.wide:
        return prior.permute(1, 2, 0).to(plan.wide, memory_format=torch.contiguous_format)
    if prior.stride() == plan.table_stride and prior.data_ptr() % 16 == 0:
        return prior
    return prior.permute(1, 2, 0).clone(memory_format=torch.contiguous_format)


def launch_forward(plan: Plan, inputs: Inputs, save_softmax: bool) -> tuple[Tensor, Tensor]:
    """The output (N, C, Ho, Wo), and the softmaxes' offsets and scales (N, 2·G, Ho, Wo), empty where not saved."""
    value = inputs[2]
    if plan.keeps_size:
        out = torch.empty_like(value)
    else:
        out = torch.empty(plan.out_shape, dtype=value.dtype, device=plan.device, memory_format=torch.channels_last)
    if save_softmax:
        softmax = torch.empty_strided(plan.softmax_shape, plan.softmax_stride, dtype=plan.wide, device=plan.device)
        plan.saving(*inputs, out, softmax)
    else:
        softmax = plan.nothing()
        plan.forward(*inputs, out, softmax)
    return out, softmax


def launch_query_side(
    plan: Plan, inputs: Inputs, out: Tensor, grad_out: Tensor, softmax: Tensor
) -> tuple[Tensor, Tensor, Tensor]:
    """The query's gradient (N, G, Ho, Wo), the prior's (k, k, G) in the dtype of sums, and −Σ_c dy·y and query by part.

    The prior's is empty where there is no prior.
    """
    query, pixels, k = plan.query, inputs[0], plan.kernel_size
    slices = query.geometry.slices
    grad_query = torch.empty_like(pixels) if slices == 1 else _parts(pixels, plan, slices)
    mean = torch.empty_strided(plan.mean_shape, plan.mean_stride, dtype=plan.wide, device=plan.device)
    if plan.prior:
        tables = torch.empty((query.tiles, k, k, plan.groups * slices), dtype=plan.wide, device=plan.device)
    else:
        tables = plan.nothing()
    query(*inputs, out, grad_out, softmax, grad_query, tables, mean)
    grad_prior = tables.sum(0) if plan.prior else tables
    if slices > 1:
        grad_query = _sum_slices(grad_query, slices)
        grad_prior = grad_prior.unflatten(-1, (-1, slices)).sum(-1) if plan.prior else grad_prior
    return grad_query, grad_prior, mean


def launch_key_side(
    plan: Plan, inputs: Inputs, grad_out: Tensor, softmax: Tensor, mean: Tensor
) -> tuple[Tensor, Tensor]:
    """The gradients of key (N, G, H, W) and value (N, C, H, W)."""
    slices = plan.key.geometry.slices
    if slices != plan.query.geometry.slices:
        parts, left = plan.groups * slices, plan.groups * plan.query.geometry.slices
        raise ValueError(f"members must be the query side's: it left {left} sums a pixel, expected {parts}")
    grad_key = torch.empty_like(inputs[1]) if slices == 1 else _parts(inputs[1], plan, slices)
    grad_value = torch.empty_like(inputs[2])
    plan.key(*inputs[1:], grad_out, softmax, mean, grad_key, grad_value)
    return _sum_slices(grad_key, slices) if slices > 1 else grad_key, grad_value


def _parts(pixels: Tensor, plan: Plan, parts: int) -> Tensor:
    """Memory for so many numbers in the dtype of sums for each group of each pixel of an image (N, G, H, W)."""
    batch, groups, height, width = pixels.shape
    shape = (batch, groups * parts, height, width)
    return torch.empty(shape, dtype=plan.wide, device=pixels.device, memory_format=torch.channels_last)


def _sum_slices(parts: Tensor, slices: int) -> Tensor:
    """(N, G·slices, H, W) → (N, G, H, W): every gradient of a group is linear in its slices."""
    sums: Tensor = parts.permute(0, 2, 3, 1).unflatten(-1, (-1, slices)).sum(-1)
    return sums.permute(0, 3, 1, 2)


def interpreting() -> bool:
    """Whether the kernels run in Triton's interpreter, on CPU tensors."""
    return not isinstance(local_relation_forward_kernel, triton.runtime.JITFunction)


def extra_elements(problem: Problem, device: torch.device, *, backward: bool) -> tuple[int, int]:
    """Elements that the kernels allocate in the dtype of accumulation, and in the value's: at the peak of a call."""
    out_pixels = problem.batch * problem.out_height * problem.out_width
    in_pixels = problem.batch * problem.height * problem.width
    narrow = out_pixels * problem.channels
    if problem.memory_format == "contiguous":  # query, key, value go in and the output comes out through copies
        narrow += out_pixels * (problem.channels + problem.groups) + in_pixels * (problem.channels + problem.groups)
    if not backward:
        return 0, narrow
    query = plan_of(problem, device).query
    parts = query.geometry.parts
    wide = 2 * out_pixels * (problem.groups + parts) + query.tiles * problem.kernel_size**2 * parts * problem.prior
    narrow += out_pixels * problem.groups + in_pixels * (problem.groups + problem.channels)
    return wide, narrow
