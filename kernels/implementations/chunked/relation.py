"""The arithmetic of `chunked`: one chunk after another, and in each one row of taps after another."""

import torch
from torch import Tensor

from ...composability import COMPOSABILITY
from ...problem import Problem
from ...tensors import merge_groups, split_groups, windows
from .chunking import Chunk, Plan
from .operands import Padded


def relate(cut: Plan, query: Tensor, key: Tensor, value: Tensor, prior: Tensor | None) -> Tensor:
    """y (N, C, Ho, Wo) for query (N, G, Ho, Wo), key (N, G, H, W), value (N, C, H, W), prior (G, k, k)."""
    problem = cut.problem
    operands = Padded.of(problem, query, key, value, prior)
    out = query.new_empty(problem.batch, problem.groups, problem.m, problem.out_height, problem.out_width)
    for chunk in cut.chunks():
        out[chunk.outputs] = _outputs(operands.part(chunk), chunk, problem)
    return merge_groups(out, problem)


def gradients(
    cut: Plan, query: Tensor, key: Tensor, value: Tensor, prior: Tensor | None, grad_out: Tensor
) -> tuple[Tensor, Tensor, Tensor, Tensor | None]:
    """Those of query, key, value and prior, each in its dtype, for that of the output (N, C, Ho, Wo)."""
    problem = cut.problem
    operands = Padded.of(problem, query, key, value, prior)
    grads = operands.zeros()
    grad_out = split_groups(grad_out, problem)
    for chunk in cut.chunks():
        _add_gradients(grads.part(chunk), operands.part(chunk), chunk, grad_out[chunk.outputs], problem)
    of_query, of_key, of_value, of_prior = grads.unpadded(problem)
    narrow = of_query.to(query.dtype), of_key.to(key.dtype), of_value.to(value.dtype)
    return *narrow, None if of_prior is None or prior is None else of_prior.to(prior.dtype)


def _weights(part: Padded, chunk: Chunk, problem: Problem) -> Tensor:
    """Softmax over a chunk's taps: (k, k, N, G, R, Wo)."""
    # A copy, as what is made of overlapping windows would lie in memory in the order of their strides.
    keys = windows(part.key, problem, chunk.height).contiguous()
    logits = COMPOSABILITY[problem.composability].value(part.query, keys)
    del keys
    if part.prior is not None:
        logits += part.prior.permute(1, 2, 0)[:, :, None, :, None, None]
    if part.outside is not None:
        logits.masked_fill_(part.outside[:, :, None, None], -torch.inf)
    return torch.unflatten(logits.flatten(0, 1).softmax(0), 0, logits.shape[:2])


def _outputs(part: Padded, chunk: Chunk, problem: Problem) -> Tensor:
    """A chunk's output (N, G, m, R, Wo)."""
    weights = _weights(part, chunk, problem).unsqueeze(4)
    values = windows(part.value, problem, chunk.height)
    total = values.new_zeros(values.shape[2:])
    terms = torch.empty_like(values[0], memory_format=torch.contiguous_format)
    for row in range(problem.kernel_size):
        total += torch.mul(weights[row], values[row], out=terms).sum(0)
    return total


def _add_gradients(share: Padded, part: Padded, chunk: Chunk, grad_out: Tensor, problem: Problem) -> None:
    """Add a chunk's share to every gradient; a logit's is w·(d − Σ_taps w·d) with d = Σ_c dy·x."""
    composability = COMPOSABILITY[problem.composability]
    weights = _weights(part, chunk, problem)
    grad_logits = _add_value_gradient(share.value, part.value, weights, chunk, grad_out, problem).mul_(weights)
    grad_logits.addcmul_(weights, grad_logits.sum((0, 1)), value=-1)
    del weights
    if share.prior is not None:
        share.prior.add_(grad_logits.sum((2, 4, 5)).permute(2, 0, 1))
    keys = windows(part.key, problem, chunk.height)
    share.query.add_((grad_logits * composability.query_slope(part.query, keys)).sum((0, 1)))
    terms = grad_logits.new_zeros(*grad_logits.shape[:-1], part.key.shape[-1])
    torch.mul(
        grad_logits, composability.key_slope(part.query, keys), out=_met(terms, 1, -1, problem.out_width, problem)
    )
    del grad_logits
    of_rows = terms.sum(1)
    del terms
    terms = of_rows.new_zeros(*of_rows.shape[:-2], *part.key.shape[-2:])
    _met(terms, 0, -2, chunk.height, problem).copy_(of_rows)
    del of_rows
    share.key.add_(terms.sum(0))


def _add_value_gradient(
    share: Tensor, value: Tensor, weights: Tensor, chunk: Chunk, grad_out: Tensor, problem: Problem
) -> Tensor:
    """Add a chunk's share to the value's gradient; returns the weights' (k, k, N, G, R, Wo)."""
    grad_out = grad_out.to(value.dtype)
    values = windows(value, problem, chunk.height)
    grad_weights = torch.empty_like(weights)
    # A plane for each tap of a row, and in it the pixels that the tap meets; the others stay zero.
    terms = value.new_zeros(problem.kernel_size, *value.shape[:3], chunk.height, value.shape[-1])
    met = _met(terms, 0, -1, problem.out_width, problem)
    span = (chunk.height - 1) * problem.stride + 1
    for row in range(problem.kernel_size):
        torch.sum(torch.mul(values[row], grad_out, out=met), 3, out=grad_weights[row])
        torch.mul(weights[row].unsqueeze(3), grad_out, out=met)
        first = row * problem.dilation
        share[..., first : first + span : problem.stride, :].add_(terms.sum(0))
    return grad_weights


def _met(planes: Tensor, taps: int, pixels: int, count: int, problem: Problem) -> Tensor:
    """What each tap of so many windows meets along a side of the image, as a view of a plane for each tap.

    `taps` and `pixels` are dimensions; no number of the view is there twice.
    """
    size, stride = list(planes.shape), list(planes.stride())
    size[pixels] = count
    stride[taps] += problem.dilation * stride[pixels]
    stride[pixels] *= problem.stride
    return planes.as_strided(size, stride)
