"""`compiled`: torch.compile of sums over strided views of the windows, forward and a gather backward."""

from collections.abc import Callable
from functools import cache, partial
from typing import Any

import torch
from torch import Tensor

from ..compilation import compiled_alone, no_compiler
from ..composability import COMPOSABILITY
from ..derivatives import differentiable_once
from ..problem import Problem
from ..tensors import accumulation_dtype, merge_groups, pad_image, split_groups, valid_taps, windows


def unsupported(problem: Problem, device: torch.device, *, backward: bool) -> str | None:  # noqa: ARG001
    """Return why the problem cannot run on the device, or None."""
    return no_compiler(device)


def extra_bytes(problem: Problem, device: torch.device, *, backward: bool) -> int:  # noqa: ARG001
    """Predicted peak of memory above the inputs: padded copies, the output, and k² weights per group and pixel."""
    itemsize = 8 if problem.dtype == "float64" else 4
    pixels = problem.batch * (problem.height + 2 * problem.padding) * (problem.width + 2 * problem.padding)
    padded = pixels * problem.groups * (problem.m + 1)
    out_pixels = problem.batch * problem.out_height * problem.out_width
    weights = out_pixels * problem.groups * problem.kernel_size**2
    output = out_pixels * problem.channels
    return itemsize * (output + padded + weights if not backward else output + 3 * padded + 5 * weights)


def run(problem: Problem, query: Tensor, key: Tensor, value: Tensor, prior: Tensor | None) -> Tensor:
    """y (N, C, Ho, Wo) for query (N, G, Ho, Wo), key (N, G, H, W), value (N, C, H, W), prior (G, k, k)."""
    out: Tensor = _Compiled.apply(problem, query, key, value, prior)  # type: ignore[no-untyped-call]
    return out


class _Compiled(torch.autograd.Function):
    """Saves inputs and log-sum-exp. Forward is one compiled function; backward is three.

    In one, the compiler nests the sum over channels in the sum over taps, which took over ten times as long.
    """

    @staticmethod
    def forward(ctx: Any, problem: Problem, query: Tensor, key: Tensor, value: Tensor, prior: Tensor | None) -> Tensor:
        out: Tensor
        out, log_sum_exp = _specialised(_forward, problem)(*_plain(query, key, value, prior))
        ctx.problem = problem
        ctx.save_for_backward(query, key, value, prior, log_sum_exp)
        return out

    @staticmethod
    @differentiable_once("compiled")
    def backward(ctx: Any, grad_out: Tensor) -> tuple[Tensor | None, ...]:
        problem: Problem = ctx.problem
        inputs = _plain(*ctx.saved_tensors, grad_out)
        query, key, _, prior, *_ = inputs
        weights, grad_weights, grad = _specialised(_weigh, problem)(*inputs)
        grad_query, grad_keys, grad_prior = _specialised(_query_side, problem)(query, key, prior, weights, grad_weights)
        spread = [_spread(tensor, problem) for tensor in (weights, grad_keys, grad)]
        grad_key, grad_value = _specialised(_key_side, problem)(*spread)
        return None, grad_query, grad_key.to(grad_query.dtype), grad_value.to(grad_query.dtype), grad_prior


def _plain(*tensors: Tensor | None) -> list[Tensor | None]:
    """The tensors in the one form that a problem is compiled for: contiguous and free of autograd."""
    return [None if tensor is None else tensor.detach().contiguous() for tensor in tensors]


def _specialised(function: Callable[..., Any], problem: Problem) -> Callable[..., Any]:
    """`function` compiled for one problem; as it is where it becomes part of something that is compiled."""
    return partial(function, problem) if torch.compiler.is_compiling() else _compiled(function, problem)


@cache
def _compiled(function: Callable[..., Any], problem: Problem) -> Callable[..., Any]:
    return partial(compiled_alone(function), problem)


def _forward(
    problem: Problem, query: Tensor, key: Tensor, value: Tensor, prior: Tensor | None
) -> tuple[Tensor, Tensor]:
    """The output (N, C, Ho, Wo) and the logits' log-sum-exp (N, G, Ho, Wo)."""
    wide = accumulation_dtype(value.dtype)
    logits = _logits(problem, query.to(wide), _windows(key.to(wide), problem), prior)
    largest = logits.amax((0, 1))
    weights = (logits - largest).exp()
    total = weights.sum((0, 1))
    values = _windows(split_groups(value.to(wide), problem), problem)
    out = (weights.unsqueeze(4) * values).sum((0, 1)) / total.unsqueeze(2)
    # The dtype first: traced by another compiler, torch 2.11 loses the gradient of a full slice followed by a cast.
    return merge_groups(out.to(value.dtype), problem), largest + total.log()


