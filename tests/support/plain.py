"""Plain PyTorch: a sum over k² shifted slices, differentiated by autograd. Its error is the yardstick."""

from collections.abc import Callable
from itertools import product

import torch
from torch import Tensor
from torch.nn import functional as F

from tests.support.oracle import Options, groups_of, out_size

PHI: dict[str, Callable[[Tensor, Tensor], Tensor]] = {
    "multiplication": lambda q, k: q * k,
    "squared_difference": lambda q, k: -(q - k).square(),
    "absolute_difference": lambda q, k: -(q - k).abs(),
}


def local_relation(query: Tensor, key: Tensor, value: Tensor, prior: Tensor | None, options: Options) -> Tensor:
    """The output: logits, softmax and sums in float32 (float64 for float64), rounded once."""
    accumulation = accumulation_dtype(value.dtype)
    channels, groups = value.shape[1], groups_of(value.shape[1], options.m)
    inside = torch.ones_like(key[:1, :1], dtype=accumulation)
    masks = shifted(inside, options)
    logits = PHI[options.composability](query.to(accumulation), shifted(key.to(accumulation), options))
    if prior is not None:
        logits = logits + prior.to(accumulation).flatten(1).T[:, None, :, None, None]
    if options.padding_mode == "mask":
        logits = logits.masked_fill(masks == 0, -torch.inf)
    weights = logits.softmax(0)
    numbers = torch.arange(channels, device=value.device)
    group = numbers // options.m if options.channel_order == "consecutive" else numbers % groups
    output = (weights[:, :, group] * shifted(value.to(accumulation), options)).sum(0)
    return output.to(value.dtype)


def shifted(image: Tensor, options: Options) -> Tensor:
    """(k², N, C, Ho, Wo): for each tap the pixel that every output pixel meets there, 0 outside the image."""
    rows, columns = (out_size(size, options) for size in image.shape[-2:])
    k, s, d = options.kernel_size, options.stride, options.dilation
    padded = F.pad(image, (options.padding,) * 4)
    return torch.stack(
        [
            padded[:, :, u * d : u * d + (rows - 1) * s + 1 : s, v * d : v * d + (columns - 1) * s + 1 : s]
            for u, v in product(range(k), repeat=2)
        ]
    )


def accumulation_dtype(dtype: torch.dtype) -> torch.dtype:
    """float64 for float64, float32 for the rest."""
    return torch.float64 if dtype == torch.float64 else torch.float32
