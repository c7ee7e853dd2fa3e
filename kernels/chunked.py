"""`chunked`: the unfolded relation over a few rows and groups at a time, in a memory budget, forward and backward."""

import os
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import product
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from .dense import relate
from .problem import Problem, require_int
from .tensors import accumulation_dtype, merge_groups, pad_image, split_groups, valid_taps

# A chunk that stays in a core's caches is faster than one that does not; a GPU wants enough work per launch.
_FAST_CHUNK_BYTES = {"cpu": 2 << 20, "cuda": 256 << 20}
_SHARE_OF_FREE = 0.25


def unsupported(problem: Problem, device: torch.device) -> str | None:  # noqa: ARG001
    """Return why the problem cannot run on the device, or None."""
    if device.type not in _FAST_CHUNK_BYTES:
        return f"chunk sizes are known for {' and '.join(_FAST_CHUNK_BYTES)}, not for {device.type}"
    return None


def extra_bytes(problem: Problem, device: torch.device, *, backward: bool) -> int:
    """Predicted peak of memory above the inputs: one chunk, padded copies, the output and the gradients."""
    itemsize = 8 if problem.dtype == "float64" else 4
    pixels = problem.batch * (problem.height + 2 * problem.padding) * (problem.width + 2 * problem.padding)
    padded = pixels * problem.groups * (problem.m + 1) * itemsize
    output = problem.batch * problem.out_height * problem.out_width * problem.channels * itemsize
    return (
        max(_FAST_CHUNK_BYTES[device.type], _row_bytes(problem))
        + 2 * output
        + padded * (3 if backward else 1)
    )


def run(
    problem: Problem,
    query: Tensor,
    key: Tensor,
    value: Tensor,
    prior: Tensor | None,
    memory_budget: int | None = None,
) -> Tensor:
    """y (N, C, Ho, Wo) for query (N, G, Ho, Wo), key (N, G, H, W), value (N, C, H, W), prior (G, k, k).

    `memory_budget` is the bytes that the windows of one chunk may take, in backward as well; by default what is
    fast on the device, at most a quarter of the memory that is free there.

    Raises:
        ValueError: The budget does not hold one row of output pixels of one group.
    """
    budget = _default_budget(problem, value.device) if memory_budget is None else memory_budget
    out: Tensor = _Chunked.apply(_plan(problem, budget), query, key, value, prior)
    return out


@dataclass(frozen=True)
class _Chunk:
    """A block of images, groups and output rows, with the padded input rows that its windows touch."""

    images: slice
    groups: slice
    rows: slice
    input_rows: slice


@dataclass(frozen=True)
class _Plan:
    """A problem cut into chunks of so many output rows, groups and images."""

    problem: Problem
    rows: int
    groups: int
    images: int

    def chunks(self) -> Iterator[_Chunk]:
        """Every chunk once, rows innermost."""
        problem = self.problem
        images = _blocks(problem.batch, self.images)
        groups = _blocks(problem.groups, self.groups)
        for image, group, row in product(images, groups, _blocks(problem.out_height, self.rows)):
            stop = (row.stop - 1) * problem.stride + problem.span
            yield _Chunk(image, group, row, slice(row.start * problem.stride, stop))


def _blocks(size: int, step: int) -> list[slice]:
    return [slice(start, min(start + step, size)) for start in range(0, size, step)]


