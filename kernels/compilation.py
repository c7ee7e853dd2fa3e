"""torch.compile for one problem at a time, and where it works."""

import os
import shutil
import types
from collections.abc import Callable
from functools import cache
from importlib.util import find_spec
from typing import Any, TypeVar

import torch

_TRITON = find_spec("triton") is not None
Constant = TypeVar("Constant", bound=Callable[..., Any])


def no_compiler(device: torch.device) -> str | None:
    """Return why torch.compile does not work on a device, or None."""
    if device.type not in ("cpu", "cuda"):
        return f"torch.compile is used on cpu and cuda, not on {device.type}"
    if device.type == "cpu" and not _has_cpp_compiler():
        return "torch.compile needs a C++ compiler on a CPU, and none was found"
    if device.type == "cuda":
        return no_launcher() if _TRITON else "torch.compile needs the package triton on a GPU, and it is not installed"
    return None


def no_launcher() -> str | None:
    """Return why Triton cannot start what it compiles for a GPU, or None."""
    if _has_c_compiler():
        return None
    return "Triton builds what starts its kernels with a C compiler, and none was found: gcc, clang or what CC names"


def compiled_alone(function: Callable[..., Any], backend: str = "inductor") -> Callable[..., Any]:
    """A function compiled apart from every other use of it, for tensors of one shape."""
    # torch.compile counts recompilations per code object and gives up after a few, so each use has its own.
    own = types.FunctionType(function.__code__.replace(), function.__globals__, function.__name__)
    return torch.compile(own, backend=backend, fullgraph=True, dynamic=False)


def constant_when_traced(function: Constant) -> Constant:
    """Mark a function that torch.compile calls once while it traces, and whose result it then takes for a constant.

    As `torch.compiler.assume_constant_result`, which loads the compiler: a second for everybody who does not use it.
    """
    function._dynamo_marked_constant = True  # type: ignore[attr-defined]  # noqa: SLF001
    return function


def vector_lanes(device: torch.device) -> int:
    """Numbers of float32 in a vector of what torch.compile writes for a device: 16, 8, 4 on a CPU; 1 elsewhere."""
    return _cpu_lanes() if device.type == "cpu" else 1


@constant_when_traced
def _has_c_compiler() -> bool:
    return _found_c_compiler()


@cache
def _found_c_compiler() -> bool:
    named = os.environ.get("CC")
    return any(shutil.which(name) for name in ([named] if named else ["gcc", "clang"]))


@constant_when_traced
def _has_cpp_compiler() -> bool:
    return _found_cpp_compiler()


@cache
def _found_cpp_compiler() -> bool:
    # Loading the compiler's parts takes a second, which nobody should pay who does not use it.
    from torch._inductor.cpp_builder import get_cpp_compiler  # noqa: PLC0415
    from torch._inductor.exc import InvalidCxxCompiler  # noqa: PLC0415

    try:
        get_cpp_compiler()
    except InvalidCxxCompiler:
        return False
    return True


@cache
def _cpu_lanes() -> int:
    from torch._inductor.cpu_vec_isa import pick_vec_isa  # noqa: PLC0415  as above

    isa = pick_vec_isa()
    return isa.nelements() if isa else 1
