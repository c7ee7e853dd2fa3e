"""What a chunk of `chunked` reads, and where its gradients are summed."""

from dataclasses import dataclass

import torch
from torch import Tensor

from ...problem import Problem
from ...tensors import accumulation_dtype, merge_groups, pad_image, split_groups, valid_taps
from .chunking import Chunk


@dataclass(frozen=True)
class Padded:
    """The operator's inputs in groups, with zeros around the image.

    Query (N, G, R, Wo), key (N, G, R', W'), value (N, G, m, R', W'), prior (G, k, k), taps outside the image
    (k, k, R, Wo).
    """

    query: Tensor
    key: Tensor
    value: Tensor
    prior: Tensor | None
    outside: Tensor | None

    @classmethod
    def of(cls, problem: Problem, query: Tensor, key: Tensor, value: Tensor, prior: Tensor | None) -> "Padded":
        """The operands of a whole problem."""
        masked = problem.padding_mode == "mask"
        outside = valid_taps(problem, value.device).logical_not_() if masked else None
        return cls(query, pad_image(key, problem), pad_image(split_groups(value, problem), problem), prior, outside)

    def part(self, chunk: Chunk) -> "Padded":
        """A chunk's share in the dtype of accumulation."""
        wide = accumulation_dtype(self.query.dtype)
        return Padded(
            self.query[chunk.images, chunk.groups, chunk.rows].to(wide),
            self.key[chunk.images, chunk.groups, chunk.input_rows].to(wide),
            self.value[chunk.images, chunk.groups, :, chunk.input_rows].to(wide),
            None if self.prior is None else self.prior[chunk.groups].to(wide),
            None if self.outside is None else self.outside[:, :, chunk.rows],
        )

    def zeros(self) -> "Padded":
        """Where gradients are summed: zeros of the same shapes in the dtype of accumulation, whose parts are views."""
        wide = accumulation_dtype(self.query.dtype)
        query, key, value = (torch.zeros_like(t, dtype=wide) for t in (self.query, self.key, self.value))
        return Padded(query, key, value, None if self.prior is None else torch.zeros_like(self.prior, dtype=wide), None)

    def unpadded(self, problem: Problem) -> tuple[Tensor, Tensor, Tensor, Tensor | None]:
        """Query, key, value and prior as the operator takes them."""
        rows = slice(problem.padding, problem.padding + problem.height)
        columns = slice(problem.padding, problem.padding + problem.width)
        value = merge_groups(self.value[..., rows, columns], problem)
        return self.query, self.key[..., rows, columns], value, self.prior
