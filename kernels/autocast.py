"""Autocast, on any device: whether it is on, and how to leave it."""

from contextlib import AbstractContextManager, nullcontext
from typing import Any

import torch
from torch._C import _is_any_autocast_enabled

# Found out once, as a compiler cannot trace the question.
_DEVICES = frozenset(name for name in ("cpu", "cuda", "mps", "xpu") if torch.amp.is_autocast_available(name))


def autocasting_anywhere() -> bool:
    """Whether autocast is on for any device, which is quicker to ask."""
    return _is_any_autocast_enabled()


def autocasting(device: torch.device) -> bool:
    """Whether autocast is on for a device; never where there is none, as for meta tensors."""
    return device.type in _DEVICES and torch.is_autocast_enabled(device.type)


def without_autocast(device: torch.device) -> AbstractContextManager[Any]:
    """Compute in the dtypes that the tensors have."""
    return torch.autocast(device.type, enabled=False) if autocasting(device) else nullcontext()
