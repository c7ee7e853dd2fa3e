"""The operator's tensors checked against its options, and the problem that they pose."""

import torch
from torch import Tensor

from .problem import DTYPES, Problem
from .tensors import memory_format_of


def problem_of(query: Tensor, key: Tensor, value: Tensor, prior: Tensor | None, **options: int | str) -> Problem:
    """Check the operator's tensors against its options and name the problem that they pose.

    Raises:
        TypeError: A tensor has another dtype or device than the value, or the value's dtype is not supported.
        ValueError: A tensor has another shape than the options call for.
    """
    tensors = {"query": query, "key": key, "value": value}
    for name, tensor in tensors.items():
        if not isinstance(tensor, Tensor):
            raise TypeError(f"{name} must be a tensor, got {type(tensor).__name__} {tensor!r}")
        if tensor.dim() != 4:
            raise ValueError(f"{name} must have 4 dimensions (N, channels, height, width), got {tuple(tensor.shape)}")
    dtype = str(value.dtype).removeprefix("torch.")
    if dtype not in DTYPES:
        raise TypeError(f"value must be one of {', '.join(DTYPES)}, got {dtype}")
    batch, channels, height, width = value.shape
    problem = Problem(
        batch=batch,
        channels=channels,
        height=height,
        width=width,
        prior=prior is not None,
        dtype=dtype,
        memory_format=memory_format_of(value),
        **options,  # type: ignore[arg-type]
    )
    expected: dict[str, tuple[int, ...]] = {
        "query": (batch, problem.groups, problem.out_height, problem.out_width),
        "key": (batch, problem.groups, height, width),
    }
    dtypes = {"query": {value.dtype}, "key": {value.dtype}, "prior": {value.dtype, torch.float32}}
    if prior is not None:
        if not isinstance(prior, Tensor):
            raise TypeError(f"prior must be a tensor or None, got {type(prior).__name__} {prior!r}")
        tensors["prior"] = prior
        expected["prior"] = (problem.groups, problem.kernel_size, problem.kernel_size)
    for name, shape in expected.items():
        _require_like(name, tensors[name], shape, dtypes[name], value)
    return problem


def _require_like(name: str, tensor: Tensor, shape: tuple[int, ...], dtypes: set[torch.dtype], value: Tensor) -> None:
    """Raise unless a tensor has the shape, one of the dtypes, and the value's device."""
    if tuple(tensor.shape) != shape:
        raise ValueError(f"{name} must have shape {shape} for value {tuple(value.shape)}, got {tuple(tensor.shape)}")
    if tensor.dtype not in dtypes:
        raise TypeError(f"{name} must be {' or '.join(sorted(map(str, dtypes)))}, got {tensor.dtype}")
    if tensor.device != value.device:
        raise TypeError(f"{name} must be on the value's device {value.device}, got {tensor.device}")
