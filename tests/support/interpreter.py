"""Triton's interpreter without what a GPU does not have: some faults, and most of the time that it takes."""

import inspect
from collections.abc import Callable
from types import FunctionType
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import torch
from triton import language
from triton.runtime import interpreter

Array = npt.NDArray[Any]


def like_a_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    """Round a float32 that becomes bfloat16, and a multiply–add once, and patch the language seldom.

    The interpreter drops the low bits of the one, and rounds the product of the other.
    """
    monkeypatch.setattr(interpreter, "_convert_float", _rounded(interpreter._convert_float))
    monkeypatch.setattr(interpreter.InterpreterBuilder, "create_fma", _fused)
    monkeypatch.setattr(interpreter, "_patch_lang", _PatchedOnce(interpreter._patch_lang))


def _fused(_: Any, x: Any, y: Any, z: Any) -> Any:
    """x·y + z, for float32 rounded once; float64 has no wider dtype to be exact in."""
    if x.data.dtype == np.float32:
        exact = x.data.astype(np.float64) * y.data.astype(np.float64) + z.data.astype(np.float64)
        return interpreter.TensorHandle(exact.astype(np.float32), z.dtype.scalar)
    return interpreter.TensorHandle(x.data * y.data + z.data, z.dtype.scalar)


def _rounded(convert: Callable[..., Array]) -> Callable[..., Array]:
    """The interpreter's conversion of floats, float32 to bfloat16 rounded by PyTorch."""

    def convert_rounded(array: Array, source: Any, target: Any, mode: Any) -> Array:
        if (str(source), str(target)) != ("fp32", "bf16"):
            return convert(array, source, target, mode)
        narrow = torch.from_numpy(np.ascontiguousarray(array)).bfloat16()
        return narrow.view(torch.uint16).numpy().reshape(array.shape)

    return convert_rounded


class _PatchedOnce:
    """What makes Triton's language one of numpy: once a launch, and not again at each call of a function in it.

    The interpreter looks through the whole language each time, which takes nearly half of a small kernel's time.
    """

    def __init__(self, patch: Callable[[FunctionType], Any]) -> None:
        self._patch = patch
        self._patched: set[str] = set()
        self._scope: Any = None

    def __call__(self, function: FunctionType) -> "_PatchedOnce":
        """The first call since the last `restore` begins a launch, and is the one whose patches end with it."""
        seen = {
            value.__name__
            for value in function.__globals__.values()
            if inspect.ismodule(value) and value in (language, language.core)
        }
        if self._scope is None:
            self._scope = self._patch(function)
        elif not seen <= self._patched:
            self._patch(function)
        self._patched |= seen
        return self

    def restore(self) -> None:
        """The launch is over."""
        self._scope.restore()
        self._scope, self._patched = None, set()
