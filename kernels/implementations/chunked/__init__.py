"""`chunked`: rows and groups at a time, one row of taps after another, in a memory budget, forward and backward."""

from typing import Any

import torch
from torch import Tensor

from ...derivatives import differentiable_once
from ...opaque import Operands, opaque
from ...problem import Problem, require_int
from ...tensors import accumulation_dtype
from .chunking import DEVICES, Plan, chunk_bytes, default_budget, plan
from .relation import gradients, relate


def unsupported(problem: Problem, device: torch.device, *, backward: bool) -> str | None:  # noqa: ARG001
    """Return why the problem cannot run on the device, or None."""
    if device.type not in DEVICES:
        return f"chunk sizes are known for {' and '.join(DEVICES)}, not for {device.type}"
    return None


def extra_bytes(problem: Problem, device: torch.device, *, backward: bool) -> int:
    """Predicted peak of memory above the inputs: one chunk, padded copies, the output and the gradients."""
    itemsize = 8 if problem.dtype == "float64" else 4
    pixels = problem.batch * (problem.height + 2 * problem.padding) * (problem.width + 2 * problem.padding)
    padded = pixels * problem.groups * (problem.m + 1) * itemsize
    output = problem.batch * problem.out_height * problem.out_width * problem.channels * itemsize
    whole = chunk_bytes(problem, problem.out_height) * problem.groups * problem.batch
    chunk = min(whole, default_budget(problem, device))
    return chunk + output + padded * (3 if backward else 1)


def run(
    problem: Problem,
    query: Tensor,
    key: Tensor,
    value: Tensor,
    prior: Tensor | None,
    memory_budget: int | None = None,
) -> Tensor:
    """y (N, C, Ho, Wo) for query (N, G, Ho, Wo), key (N, G, H, W), value (N, C, H, W), prior (G, k, k).

    `memory_budget` is the bytes that one chunk may take, in backward as well: weights and their gradients, and its
    inputs in the dtype of accumulation. By default 8 MiB on a CPU, and on a GPU a sixth of its memory, from 1 to
    10 GiB, whatever of it is free.

    Raises:
        ValueError: The budget does not hold one row of output pixels of one group.
    """
    if memory_budget is not None:
        memory_budget = require_int("memory_budget", memory_budget, 1)
    if torch.compiler.is_compiling():
        return _apply(problem, (query, key, value, prior), memory_budget)
    cut = _cut(problem, value.device, memory_budget)
    out: Tensor = _Chunked.apply(cut, query, key, value, prior)  # type: ignore[no-untyped-call]
    return out


def _cut(problem: Problem, device: torch.device, memory_budget: int | None) -> Plan:
    return plan(problem, default_budget(problem, device) if memory_budget is None else memory_budget)


class _Chunked(torch.autograd.Function):
    """Saves its inputs alone; backward computes each chunk's weights again."""

    @staticmethod
    def forward(ctx: Any, cut: Plan, query: Tensor, key: Tensor, value: Tensor, prior: Tensor | None) -> Tensor:
        ctx.plan = cut
        ctx.save_for_backward(query, key, value, prior)
        return relate(cut, query, key, value, prior).data  # no view, which the caller could not write into

    @staticmethod
    @differentiable_once("chunked")
    def backward(ctx: Any, grad_out: Tensor) -> tuple[Tensor | None, ...]:
        query, key, value, prior = ctx.saved_tensors
        return None, *gradients(ctx.plan, query, key, value, prior, grad_out)


def _forward(problem: Problem, operands: Operands, memory_budget: int | None) -> tuple[Tensor, Tensor]:
    query, _, value, _ = operands
    out = relate(_cut(problem, value.device, memory_budget), *operands)
    return out, query.new_empty(0, *query.shape, dtype=accumulation_dtype(value.dtype))


def _backward(
    problem: Problem, operands: Operands, _: Tensor, grad_out: Tensor, memory_budget: int | None
) -> tuple[Tensor, Tensor, Tensor, Tensor | None]:
    return gradients(_cut(problem, grad_out.device, memory_budget), *operands, grad_out)


_apply = opaque("chunked", _forward, _backward, saved=0)
