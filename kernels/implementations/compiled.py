"""`compiled`: torch.compile of sums over strided views of the windows, forward and a gather backward.

On a CPU rows narrower than a vector are filled up to one, and what comes out of them is cut: where a loop is shorter
than a vector, torch 2.13 and 2.14 start their threads within loops, anew in each iteration. What stands beyond a row's
end is never read.
"""

from collections.abc import Callable
from functools import cache, partial
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from ..compilation import compiled_alone, no_compiler, vector_lanes
from ..composability import COMPOSABILITY
from ..derivatives import differentiable_once
from ..opaque import Operands, opaque
from ..plain import ordinary
from ..problem import Problem
from ..tensors import accumulation_dtype, merge_groups, split_groups, valid_taps, windows


def unsupported(problem: Problem, device: torch.device, *, backward: bool) -> str | None:  # noqa: ARG001
    """Return why the problem cannot run on the device, or None."""
    return no_compiler(device)


def extra_bytes(problem: Problem, device: torch.device, *, backward: bool) -> int:
    """Predicted peak of memory above the inputs: padded copies, the output, and k² weights per group and pixel."""
    itemsize = 8 if problem.dtype == "float64" else 4
    lanes = vector_lanes(device)
    pixels = problem.batch * (problem.height + 2 * problem.padding) * (max(problem.width, lanes) + 2 * problem.padding)
    padded = pixels * problem.groups * (problem.m + 1)
    out_pixels = problem.batch * problem.out_height * max(problem.out_width, lanes)
    weights = out_pixels * problem.groups * problem.kernel_size**2
    output = out_pixels * problem.channels
    return itemsize * (output + padded + weights if not backward else output + 3 * padded + 5 * weights)


def run(problem: Problem, query: Tensor, key: Tensor, value: Tensor, prior: Tensor | None) -> Tensor:
    """y (N, C, Ho, Wo) for query (N, G, Ho, Wo), key (N, G, H, W), value (N, C, H, W), prior (G, k, k)."""
    if torch.compiler.is_compiling():
        return _apply(problem, (query, key, value, prior), None)
    out: Tensor = _Compiled.apply(problem, query, key, value, prior)  # type: ignore[no-untyped-call]
    return out


class _Compiled(torch.autograd.Function):
    """Saves inputs, and each softmax's largest logit and sum."""

    @staticmethod
    def forward(ctx: Any, problem: Problem, query: Tensor, key: Tensor, value: Tensor, prior: Tensor | None) -> Tensor:
        out, kept = _relate(problem, (query, key, value, prior))
        ctx.problem = problem
        ctx.save_for_backward(query, key, value, prior, kept)
        return out.data  # no view, which the caller could not write into

    @staticmethod
    @differentiable_once("compiled")
    def backward(ctx: Any, grad_out: Tensor) -> tuple[Tensor | None, ...]:
        *operands, kept = ctx.saved_tensors
        return None, *_gradients(ctx.problem, (operands[0], operands[1], operands[2], operands[3]), kept, grad_out)


def _relate(problem: Problem, operands: Operands, _: int | None = None) -> tuple[Tensor, Tensor]:
    """The output (N, C, Ho, Wo) and what backward needs of it (2, N, G, Ho, Wo), in one compiled function."""
    tensors = _detached(_filled_up(operands[0]), *operands[1:])
    found: tuple[Tensor, Tensor] = _specialised(_forward, problem, tensors)(*tensors)
    return found


def _gradients(
    problem: Problem, operands: Operands, kept: Tensor, grad_out: Tensor, _: int | None = None
) -> tuple[Tensor, Tensor, Tensor, Tensor | None]:
    """Those of query, key, value and prior, in three compiled functions.

    In one, the compiler nests the sum over channels in the sum over taps, which took over ten times as long.
    """
    inputs = _detached(_filled_up(operands[0]), *operands[1:], _filled_up(kept), _filled_up(grad_out))
    query, key, _value, prior, *_rest = inputs
    weigh, query_side, key_side = (_specialised(f, problem, inputs) for f in (_weigh, _query_side, _key_side))
    weights, grad_weights, grad = weigh(*inputs)
    grad_query, grad_keys, grad_prior = query_side(query, key, prior, weights, grad_weights)
    grad_key, grad_value = key_side(*(_spread(tensor, problem) for tensor in (weights, grad_keys, grad)))
    return grad_query, grad_key.to(grad_query.dtype), grad_value.to(grad_query.dtype), grad_prior


