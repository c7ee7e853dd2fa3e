"""The arithmetic of `chunked`: one chunk after another, and in each one tap after another."""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import product

import torch
from torch import Tensor

from ...composability import COMPOSABILITY
from ...problem import Problem
from ...tensors import accumulation_dtype, merge_groups, pad_image, split_groups, valid_taps, windows
from .chunking import Chunk, Plan


def relate(cut: Plan, query: Tensor, key: Tensor, value: Tensor, prior: Tensor | None) -> Tensor:
    """y (N, C, Ho, Wo) for query (N, G, Ho, Wo), key (N, G, H, W), value (N, C, H, W), prior (G, k, k)."""
    problem = cut.problem
    operands = _Operands.of(problem, query, key, value, prior)
    out = query.new_empty(problem.batch, problem.groups, problem.m, problem.out_height, problem.out_width)
    for chunk in cut.chunks():
        part = operands.part(chunk)
        weights = _weights(part, chunk, problem)
        total = torch.zeros_like(out[chunk.outputs], dtype=weights.dtype)
        values = windows(part.value, problem, chunk.height)
        for tap in _taps(problem):
            total.addcmul_(weights[tap].unsqueeze(2), values[tap])
        out[chunk.outputs] = total
    return merge_groups(out, problem)


def gradients(
    cut: Plan, query: Tensor, key: Tensor, value: Tensor, prior: Tensor | None, grad_out: Tensor
) -> tuple[Tensor, Tensor, Tensor, Tensor | None]:
    """Those of query, key, value and prior, each in its dtype, for that of the output (N, C, Ho, Wo)."""
    problem, inputs = cut.problem, (query, key, value, prior)
    operands = _Operands.of(problem, *inputs)
    grads = operands.zeros()
    grad_out = split_groups(grad_out, problem)
    for chunk in cut.chunks():
        _add_gradients(grads, operands.part(chunk), chunk, grad_out[chunk.outputs], problem)
    of_query, of_key, of_value, of_prior = grads.unpadded(problem)
    narrow = of_query.to(query.dtype), of_key.to(key.dtype), of_value.to(value.dtype)
    return *narrow, None if of_prior is None or prior is None else of_prior.to(prior.dtype)


@dataclass(frozen=True)
class _Operands:
    """What a chunk needs: the operator's inputs in groups, with zeros around the image.

    Query (N, G, R, Wo), key (N, G, R', W'), value (N, G, m, R', W'), prior (G, k, k), valid taps (k, k, R, Wo).
    """

    query: Tensor
    key: Tensor
    value: Tensor
    prior: Tensor | None
    valid: Tensor | None

    @classmethod
    def of(cls, problem: Problem, query: Tensor, key: Tensor, value: Tensor, prior: Tensor | None) -> "_Operands":
        """The operands of a whole problem."""
        valid = valid_taps(problem, value.device) if problem.padding_mode == "mask" else None
        return cls(query, pad_image(key, problem), pad_image(split_groups(value, problem), problem), prior, valid)

    def part(self, chunk: Chunk) -> "_Operands":
        """A chunk's share in the dtype of accumulation."""
        wide = accumulation_dtype(self.query.dtype)
        return _Operands(
            self.query[chunk.images, chunk.groups, chunk.rows].to(wide),
            self.key[chunk.images, chunk.groups, chunk.input_rows].to(wide),
            self.value[chunk.images, chunk.groups, :, chunk.input_rows].to(wide),
            None if self.prior is None else self.prior[chunk.groups].to(wide),
            None if self.valid is None else self.valid[:, :, chunk.rows],
        )

    def zeros(self) -> "_Operands":
        """Where gradients are summed: zeros of the same shapes in the dtype of accumulation."""
        wide = accumulation_dtype(self.query.dtype)
        query, key, value = (torch.zeros_like(t, dtype=wide) for t in (self.query, self.key, self.value))
        return _Operands(
            query, key, value, None if self.prior is None else torch.zeros_like(self.prior, dtype=wide), None
        )

    def unpadded(self, problem: Problem) -> tuple[Tensor, Tensor, Tensor, Tensor | None]:
        """Query, key, value and prior as the operator takes them."""
        rows = slice(problem.padding, problem.padding + problem.height)
        columns = slice(problem.padding, problem.padding + problem.width)
        value = merge_groups(self.value[..., rows, columns], problem)
        return self.query, self.key[..., rows, columns], value, self.prior


def _weights(part: _Operands, chunk: Chunk, problem: Problem) -> Tensor:
    """Softmax over a chunk's taps: (k, k, N, G, R, Wo)."""
    logits = COMPOSABILITY[problem.composability].value(part.query, windows(part.key, problem, chunk.height))
    if part.prior is not None:
        logits += part.prior.permute(1, 2, 0)[:, :, None, :, None, None]
    if part.valid is not None:
        logits.masked_fill_(~part.valid[:, :, None, None], -torch.inf)
    return torch.unflatten(logits.flatten(0, 1).softmax(0), 0, logits.shape[:2])


def _taps(problem: Problem) -> Iterator[tuple[int, int]]:
    return product(range(problem.kernel_size), range(problem.kernel_size))


def _pixels_of(tap: tuple[int, int], padded: Tensor, chunk: Chunk, problem: Problem) -> Tensor:
    """The pixels (…, R, Wo) that one tap of the chunk's windows meets, as a view that may be written to."""
    (row, column), s = (problem.dilation * place for place in tap), problem.stride
    rows = slice(row, row + (chunk.height - 1) * s + 1, s)
    return padded[..., rows, column : column + (problem.out_width - 1) * s + 1 : s]


def _add_gradients(grads: _Operands, part: _Operands, chunk: Chunk, grad_out: Tensor, problem: Problem) -> None:
    """Add a chunk's share to every gradient; a logit's is w·(d − Σ_taps w·d) with d = Σ_c dy·x."""
    composability = COMPOSABILITY[problem.composability]
    share = grads.part(chunk)  # views: gradients have the dtype of accumulation already
    grad_out = grad_out.to(part.value.dtype)
    weights = _weights(part, chunk, problem)
    values = windows(part.value, problem, chunk.height)
    grad_weights = torch.empty_like(weights)
    for tap in _taps(problem):
        torch.sum(grad_out * values[tap], 2, out=grad_weights[tap])
        _pixels_of(tap, share.value, chunk, problem).addcmul_(weights[tap].unsqueeze(2), grad_out)
    grad_weights -= (weights * grad_weights).sum((0, 1))
    grad_logits = weights.mul_(grad_weights)
    keys = windows(part.key, problem, chunk.height)
    share.query.add_((grad_logits * composability.query_slope(part.query, keys)).sum((0, 1)))
    grad_keys = grad_logits * composability.key_slope(part.query, keys)
    for tap in _taps(problem):
        _pixels_of(tap, share.key, chunk, problem).add_(grad_keys[tap])
    if share.prior is not None:
        share.prior.add_(grad_logits.sum((2, 4, 5)).permute(2, 0, 1))