def _weigh(
    problem: Problem,
    query: Tensor,
    key: Tensor,
    value: Tensor,
    prior: Tensor | None,
    log_sum_exp: Tensor,
    grad_out: Tensor,
) -> tuple[Tensor, Tensor, Tensor]:
    """Weights w and their gradients d = Σ_c dy·x, both (k, k, N, G, Ho, Wo), and dy in groups."""
    wide = accumulation_dtype(value.dtype)
    logits = _logits(problem, query.to(wide), _windows(key.to(wide), problem), prior)
    grad = split_groups(grad_out.to(wide), problem)
    values = _windows(split_groups(value.to(wide), problem), problem)
    return (logits - log_sum_exp).exp(), (values * grad).sum(4), grad.contiguous()


def _query_side(
    problem: Problem, query: Tensor, key: Tensor, prior: Tensor | None, weights: Tensor, grad_weights: Tensor
) -> tuple[Tensor, Tensor, Tensor | None]:
    """Gradients of the query, of its keys tap by tap, and of the prior; a logit's is w·(d − Σ_taps w·d)."""
    composability = COMPOSABILITY[problem.composability]
    wide_query, keys = query.to(weights.dtype), _windows(key.to(weights.dtype), problem)
    grad_logits = weights * (grad_weights - (weights * grad_weights).sum((0, 1)))
    grad_query = (grad_logits * composability.query_slope(wide_query, keys)).sum((0, 1))
    grad_prior = None if prior is None else grad_logits.sum((2, 4, 5)).permute(2, 0, 1).to(prior.dtype)
    return grad_query.to(query.dtype), grad_logits * composability.key_slope(wide_query, keys), grad_prior


def _key_side(problem: Problem, weights: Tensor, grad_keys: Tensor, grad: Tensor) -> tuple[Tensor, Tensor]:
    """Gradients of key and value, each pixel's summed over the queries that see it, from spread tensors."""
    grad_key = _at_keys(grad_keys, problem).sum((0, 1))
    grad_value = (_at_keys(weights, problem).unsqueeze(4) * _queries_of_keys(grad, problem)).sum((0, 1))
    return grad_key, merge_groups(grad_value, problem)


def _logits(problem: Problem, query: Tensor, keys: Tensor, prior: Tensor | None) -> Tensor:
    """(k, k, N, G, Ho, Wo), −inf for a tap that takes no part."""
    logits = COMPOSABILITY[problem.composability].value(query, keys)
    if prior is not None:
        logits = logits + prior.to(query.dtype).permute(1, 2, 0)[:, :, None, :, None, None]
    if problem.padding_mode == "mask":
        logits = logits.where(valid_taps(problem, query.device)[:, :, None, None], -torch.inf)
    return logits


def _windows(image: Tensor, problem: Problem) -> Tensor:
    """(…, H, W) → (k, k, …, Ho, Wo): tap (u, v) of every output pixel, a view of the padded image."""
    return windows(pad_image(image, problem).contiguous(), problem)


def _spread(queries: Tensor, problem: Problem) -> Tensor:
    """(…, Ho, Wo) → (…, H + E, W + E), E = d·(k−1): zeros but at y = E − pad + s·i, where output row i stands."""
    s, edge = problem.stride, problem.span - 1
    *outer, height, width = queries.shape
    low = edge - problem.padding
    image = queries.new_zeros(*outer, problem.height + edge, problem.width + edge)
    image[..., low : low + (height - 1) * s + 1 : s, low : low + (width - 1) * s + 1 : s] = queries
    return image


def _at_keys(spread: Tensor, problem: Problem) -> Tensor:
    """(k, k, …, H, W): for each pixel, what the query whose tap (u, v) it is holds for that tap."""
    u, v, *outer, row, column = spread.stride()
    k, d, edge = problem.kernel_size, problem.dilation, problem.span - 1
    # With k = 1 the strides of u and v mean nothing, and may be anything.
    steps = (u - d * row, v - d * column) if k > 1 else (0, 0)
    size = (k, k, *spread.shape[2:-2], problem.height, problem.width)
    return spread.as_strided(size, (*steps, *outer, row, column), edge * (row + column))


def _queries_of_keys(spread: Tensor, problem: Problem) -> Tensor:
    """(k, k, …, H, W): for each pixel, what the query whose tap (u, v) it is holds."""
    *outer, row, column = spread.stride()
    k, d = problem.kernel_size, problem.dilation
    size = (k, k, *spread.shape[:-2], problem.height, problem.width)
    return spread.as_strided(size, (d * row, d * column, *outer, row, column)).flip(0, 1)
