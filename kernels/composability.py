"""Φ, the measure of how well a scalar key fits a scalar query, and its derivatives (paper, Eq. 2)."""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True)
class Composability:
    """Φ(q, k) with ∂Φ/∂q and ∂Φ/∂k, elementwise on tensors that broadcast."""

    value: Callable[[Tensor, Tensor], Tensor]
    query_slope: Callable[[Tensor, Tensor], Tensor]
    key_slope: Callable[[Tensor, Tensor], Tensor]


COMPOSABILITY = {
    "multiplication": Composability(
        value=lambda query, key: query * key,
        query_slope=lambda _, key: key,
        key_slope=lambda query, _: query,
    ),
    "squared_difference": Composability(
        value=lambda query, key: -((query - key) ** 2),
        query_slope=lambda query, key: 2 * (key - query),
        key_slope=lambda query, key: 2 * (query - key),
    ),
    "absolute_difference": Composability(
        value=lambda query, key: -(query - key).abs(),
        query_slope=lambda query, key: torch.sign(key - query),
        key_slope=lambda query, key: torch.sign(query - key),
    ),
}
