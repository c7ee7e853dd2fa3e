"""What the compiler makes of a kernel: compiled as it is launched, for any architecture, with or without a GPU."""

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from tempfile import TemporaryDirectory
from typing import Any, cast

import torch
import triton
from triton.backends.compiler import GPUTarget
from triton.runtime import driver
from triton.runtime.cache import triton_key

from ...problem import Problem, require_choice
from ...tensors import accumulation_dtype
from .backward import local_relation_key_kernel, local_relation_query_kernel
from .binary import CompiledKernel
from .forward import local_relation_forward_kernel
from .geometry import Geometry, geometry_of
from .launch import interpreting, programs_of
from .settings import Kernel, heuristic

_SOURCES: Mapping[Kernel, Any] = {
    "forward": local_relation_forward_kernel,
    "query": local_relation_query_kernel,
    "key": local_relation_key_kernel,
}
_SIZES = ("batch", "height", "width", "out_height", "out_width")
_OF_THE_VALUE = ("query", "key", "value", "out", "grad_out", "grad_value")
_OF_ACCUMULATION = ("prior", "log_sum", "mean", "grad_prior")
# Partial sums, in the dtype of accumulation, where a group is cut into slices.
_OF_THE_VALUE_IF_WHOLE = ("grad_query", "grad_key")


def compile_kernel(kernel: str, problem: Problem, capability: tuple[int, int]) -> CompiledKernel:
    """Compile a kernel, by the heuristic's settings, for a compute capability; meanwhile no thread may launch one.

    Raises:
        ValueError: There is no such kernel.
        RuntimeError: Triton was imported to interpret kernels, not to compile them.
    """
    require_choice("kernel", kernel, tuple(_SOURCES))
    if interpreting():
        raise RuntimeError("Triton interprets kernels in this process: unset TRITON_INTERPRET before it is imported")
    name = cast("Kernel", kernel)
    source, settings = _SOURCES[name], heuristic(name, problem)
    geometry = geometry_of(name, problem, settings)
    arguments = launch_arguments(name, problem, geometry)
    triton_key()  # Read once per process, and no part of a kernel's compile time.
    with _pretended(capability, source), _empty_cache():
        started = _processor_seconds()
        compiled = source.warmup(*arguments.values(), grid=(1,), **settings.options)
        seconds = _processor_seconds() - started
    return CompiledKernel(
        kernel=kernel,
        problem=problem,
        capability=capability,
        geometry=geometry,
        programs=programs_of(name, problem, settings),
        ptx=compiled.asm["ptx"],
        cubin=compiled.asm["cubin"],
        shared_bytes=compiled.metadata.shared,
        warps=compiled.metadata.num_warps,
        compile_seconds=seconds,
    )


def launch_arguments(kernel: Kernel, problem: Problem, geometry: Geometry) -> dict[str, Any]:
    """A launch's arguments by name, in order; a dtype where it has a tensor."""
    value = getattr(torch, problem.dtype)
    accumulation = accumulation_dtype(value)
    tensors = {
        **dict.fromkeys(_OF_THE_VALUE, value),
        **dict.fromkeys(_OF_ACCUMULATION, accumulation),
        **dict.fromkeys(_OF_THE_VALUE_IF_WHOLE, value if geometry.slices == 1 else accumulation),
    }
    known: dict[str, Any] = {f"{name}_ptr": dtype for name, dtype in tensors.items()}
    known |= {name: getattr(problem, name) for name in _SIZES}
    known |= {"S": geometry, "SAVE_LOG_SUM": True}
    return {name: known[name] for name in _SOURCES[kernel].arg_names}


class _Pretended:
    """What Triton asks a driver for while it compiles; it is its own device, so that no real one's cache is touched."""

    def __init__(self, capability: tuple[int, int]) -> None:
        major, minor = capability
        self._target = GPUTarget("cuda", 10 * major + minor, 32)

    def get_current_target(self) -> GPUTarget:
        return self._target

    def get_current_device(self) -> "_Pretended":
        return self

    def get_current_stream(self, _: object = None) -> int:
        return 0

    def get_active_torch_device(self) -> torch.device:
        return torch.device("cpu")


@contextmanager
def _pretended(capability: tuple[int, int], kernel: Any) -> Iterator[None]:
    """Let Triton compile a kernel for a GPU that need not be here, then again for the one that is."""
    real, pretended = driver._active, _Pretended(capability)  # noqa: SLF001
    driver.set_active(pretended)
    try:
        yield
    finally:
        driver.set_active(real)
        kernel.device_caches.pop(pretended, None)


@contextmanager
def _empty_cache() -> Iterator[None]:
    """Let Triton find nothing compiled before."""
    with TemporaryDirectory() as folder, triton.knobs.cache.scope():
        triton.knobs.cache.dir = folder
        yield


def _processor_seconds() -> float:
    """Processor time of this process and of the assemblers it has run."""
    times = os.times()
    return times.user + times.system + times.children_user + times.children_system