_apply = opaque("compiled", _relate, _gradients, saved=2)


def _detached(*tensors: Tensor | None) -> list[Tensor | None]:
    """The tensors in the one form that a problem is compiled for: contiguous and free of autograd."""
    return [None if tensor is None else tensor.detach().contiguous() for tensor in tensors]


def _filled_up(rows: Tensor) -> Tensor:
    """(…, Wo) → (…, a vector's lanes), where those are more."""
    missing = vector_lanes(rows.device) - rows.shape[-1]
    return F.pad(rows.detach(), (0, missing)) if missing > 0 else rows


def _cut(rows: Tensor, width: int) -> Tensor:
    """The first `width` columns, the inverse of filling up."""
    return rows if rows.shape[-1] == width else rows[..., :width].contiguous()


def _specialised(function: Callable[..., Any], problem: Problem, tensors: list[Tensor | None]) -> Callable[..., Any]:
    """`function` compiled for one problem; as it is for a mode or whoever else looks at torch's operators.

    Compiled code would show them nothing, and takes what only looks like a tensor for memory.
    """
    return _compiled(function, problem) if ordinary(*tensors) else partial(function, problem)


@cache
def _compiled(function: Callable[..., Any], problem: Problem) -> Callable[..., Any]:
    return partial(compiled_alone(function), problem)


def _forward(
    problem: Problem, query: Tensor, key: Tensor, value: Tensor, prior: Tensor | None
) -> tuple[Tensor, Tensor]:
    """The output (N, C, Ho, Wo), and the largest logit and the sum of each softmax (2, N, G, Ho, Wo).

    The query may be filled up. In one number, their log-sum-exp, the weights would be lost beside large logits.
    """
    wide = accumulation_dtype(value.dtype)
    columns = query.shape[-1]
    logits = _logits(problem, query.to(wide), _windows(key.to(wide), problem, columns), prior)
    largest = logits.amax((0, 1))
    weights = (logits - largest).exp()
    total = weights.sum((0, 1))
    values = _windows(split_groups(value.to(wide), problem), problem, columns)
    out = merge_groups(((weights.unsqueeze(4) * values).sum((0, 1)) / total.unsqueeze(2)).to(value.dtype), problem)
    return _cut(out, problem.out_width), _cut(torch.stack([largest, total]), problem.out_width)


def _weigh(
    problem: Problem,
    query: Tensor,
    key: Tensor,
    value: Tensor,
    prior: Tensor | None,
    kept: Tensor,
    grad_out: Tensor,
) -> tuple[Tensor, Tensor, Tensor]:
    """Weights w and their gradients d = Σ_c dy·x, both (k, k, N, G, Ho, Wo), and dy in groups, all filled up."""
    wide = accumulation_dtype(value.dtype)
    columns = query.shape[-1]
    logits = _logits(problem, query.to(wide), _windows(key.to(wide), problem, columns), prior)
    grad = split_groups(grad_out.to(wide), problem)
    values = _windows(split_groups(value.to(wide), problem), problem, columns)
    largest, total = kept
    return (logits - largest).exp() / total, (values * grad).sum(4), grad.contiguous()


