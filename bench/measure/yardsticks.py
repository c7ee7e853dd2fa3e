"""What is timed of each yardstick that is no network, which is built as the other networks of its problem are.

Tensors are in the problem's dtype and channels_last; float32 means float32, as TF32 is off.
"""

from collections.abc import Callable, Mapping

import torch
from torch.nn import functional as F

from kernels import Problem

from ..case.case import Case
from ..cost.yardsticks import CONVOLUTIONS, Convolution, least_bytes
from ..device.timers import Call
from .workloads import Workload, call


def _convolve(problem: Problem, mode: str, device: torch.device, shape: Convolution) -> Call:
    generator = torch.Generator(device).manual_seed(0)
    c, k, n = shape.channels, shape.kernel_size, problem.batch
    sizes = {
        "input": (n, c, problem.height, problem.width),
        "weight": (c, c // shape.groups, k, k),
        "grad_out": (n, c, *shape.out_size(problem)),
    }
    tensors = {
        name: torch.randn(size, generator=generator, device=device).to(
            getattr(torch, problem.dtype), memory_format=torch.channels_last
        )
        for name, size in sizes.items()
    }
    source, weight = tensors["input"].requires_grad_(), tensors["weight"].requires_grad_()

    def forward() -> torch.Tensor:
        return F.conv2d(
            source,
            weight,
            stride=problem.stride,
            padding=shape.padding,
            dilation=shape.dilation,
            groups=shape.groups,
        )

    return call(Workload(forward, {"input": source, "weight": weight}, tensors["grad_out"]), mode)


def _convolution(name: str) -> Callable[[Case, torch.device], Call]:
    def make(case: Case, device: torch.device) -> Call:
        return _convolve(case.problem, case.mode, device, CONVOLUTIONS[name](case.problem))

    return make


def _copy(case: Case, device: torch.device) -> Call:
    source = torch.ones(-(-least_bytes(case) // 2), dtype=torch.int8, device=device)
    target = torch.empty_like(source)
    return lambda: target.copy_(source)


TIMED: Mapping[str, Callable[[Case, torch.device], Call]] = {
    **{name: _convolution(name) for name in CONVOLUTIONS},
    "copy": _copy,
}
