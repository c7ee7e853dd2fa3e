"""Ordinary eager calls: which those are, and what one of them leaves to the next that is like it."""

from typing import Any, TypeVar

import torch
from torch import Tensor, nn
from torch._C import _get_tracing_state, _len_torch_dispatch_stack
from torch._C._functorch import is_legacy_batchedtensor, peek_interpreter_stack
from torch.autograd import forward_ad

_PLAIN = frozenset({Tensor, nn.Parameter})
_MOST = 4096
_all_kept: list[dict[Any, Any]] = []

Key = TypeVar("Key")
Value = TypeVar("Value")


def ordinary(*tensors: Any) -> bool:
    """Whether the tensors, or None, are torch's own, and neither a compiler, a mode nor a transform looks on.

    Those see a call once and run it on other numbers, or put other things in the place of tensors.
    """
    if torch.compiler.is_compiling() or _len_torch_dispatch_stack() or peek_interpreter_stack() is not None:
        return False
    # Outside all levels of forward-mode differentiation no tensor has a tangent.
    if _get_tracing_state() is not None or forward_ad._current_level >= 0:  # noqa: SLF001
        return False
    for tensor in tensors:
        if tensor is not None and (type(tensor) not in _PLAIN or is_legacy_batchedtensor(tensor)):
            return False
    return True


def kept() -> dict[Any, Any]:
    """A place for what ordinary calls found out, by what makes them alike; `forget` empties it."""
    one: dict[Any, Any] = {}
    _all_kept.append(one)
    return one


def keep(place: dict[Key, Value], key: Key, value: Value) -> Value:
    """Keep a value, in a place that starts anew once it is large, and return it."""
    if len(place) >= _MOST:
        place.clear()
    place[key] = value
    return value


def forget() -> None:
    """Let calls find out anew what is supported, and with which launch settings."""
    for one in _all_kept:
        one.clear()