def _query_side(
    problem: Problem, query: Tensor, key: Tensor, prior: Tensor | None, weights: Tensor, grad_weights: Tensor
) -> tuple[Tensor, Tensor, Tensor | None]:
    """Gradients of the query, of its keys tap by tap, and of the prior; a logit's is w·(d − Σ_taps w·d)."""
    composability = COMPOSABILITY[problem.composability]
    wide_query, keys = query.to(weights.dtype), _windows(key.to(weights.dtype), problem, query.shape[-1])
    grad_logits = weights * (grad_weights - (weights * grad_weights).sum((0, 1)))
    grad_query = (grad_logits * composability.query_slope(wide_query, keys)).sum((0, 1))
    of_rows = grad_logits[..., : problem.out_width]
    grad_prior = None if prior is None else of_rows.sum((2, 4, 5)).permute(2, 0, 1).to(prior.dtype)
    grad_keys = grad_logits * composability.key_slope(wide_query, keys)
    return _cut(grad_query.to(query.dtype), problem.out_width), grad_keys, grad_prior


def _key_side(problem: Problem, weights: Tensor, grad_keys: Tensor, grad: Tensor) -> tuple[Tensor, Tensor]:
    """Gradients of key and value, each pixel's summed over the queries that see it, from spread tensors."""
    grad_key = _at_keys(grad_keys, problem).sum((0, 1))
    grad_value = (_at_keys(weights, problem).unsqueeze(4) * _queries_of_keys(grad, problem)).sum((0, 1))
    return _cut(grad_key, problem.width), _cut(merge_groups(grad_value, problem), problem.width)


def _logits(problem: Problem, query: Tensor, keys: Tensor, prior: Tensor | None) -> Tensor:
    """(k, k, N, G, Ho, Wo), −inf for a tap that takes no part."""
    logits = COMPOSABILITY[problem.composability].value(query, keys)
    if prior is not None:
        logits = logits + prior.to(query.dtype).permute(1, 2, 0)[:, :, None, :, None, None]
    if problem.padding_mode == "mask":
        logits = logits.where(valid_taps(problem, query.device, query.shape[-1])[:, :, None, None], -torch.inf)
    return logits


def _windows(image: Tensor, problem: Problem, columns: int) -> Tensor:
    """(…, H, W) → (k, k, …, Ho, columns): tap (u, v) of every output pixel, a view of the padded image."""
    pad = problem.padding
    missing = (columns - 1) * problem.stride + problem.span - (problem.width + 2 * pad)
    padded = F.pad(image, (pad, pad + max(0, missing), pad, pad)).contiguous()
    return windows(padded, problem, columns=columns)


def _spread(queries: Tensor, problem: Problem) -> Tensor:
    """(…, Ho, Wo) → (…, H + E, W + E), E = d·(k−1): zeros but at y = E − pad + s·i, where output row i stands.

    W is filled up, where the columns beyond Wo that were filled up are left out.
    """
    s, edge = problem.stride, problem.span - 1
    low = edge - problem.padding
    width = max(problem.width, vector_lanes(queries.device))
    image = queries.new_zeros(*queries.shape[:-2], problem.height + edge, width + edge)
    rows, columns = (slice(low, low + (n - 1) * s + 1, s) for n in (problem.out_height, problem.out_width))
    image[..., rows, columns] = queries[..., : problem.out_width]
    return image


def _at_keys(spread: Tensor, problem: Problem) -> Tensor:
    """(k, k, …, H, W): for each pixel, what the query whose tap (u, v) it is holds for that tap; W filled up."""
    u, v, *outer, row, column = spread.stride()
    k, d, edge = problem.kernel_size, problem.dilation, problem.span - 1
    # With k = 1 the strides of u and v mean nothing, and may be anything.
    steps = (u - d * row, v - d * column) if k > 1 else (0, 0)
    size = (k, k, *spread.shape[2:-2], problem.height, spread.shape[-1] - edge)
    return spread.as_strided(size, (*steps, *outer, row, column), edge * (row + column))


def _queries_of_keys(spread: Tensor, problem: Problem) -> Tensor:
    """(k, k, …, H, W): for each pixel, what the query whose tap (u, v) it is holds; W filled up."""
    *outer, row, column = spread.stride()
    k, d = problem.kernel_size, problem.dilation
    size = (k, k, *spread.shape[:-2], problem.height, spread.shape[-1] - problem.span + 1)
    return spread.as_strided(size, (d * row, d * column, *outer, row, column)).flip(0, 1)
