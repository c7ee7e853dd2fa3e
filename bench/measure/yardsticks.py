"""Yardsticks: other functions at a case's sizes, timed beside the implementations. None of them computes the layer.

They say what the layer's time is worth, so they are not checked against float64 and have no speed-up. Tensors are in
the problem's dtype and channels_last; float32 means float32, as TF32 is off. The yardstick of a whole network is
treated as the network is.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch.nn import functional as F

from kernels import Problem

from ..cost.bounds import Work
from ..cost.complexity import min_bytes
from ..cost.network_metrics import network_counts
from .workloads import Workload, call

if TYPE_CHECKING:
    from ..case.case import Case

# Backward multiplies as often for the input's gradient as for the weight's.
_PASSES = {"forward": 1, "backward": 2, "forward_backward": 3}

Timed = Callable[[], object]


@dataclass(frozen=True)
class Yardstick:
    """Another function: what it is, its counts under the metrics' names, what is timed, its work if it is bounded.

    Each takes a case; `timed` also the device. It is None for a network, which is built as the other networks of its
    problem are. `scopes` are those in which it says anything.
    """

    summary: str
    counts: Callable[["Case"], dict[str, float]]
    timed: Callable[["Case", torch.device], Timed] | None = None
    work: Callable[["Case"], Work | None] = lambda _: None
    scopes: tuple[str, ...] = ("operator", "layer")


@dataclass(frozen=True)
class _Convolution:
    """A convolution's sizes."""

    channels: int
    groups: int
    kernel_size: int
    padding: int
    dilation: int


def replaced_channels(channels: int) -> int:
    """Channels of ResNet-50's 3×3 convolution where LR-Net-50's layer has so many: 64 for 100, … 512 for 800.

    Elsewhere the same share, 16/25, to the nearest multiple of 8, and 8 at the least.
    """
    return max(8, 8 * round(2 * channels / 25))


def _dense(problem: Problem) -> _Convolution:
    return _Convolution(replaced_channels(problem.channels), 1, kernel_size=3, padding=1, dilation=1)


def _depthwise(problem: Problem) -> _Convolution:
    channels = problem.channels
    return _Convolution(channels, channels, problem.kernel_size, problem.padding, problem.dilation)


def _out_size(problem: Problem, shape: _Convolution) -> tuple[int, int]:
    reach = shape.dilation * (shape.kernel_size - 1) + 1 - 2 * shape.padding
    return (problem.height - reach) // problem.stride + 1, (problem.width - reach) // problem.stride + 1


def _convolve(problem: Problem, mode: str, device: torch.device, shape: _Convolution) -> Timed:
    generator = torch.Generator(device).manual_seed(0)
    c, k, n = shape.channels, shape.kernel_size, problem.batch
    sizes = {
        "input": (n, c, problem.height, problem.width),
        "weight": (c, c // shape.groups, k, k),
        "grad_out": (n, c, *_out_size(problem, shape)),
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


def _convolution_counts(problem: Problem, mode: str, shape: _Convolution) -> dict[str, float]:
    height, width = _out_size(problem, shape)
    per_pixel = shape.channels * (shape.channels // shape.groups) * shape.kernel_size**2
    macs = problem.batch * height * width * per_pixel
    return {"macs": macs, "flops": 2 * macs * _PASSES[mode]}


def _convolution(summary: str, shape_of: Callable[[Problem], _Convolution]) -> Yardstick:
    return Yardstick(
        summary,
        lambda case: _convolution_counts(case.problem, case.mode, shape_of(case.problem)),
        lambda case, device: _convolve(case.problem, case.mode, device, shape_of(case.problem)),
    )


def _least_bytes(case: "Case") -> int:
    return min_bytes(case.problem, case.scope, case.mode)


def _copy(case: "Case", device: torch.device) -> Timed:
    source = torch.ones(-(-_least_bytes(case) // 2), dtype=torch.int8, device=device)
    target = torch.empty_like(source)
    return lambda: target.copy_(source)


YARDSTICKS: Mapping[str, Yardstick] = {
    "conv3x3": _convolution("dense 3×3 convolution, of ResNet-50's channels where the layer replaces it", _dense),
    "depthwise": _convolution("depthwise convolution with the problem's window", _depthwise),
    "copy": Yardstick(
        "a copy in the device's memory that moves the least bytes of the problem: half read, half written",
        lambda case: {"min_bytes": _least_bytes(case)},
        _copy,
        lambda case: Work(bytes=_least_bytes(case), fp32=0, exps=0, instructions=0),
    ),
    "resnet": Yardstick(
        "the ResNet of equal depth, where a whole network is measured",
        lambda case: network_counts(case, "resnet"),
        scopes=("network",),
    ),
}
