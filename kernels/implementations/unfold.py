"""`unfold`: the best plain PyTorch that follows the article, one unfold of key and value. The baseline."""

import torch
from torch import Tensor
from torch.nn import functional as F

from ..composability import COMPOSABILITY
from ..problem import Problem
from ..tensors import accumulation_dtype, merge_groups, pad_image, split_groups, valid_taps


def unsupported(problem: Problem, device: torch.device, *, backward: bool) -> str | None:  # noqa: ARG001
    """Nothing is: it runs wherever torch does."""
    return None


def extra_bytes(problem: Problem, device: torch.device, *, backward: bool) -> int:  # noqa: ARG001
    """Predicted peak of memory above the inputs, from the k² copies that live at once."""
    itemsize = 8 if problem.dtype == "float64" else 4
    taps = problem.batch * problem.kernel_size**2 * problem.out_height * problem.out_width
    groups, channels = problem.groups, problem.groups * problem.m
    # Forward: unfolded value, its product with the weights, the weights. Backward: also the product's two gradients.
    copies = 2 * channels + groups if not backward else 4 * channels + 3 * groups
    return taps * copies * itemsize


def run(problem: Problem, query: Tensor, key: Tensor, value: Tensor, prior: Tensor | None) -> Tensor:
    """y (N, C, Ho, Wo) for query (N, G, Ho, Wo), key (N, G, H, W), value (N, C, H, W), prior (G, k, k)."""
    dtype = value.dtype
    if torch.is_grad_enabled():
        # The gradients of k² overlapping copies are summed in the dtype of what was unfolded.
        wide = accumulation_dtype(dtype)
        key, value = key.to(wide), value.to(wide)
    valid = valid_taps(problem, value.device) if problem.padding_mode == "mask" else None
    key, grouped = pad_image(key, problem), pad_image(split_groups(value, problem), problem)
    return merge_groups(_relate(query, key, grouped, prior, valid, problem), problem).to(dtype)


def _relate(
    query: Tensor, key: Tensor, value: Tensor, prior: Tensor | None, valid: Tensor | None, problem: Problem
) -> Tensor:
    """(N, G, m, Ho, Wo) in the dtype of accumulation, from padded key and padded value in groups (N, G, m, …)."""
    wide = accumulation_dtype(query.dtype)
    key_windows = _unfold(key, problem)  # (N, G, k², L)
    logits = COMPOSABILITY[problem.composability].value(query.to(wide).flatten(2).unsqueeze(2), key_windows)
    if prior is not None:
        logits = logits + prior.to(wide).flatten(1).unsqueeze(2)
    if valid is not None:
        logits = logits.masked_fill(~valid.flatten(0, 1).flatten(1), -torch.inf)
    weights = logits.softmax(2)
    value_windows = _unfold(value.flatten(1, 2), problem).unflatten(1, value.shape[1:3])  # (N, G, m, k², L)
    return torch.unflatten((weights.unsqueeze(2) * value_windows).sum(3), 3, query.shape[2:])


def _unfold(image: Tensor, problem: Problem) -> Tensor:
    """(N, C, H, W) → (N, C, k², L), the k² neighbours of each of L output pixels."""
    batch, channels, height, width = image.shape
    # As one image of many channels, since a GPU unfolds one image after another; torch wants at least one channel.
    one = image.reshape(1, batch * channels, height, width) if batch else image
    columns = F.unfold(one, problem.kernel_size, dilation=problem.dilation, stride=problem.stride)
    return columns.view(batch, channels, problem.kernel_size**2, columns.shape[2])
