"""Launching the kernels: allocation, grids and arguments; tensors come and go in (N, H, W, C) order."""

from typing import NamedTuple

import torch
import triton
from torch import Tensor

from ...problem import Problem
from ...tensors import accumulation_dtype
from .backward import local_relation_key_kernel, local_relation_query_kernel
from .forward import local_relation_forward_kernel
from .geometry import geometry_of
from .settings import KERNELS, Kernel, Settings, tiled
from .tuned import settings_of


class Inputs(NamedTuple):
    """Query (N, Ho, Wo, G), key (N, H, W, G), value (N, H, W, C) and prior (k², G), contiguous."""

    query: Tensor
    key: Tensor
    value: Tensor
    prior: Tensor


def launch_forward(
    problem: Problem, inputs: Inputs, save_log_sum: bool, settings: Settings | None = None
) -> tuple[Tensor, Tensor]:
    """The output (N, Ho, Wo, C), and the log-sum of each softmax (N, Ho, Wo, G), empty where it is not saved."""
    settings = settings or settings_of("forward", problem, inputs.value.device)
    geometry = geometry_of("forward", problem, settings)
    out = inputs.value.new_empty(problem.batch, problem.out_height, problem.out_width, problem.channels)
    saved = inputs.query.shape if save_log_sum else (0,)
    log_sum = inputs.query.new_empty(saved, dtype=accumulation_dtype(inputs.value.dtype))
    grid = (geometry.tiles(problem.batch, problem.out_height, problem.out_width) * geometry.group_chunks,)
    with _device_of(inputs.value):
        local_relation_forward_kernel[grid](
            *inputs,
            out,
            log_sum,
            *_sizes(problem),
            S=geometry,
            SAVE_LOG_SUM=save_log_sum,
            **settings.options,
        )
    return out, log_sum


def launch_query_side(
    problem: Problem, inputs: Inputs, out: Tensor, grad_out: Tensor, log_sum: Tensor, settings: Settings | None = None
) -> tuple[Tensor, Tensor, Tensor]:
    """The query's gradient (N, Ho, Wo, G), the prior's (k², G), and Σ_c dy·y for the key side."""
    settings = settings or settings_of("query", problem, inputs.value.device)
    geometry = geometry_of("query", problem, settings)
    tiles = geometry.tiles(problem.batch, problem.out_height, problem.out_width)
    parts = problem.groups * geometry.slices
    wide = log_sum.dtype
    pixels = (problem.batch, problem.out_height, problem.out_width)
    grad_query = inputs.query.new_empty(*pixels, parts, dtype=inputs.query.dtype if geometry.slices == 1 else wide)
    grad_prior = inputs.query.new_empty(tiles if problem.prior else 0, problem.kernel_size**2, parts, dtype=wide)
    mean = inputs.query.new_empty(*pixels, parts, dtype=wide)
    with _device_of(inputs.value):
        local_relation_query_kernel[(tiles * geometry.group_chunks,)](
            *inputs,
            out,
            grad_out,
            log_sum,
            grad_query,
            grad_prior,
            mean,
            *_sizes(problem),
            S=geometry,
            **settings.options,
        )
    grad_prior = _sum_slices(grad_prior.sum(0), geometry.slices)
    return _sum_slices(grad_query, geometry.slices), grad_prior, mean


def launch_key_side(
    problem: Problem, inputs: Inputs, grad_out: Tensor, log_sum: Tensor, mean: Tensor, settings: Settings | None = None
) -> tuple[Tensor, Tensor]:
    """The gradients of key (N, H, W, G) and value (N, H, W, C)."""
    settings = settings or settings_of("key", problem, inputs.value.device)
    geometry = geometry_of("key", problem, settings)
    tiles = geometry.tiles(problem.batch, problem.height, problem.width)
    parts = problem.groups * geometry.slices
    if mean.shape[-1] != parts:
        raise ValueError(f"members must be the query side's: it left {mean.shape[-1]} sums a pixel, expected {parts}")
    dtype = inputs.key.dtype if geometry.slices == 1 else log_sum.dtype
    grad_key = inputs.key.new_empty(*inputs.key.shape[:3], parts, dtype=dtype)
    grad_value = torch.empty_like(inputs.value)
    with _device_of(inputs.value):
        local_relation_key_kernel[(tiles * geometry.group_chunks,)](
            *inputs,
            grad_out,
            log_sum,
            mean,
            grad_key,
            grad_value,
            *_sizes(problem),
            S=geometry,
            **settings.options,
        )
    return _sum_slices(grad_key, geometry.slices), grad_value


def _sum_slices(parts: Tensor, slices: int) -> Tensor:
    """(…, G·slices) → (…, G): every gradient of a group is linear in its slices."""
    return parts if slices == 1 else parts.unflatten(-1, (-1, slices)).sum(-1)


def _sizes(problem: Problem) -> tuple[int, int, int, int, int]:
    return problem.batch, problem.height, problem.width, problem.out_height, problem.out_width


def _device_of(tensor: Tensor) -> torch.cuda.device_of:
    """Launch where the tensor is, not on the current device; on a CPU (the interpreter) this does nothing."""
    return torch.cuda.device_of(tensor)


def interpreting() -> bool:
    """Whether the kernels run in Triton's interpreter, on CPU tensors."""
    return not isinstance(local_relation_forward_kernel, triton.runtime.JITFunction)


def programs(problem: Problem, device: torch.device) -> int:
    """Programs of the largest of the three grids."""
    return max(programs_of(kernel, problem, settings_of(kernel, problem, device)) for kernel in KERNELS)


def programs_of(kernel: Kernel, problem: Problem, settings: Settings) -> int:
    """Programs of a kernel's grid."""
    geometry = geometry_of(kernel, problem, settings)
    return geometry.tiles(problem.batch, *tiled(kernel, problem)) * geometry.group_chunks


def extra_elements(problem: Problem, device: torch.device, *, backward: bool) -> tuple[int, int]:
    """Elements that the kernels allocate in the dtype of accumulation, and in the value's: at the peak of a call."""
    out_pixels = problem.batch * problem.out_height * problem.out_width
    in_pixels = problem.batch * problem.height * problem.width
    narrow = out_pixels * problem.channels
    if problem.memory_format == "contiguous":  # query, key, value go in and the output comes out through copies
        narrow += out_pixels * (problem.channels + problem.groups) + in_pixels * (problem.channels + problem.groups)
    if not backward:
        return 0, narrow
    geometry = geometry_of("query", problem, settings_of("query", problem, device))
    parts = problem.groups * geometry.slices
    tiles = geometry.tiles(problem.batch, problem.out_height, problem.out_width)
    wide = out_pixels * (problem.groups + parts) + tiles * problem.kernel_size**2 * parts * problem.prior
    narrow += out_pixels * problem.groups + in_pixels * (problem.groups + problem.channels)
    return wide, narrow
