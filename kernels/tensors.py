"""How tensors relate to a problem: dtypes, memory formats, and channels split into groups."""

import torch
from torch import Tensor
from torch.nn import functional as F

from .problem import Problem

MEMORY_FORMATS = {"contiguous": torch.contiguous_format, "channels_last": torch.channels_last}


def accumulation_dtype(dtype: torch.dtype) -> torch.dtype:
    """The dtype of logits, softmax and sums: float64 for float64, float32 for the rest."""
    return torch.float64 if dtype == torch.float64 else torch.float32


def memory_format_of(tensor: Tensor) -> str:
    """Say "channels_last" where the (N, C, H, W) tensor's channels are its innermost dimension, else "contiguous"."""
    if tensor.is_contiguous():
        return "contiguous"
    # The innermost dimension decides, so a crop of a channels_last image counts as channels_last too.
    return "channels_last" if tensor.stride(1) == 1 and tensor.shape[1] > 1 else "contiguous"


def split_groups(tensor: Tensor, problem: Problem) -> Tensor:
    """(N, C, …) → (N, G, m, …), the last group or last members filled up with zeros where m does not divide C."""
    missing = problem.groups * problem.m - problem.channels
    if missing:
        tensor = torch.cat([tensor, tensor.new_zeros(tensor.shape[0], missing, *tensor.shape[2:])], 1)
    if problem.channel_order == "consecutive":
        return torch.unflatten(tensor, 1, (problem.groups, problem.m))
    return torch.unflatten(tensor, 1, (problem.m, problem.groups)).transpose(1, 2)


def merge_groups(tensor: Tensor, problem: Problem) -> Tensor:
    """(N, G, m, …) → (N, C, …), the inverse of `split_groups`."""
    if problem.channel_order == "strided":
        tensor = tensor.transpose(1, 2)
    return tensor.flatten(1, 2)[:, : problem.channels]


def pad_image(tensor: Tensor, problem: Problem) -> Tensor:
    """(…, H, W) → (…, H + 2·pad, W + 2·pad), zeros around the image."""
    return F.pad(tensor, (problem.padding,) * 4)


def windows(padded: Tensor, problem: Problem, rows: int | None = None, columns: int | None = None) -> Tensor:
    """(…, H + 2·pad, W + 2·pad) → (k, k, …, Ho, Wo): tap (u, v) of every output pixel, as a view.

    With `rows` or `columns`, the image holds what so many rows or columns of output pixels see.
    """
    *outer, row, column = padded.stride()
    k, d, s = problem.kernel_size, problem.dilation, problem.stride
    height = problem.out_height if rows is None else rows
    width = problem.out_width if columns is None else columns
    size = (k, k, *padded.shape[:-2], height, width)
    return padded.as_strided(size, (d * row, d * column, *outer, s * row, s * column))


def valid_taps(problem: Problem, device: torch.device, out_width: int | None = None) -> Tensor:
    """(k, k, Ho, Wo) bool: whether tap (u, v) of output pixel (i, j) lies inside the image; Wo may be another."""

    def inside(size: int, outputs: int) -> Tensor:
        tap = torch.arange(problem.kernel_size, device=device)[:, None] * problem.dilation
        position = torch.arange(outputs, device=device) * problem.stride - problem.padding + tap
        return (position >= 0) & (position < size)

    rows = inside(problem.height, problem.out_height)
    columns = inside(problem.width, problem.out_width if out_width is None else out_width)
    return rows[:, None, :, None] & columns[None, :, None, :]
