"""`triton`: one fused forward kernel and two gather kernels backward; nothing of size k² per pixel is in memory."""

import hashlib
from collections.abc import Callable
from contextlib import AbstractContextManager
from functools import partial
from importlib.util import find_spec

import torch
from torch import Tensor

from ...compilation import no_launcher
from ...problem import Problem
from .binary import CompiledKernel

_INSTALLED = find_spec("triton") is not None


def unsupported(problem: Problem, device: torch.device, *, backward: bool) -> str | None:  # noqa: ARG001
    """Return why the problem cannot run on the device, or None."""
    if not _INSTALLED:
        return "the package triton is not installed"
    from .plans import plan_of

    reason = _no_device(device)
    # A compiler cannot trace the count, which only sizes beyond any memory exceed; the launch itself fails then.
    if reason is None and not torch.compiler.is_compiling() and plan_of(problem, device).programs >= 2**31:
        return f"the grid would have {plan_of(problem, device).programs} programs, a launch takes fewer than 2³¹"
    return reason


def _no_device(device: torch.device) -> str | None:
    """Why the kernels do not run on a device, or None."""
    from .launch import interpreting
    from .pretended import stubbed

    if device.type not in ("cpu", "cuda"):
        return f"Triton kernels run on cuda tensors, got {device.type}"
    if stubbed():
        return None
    if device.type == "cpu":
        said = "Triton kernels run on cuda tensors, got cpu (TRITON_INTERPRET=1 runs them there, for tests)"
        return None if interpreting() else said
    if torch.cuda.get_device_capability(device) < (8, 0):
        return "the kernels need a GPU of compute capability 8.0 or newer"
    return no_launcher()


def extra_bytes(problem: Problem, device: torch.device, *, backward: bool) -> int:
    """Predicted peak of memory above the inputs: output, softmaxes, and in backward gradients and partial sums."""
    from .launch import extra_elements

    wide, narrow = extra_elements(problem, device, backward=backward)
    itemsize = {"float16": 2, "bfloat16": 2, "float32": 4, "float64": 8}[problem.dtype]
    return narrow * itemsize + wide * max(itemsize, 4)


def run(problem: Problem, query: Tensor, key: Tensor, value: Tensor, prior: Tensor | None) -> Tensor:
    """y (N, C, Ho, Wo) for query (N, G, Ho, Wo), key (N, G, H, W), value (N, C, H, W), prior (G, k, k)."""
    from .operator import apply

    return apply(problem, query, key, value, prior)


def bind(problem: Problem, device: torch.device, *, backward: bool) -> Callable[..., Tensor]:
    """What runs an ordinary call of the problem, as `run` without the problem: all about it is decided."""
    from .eager import relate, relate_differentiably
    from .plans import plan_of

    return partial(relate_differentiably if backward else relate, plan_of(problem, device))


def compile_fused(kernel: str, problem: Problem, capability: tuple[int, int]) -> CompiledKernel:
    """The kernel "forward", "query" or "key", compiled as it is launched for the problem; no GPU needed.

    Raises:
        ImportError: Triton is not installed.
        ValueError: There is no such kernel.
        RuntimeError: Triton was imported to interpret kernels (TRITON_INTERPRET), not to compile them.
    """
    from .compiling import compile_kernel

    return compile_kernel(kernel, problem, capability)


def stubbed_launches() -> AbstractContextManager[None]:
    """While it lasts the kernels launch nothing, on tensors of any device: calls take their host time alone.

    What they return is memory that nobody wrote. No other thread may launch a kernel meanwhile.

    Raises:
        ImportError: Triton is not installed.
        RuntimeError: Triton was imported to interpret kernels (TRITON_INTERPRET), not to compile them.
    """
    from .pretended import stubbed_launches as stubbed

    return stubbed()


def fused_steps(
    problem: Problem, operands: tuple[Tensor, Tensor, Tensor, Tensor], grad_out: Tensor
) -> dict[str, Callable[[], object]]:
    """The steps of an ordinary call, each to be run by itself, for query, key, value, prior and the output's gradient.

    Raises:
        ImportError: Triton is not installed.
    """
    from .steps import steps_of

    return steps_of(problem, operands, grad_out)


def describe_settings(problem: Problem, device: torch.device, *, backward: bool) -> str:
    """The launch settings of the kernels that run on a device, in a line."""
    from .settings import KERNELS
    from .tuned import settings_of

    kernels = KERNELS if backward else KERNELS[:1]
    return " ".join(f"{kernel}:{settings_of(kernel, problem, device)}" for kernel in kernels)


def describe_binary(problem: Problem, device: torch.device, *, backward: bool) -> str | None:
    """The hash of the kernels' binaries that a problem was run with in this process; None before, or interpreted."""
    from .plans import plan_of

    if device == torch.device("cuda"):
        device = torch.device("cuda", torch.cuda.current_device())
    plan = plan_of(problem, device)
    launches = (plan.saving, plan.query, plan.key) if backward else (plan.forward,)
    cubins: list[bytes | None] = [launch.cubin for launch in launches]
    launched = [cubin for cubin in cubins if cubin is not None]
    return hashlib.sha256(b"".join(launched)).hexdigest()[:12] if len(launched) == len(cubins) else None
