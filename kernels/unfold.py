"""`unfold`: the best plain PyTorch that follows the article, one unfold of key and value. The baseline."""

import torch
from torch import Tensor

from .dense import relate
from .problem import Problem
from .tensors import accumulation_dtype, merge_groups, pad_image, split_groups, valid_taps


def unsupported(problem: Problem, device: torch.device) -> str | None:  # noqa: ARG001
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
    return merge_groups(relate(query, key, grouped, prior, valid, problem), problem).to(dtype)
