"""`native`: C++ for CPUs, compiled at first use for the CPU at hand; nothing of size k² per pixel is in memory."""

import torch
from torch import Tensor

from ...compilation import constant_when_traced
from ...problem import Problem

_ROWS_OF_A_UNIT = 8  # source/backward.h


def unsupported(problem: Problem, device: torch.device, *, backward: bool) -> str | None:  # noqa: ARG001
    """Return why the problem cannot run on the device, or None; the first call of all compiles the library."""
    if device.type != "cpu":
        return f"the C++ kernels run on cpu tensors, got {device.type}"
    return _unavailable()


@constant_when_traced
def _unavailable() -> str | None:
    from .library import Unavailable, load

    try:
        load()
    except Unavailable as reason:
        return str(reason)
    return None


def extra_bytes(problem: Problem, device: torch.device, *, backward: bool) -> int:  # noqa: ARG001
    """Predicted peak of memory above the inputs: output, gradients, the prior's partial sums, the threads' rows."""
    itemsize = {"float16": 2, "bfloat16": 2, "float32": 4, "float64": 8}[problem.dtype]
    wide, taps = max(itemsize, 4), problem.kernel_size**2
    pixels, out_pixels = problem.height * problem.width, problem.out_height * problem.out_width
    output = problem.batch * problem.channels * out_pixels
    row = problem.width + 2 * problem.span + 16
    rows = (problem.span + problem.stride) * (problem.m + 1) * row
    if not backward:
        return itemsize * output + wide * torch.get_num_threads() * (rows + 2 * problem.m * row)
    gradients = problem.batch * (problem.channels * pixels + problem.groups * (pixels + out_pixels))
    partials = problem.batch * problem.groups * -(-problem.height // _ROWS_OF_A_UNIT) * taps
    per_thread = 2 * rows + (2 * taps + problem.m) * row
    return itemsize * (output + gradients) + wide * (partials + torch.get_num_threads() * per_thread)


def run(problem: Problem, query: Tensor, key: Tensor, value: Tensor, prior: Tensor | None) -> Tensor:
    """y (N, C, Ho, Wo) for query (N, G, Ho, Wo), key (N, G, H, W), value (N, C, H, W), prior (G, k, k)."""
    from .operator import apply

    return apply(problem, query, key, value, prior)


def describe_binary(problem: Problem, device: torch.device, *, backward: bool) -> str | None:  # noqa: ARG001
    """The hash of the shared library."""
    from .library import fingerprint

    return fingerprint()
