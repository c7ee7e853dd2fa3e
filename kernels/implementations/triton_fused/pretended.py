"""A GPU that need not be here: what Triton asks a driver for, so that it compiles for one, or launches on none."""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from triton.backends.compiler import GPUTarget
from triton.compiler import CompiledKernel
from triton.runtime import driver

from ...plain import forget
from .launch import interpreting
from .plans import KERNELS

INTERPRETED = "Triton interprets kernels in this process: unset TRITON_INTERPRET before it is imported"


class Pretended:
    """A driver, and its own device, so that no real one's cache is touched."""

    def __init__(self, capability: tuple[int, int]) -> None:
        major, minor = capability
        self._target = GPUTarget("cuda", 10 * major + minor, 32)

    def get_current_target(self) -> GPUTarget:
        """The architecture to compile for."""
        return self._target

    def get_current_device(self) -> "Pretended":
        """The key of what was compiled."""
        return self

    def get_current_stream(self, _: object = None) -> int:
        """The default stream."""
        return 0

    def get_active_torch_device(self) -> torch.device:
        """Where tensors would be."""
        return torch.device("cpu")


@contextmanager
def pretended(capability: tuple[int, int], kernels: Iterable[Any]) -> Iterator[Pretended]:
    """Let Triton take the kernels to a GPU that need not be here, then again to the one that is."""
    real, device = driver._active, Pretended(capability)  # noqa: SLF001
    driver.set_active(device)
    try:
        yield device
    finally:
        driver.set_active(real)
        for kernel in kernels:
            kernel.device_caches.pop(device, None)


class _Launched(CompiledKernel):  # type: ignore[misc]
    """Stands for a compiled kernel: Triton's own Python up to the launch, and the launch does nothing."""

    def __init__(self) -> None:
        self.name = self.src = self.function = self.packed_metadata = None
        self.module = self  # as if it were loaded
        self._run = _nothing
        self.asm: dict[str, bytes] = {}

    def __del__(self) -> None:
        """Unload nothing, where Triton from 3.8 on would."""


def _nothing(*_: object) -> None:
    pass


_stubbed = False


def stubbed() -> bool:
    """Whether launches do nothing."""
    return _stubbed


@contextmanager
def stubbed_launches() -> Iterator[None]:
    """Let the fused kernels take tensors of any device, and launch nothing: what is left is the host's time of a call.

    What calls return meanwhile is memory that nobody wrote. No other thread may launch a kernel.

    Raises:
        RuntimeError: Triton was imported to interpret kernels (TRITON_INTERPRET), not to compile them.
    """
    global _stubbed  # noqa: PLW0603
    kernels = KERNELS.values()
    if interpreting():
        raise RuntimeError(INTERPRETED)
    with pretended((9, 0), kernels) as device:
        compilers = [(kernel, kernel.device_caches[device], kernel.compile) for kernel in kernels]
        _stubbed = True
        for kernel, *_ in compilers:
            kernel.compile = lambda *_, **__: _Launched()
        forget()
        try:
            yield
        finally:
            _stubbed = False
            for kernel, _, compile_ in compilers:
                kernel.compile = compile_
            forget()