def _plan(problem: Problem, memory_budget: int) -> _Plan:
    """As many rows as the budget holds; once all rows fit, as many groups; then as many images."""
    require_int("memory_budget", memory_budget, 1)
    capacity = memory_budget // _row_bytes(problem)
    if capacity < 1:
        raise ValueError(
            f"memory_budget must hold one row of output pixels of one group, {_row_bytes(problem)} bytes, "
            f"got {memory_budget}"
        )
    rows = min(capacity, problem.out_height)
    groups = min(max(1, capacity // problem.out_height), problem.groups)
    images = min(max(1, capacity // (problem.out_height * problem.groups)), problem.batch)
    return _Plan(problem, rows, groups, images)


def _row_bytes(problem: Problem) -> int:
    """Peak bytes of the windows of one row of output pixels of one group of one image, in backward."""
    copies = (
        4 * problem.m + 4
    )  # per member: value, product, their gradients; per group: key, logits, weights, gradient
    itemsize = 8 if problem.dtype == "float64" else 4
    return problem.kernel_size**2 * problem.out_width * copies * itemsize


def _default_budget(problem: Problem, device: torch.device) -> int:
    if device.type == "cuda":
        free = torch.cuda.mem_get_info(device)[0]
    else:
        free = os.sysconf("SC_AVPHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    return min(max(_FAST_CHUNK_BYTES[device.type], _row_bytes(problem)), int(_SHARE_OF_FREE * free))


class _Chunked(torch.autograd.Function):
    """Saves its inputs alone; backward lays out each chunk again and differentiates it there."""

    @staticmethod
    def forward(
        ctx: Any, plan: _Plan, query: Tensor, key: Tensor, value: Tensor, prior: Tensor | None
    ) -> Tensor:
        ctx.plan = plan
        ctx.save_for_backward(query, key, value, prior)
        problem = plan.problem
        padded, valid = _prepare(problem, key, value)
        out = query.new_empty(problem.batch, problem.groups, problem.m, problem.out_height, problem.out_width)
        for chunk in plan.chunks():
            operands = _operands(chunk, query, *padded, prior)
            out[chunk.images, chunk.groups, :, chunk.rows] = relate(*operands, _rows(valid, chunk), problem)
        return merge_groups(out, problem)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad_out: Tensor) -> tuple[Tensor | None, ...]:
        problem: Problem = ctx.plan.problem
        query, key, value, prior = ctx.saved_tensors
        wide = accumulation_dtype(value.dtype)
        padded, valid = _prepare(problem, key, value)
        grad_out = split_groups(grad_out, problem)
        inputs = (query, *padded, prior)
        totals = [None if t is None else torch.zeros_like(t, dtype=wide) for t in inputs]
        for chunk in ctx.plan.chunks():
            leaves = [
                None if t is None else t.detach().to(wide).requires_grad_() for t in _operands(chunk, *inputs)
            ]
            with torch.enable_grad():
                out = relate(*leaves, _rows(valid, chunk), problem)
            given = grad_out[chunk.images, chunk.groups, :, chunk.rows].to(wide)
            parts = torch.autograd.grad(out, [leaf for leaf in leaves if leaf is not None], given)
            for total, part in zip(
                _operands(chunk, *totals), parts, strict=False
            ):  # prior, the last, may be None
                total += part
        grad_query, grad_key, grad_value, grad_prior = totals
        grads = (
            grad_query,
            _crop(grad_key, problem),
            merge_groups(_crop(grad_value, problem), problem),
            grad_prior,
        )
        narrow = [None if g is None else g.to(t.dtype) for g, t in zip(grads, ctx.saved_tensors, strict=True)]
        return None, *narrow


def _prepare(problem: Problem, key: Tensor, value: Tensor) -> tuple[tuple[Tensor, Tensor], Tensor | None]:
    """Key and grouped value with zeros around the image, and the mask of taps where there is one."""
    valid = valid_taps(problem, value.device) if problem.padding_mode == "mask" else None
    return (pad_image(key, problem), pad_image(split_groups(value, problem), problem)), valid


def _operands(chunk: _Chunk, query: Any, key: Any, value: Any, prior: Any) -> tuple[Any, Any, Any, Any]:
    """The parts of query, padded key, padded grouped value and prior that a chunk needs, as views."""
    return (
        query[chunk.images, chunk.groups, chunk.rows],
        key[chunk.images, chunk.groups, chunk.input_rows],
        value[chunk.images, chunk.groups, :, chunk.input_rows],
        None if prior is None else prior[chunk.groups],
    )


def _rows(valid: Tensor | None, chunk: _Chunk) -> Tensor | None:
    return None if valid is None else valid[:, :, chunk.rows]


def _crop(padded: Tensor, problem: Problem) -> Tensor:
    """The image without the zeros around it."""
    rows = slice(problem.padding, problem.padding + problem.height)
    return padded[..., rows, problem.padding : problem.padding + problem.width]
