"""What the compiler makes of a kernel: compiled as it is launched, for any architecture, with or without a GPU."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from tempfile import TemporaryDirectory
from typing import Any, cast

import torch
import triton
from triton.runtime.cache import triton_key

from ...problem import Problem, require_choice
from ...tensors import accumulation_dtype
from .binary import CompiledKernel
from .geometry import SIZES, Geometry
from .launch import interpreting
from .plans import KERNELS, Launch
from .pretended import INTERPRETED, pretended
from .settings import Kernel, has_pairs, heuristic

_OF_THE_VALUE = ("query", "key", "value", "out", "grad_out", "grad_value")
_OF_ACCUMULATION = ("prior", "softmax", "mean", "grad_prior")
# Partial sums, in the dtype of accumulation, where a group is cut into slices.
_OF_THE_VALUE_IF_WHOLE = ("grad_query", "grad_key")


def compile_kernel(kernel: str, problem: Problem, capability: tuple[int, int]) -> CompiledKernel:
    """Compile a kernel, by the heuristic's settings, for a compute capability; meanwhile no thread may launch one.

    Raises:
        ValueError: There is no such kernel.
        RuntimeError: Triton was imported to interpret kernels, not to compile them.
    """
    require_choice("kernel", kernel, tuple(KERNELS))
    if interpreting():
        raise RuntimeError(INTERPRETED)
    name = cast("Kernel", kernel)
    source, settings = KERNELS[name], heuristic(name, problem, pairs=has_pairs(capability))
    constants = {"SAVE_SOFTMAX": True} if name == "forward" else {}
    launch = Launch(name, problem, settings, torch.device("cpu"), **constants)
    arguments = launch_arguments(name, problem, launch.geometry)
    triton_key()  # Read once per process, and no part of a kernel's compile time.
    with pretended(capability, [source]), _empty_cache():
        started = _processor_seconds()
        compiled = source.warmup(*arguments.values(), grid=(1,), **settings.options)
        seconds = _processor_seconds() - started
    return CompiledKernel(
        kernel=kernel,
        problem=problem,
        capability=capability,
        geometry=launch.geometry,
        programs=launch.grid[0],
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
    known |= {name: getattr(problem, name) for name in SIZES}
    known |= {"S": geometry, "SAVE_SOFTMAX": True}
    return {name: known[name] for name in KERNELS[kernel].arg_names}


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
