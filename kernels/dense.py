"""The relation over windows laid out in memory: k² copies of key and value, as the article's listing has it."""

import torch
from torch import Tensor
from torch.nn import functional as F

from .composability import COMPOSABILITY
from .problem import Problem
from .tensors import accumulation_dtype


def relate(
    query: Tensor, key: Tensor, value: Tensor, prior: Tensor | None, valid: Tensor | None, problem: Problem
) -> Tensor:
    """Σ softmax(Φ(q, k) + prior)·x for rows of output pixels, with every window unfolded.

    Args:
        query: (N, G, R, Wo), R rows of output pixels.
        key: (N, G, (R−1)·s + span, W + 2·pad), the zero-padded rows that their windows touch.
        value: (N, G, m, (R−1)·s + span, W + 2·pad), the same rows.
        prior: (G, k, k) or None.
        valid: (k, k, R, Wo) bool, taps that take part in the softmax; None where all do.
        problem: Its options; sizes are taken from the tensors.

    Returns:
        (N, G, m, R, Wo) in the dtype of accumulation.
    """
    wide = accumulation_dtype(query.dtype)
    key_windows = _unfold(key, problem)  # (N, G, k², L)
    logits = COMPOSABILITY[problem.composability].value(query.to(wide).flatten(2).unsqueeze(2), key_windows)
    if prior is not None:
        logits = logits + prior.to(wide).flatten(1).unsqueeze(2)
    if valid is not None:
        logits = logits.masked_fill(~valid.flatten(0, 1).flatten(1), -torch.inf)
    weights = logits.softmax(2)
    value_windows = _unfold(value.flatten(1, 2), problem).unflatten(1, value.shape[1:3])  # (N, G, m, k², L)
    return (weights.unsqueeze(2) * value_windows).sum(3).unflatten(3, query.shape[2:])


def _unfold(image: Tensor, problem: Problem) -> Tensor:
    """(N, C, H, W) → (N, C, k², L), the k² neighbours of each of L output pixels."""
    columns = F.unfold(image, problem.kernel_size, dilation=problem.dilation, stride=problem.stride)
    return columns.unflatten(1, (image.shape[1], problem.kernel_size**2))
