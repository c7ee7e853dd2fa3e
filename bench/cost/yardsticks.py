"""Yardsticks: other functions at a case's sizes, timed beside the implementations. None of them computes the layer.

They say what the layer's time is worth, so they are not checked against float64 and have no speed-up. The yardstick of
a whole network is treated as the network is. Here is what they cost; `bench.measure.yardsticks` has what is timed.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from .bounds import Work
from .complexity import Asked, min_bytes
from .network_counts import network_metrics

if TYPE_CHECKING:
    from kernels import Problem

# Backward multiplies as often for the input's gradient as for the weight's.
_PASSES = {"forward": 1, "backward": 2, "forward_backward": 3}


@dataclass(frozen=True)
class Yardstick:
    """Another function: what it is, its counts under the metrics' names, its work if it is bounded.

    `scopes` are those in which it says anything.
    """

    summary: str
    counts: Callable[[Asked], dict[str, float]]
    work: Callable[[Asked], Work | None] = lambda _: None
    scopes: tuple[str, ...] = ("operator", "layer")


@dataclass(frozen=True)
class Convolution:
    """A convolution's sizes, beside the problem's own."""

    channels: int
    groups: int
    kernel_size: int
    padding: int
    dilation: int

    def out_size(self, problem: "Problem") -> tuple[int, int]:
        """Rows and columns of what it makes of a problem's image."""
        reach = self.dilation * (self.kernel_size - 1) + 1 - 2 * self.padding
        return (problem.height - reach) // problem.stride + 1, (problem.width - reach) // problem.stride + 1

    def counts(self, asked: Asked) -> dict[str, float]:
        """Multiply–adds of a forward pass, and the operations of the mode."""
        height, width = self.out_size(asked.problem)
        per_pixel = self.channels * (self.channels // self.groups) * self.kernel_size**2
        macs = asked.problem.batch * height * width * per_pixel
        return {"macs": macs, "flops": 2 * macs * _PASSES[asked.mode]}


def replaced_channels(channels: int) -> int:
    """Channels of ResNet-50's 3×3 convolution where LR-Net-50's layer has so many: 64 for 100, … 512 for 800.

    Elsewhere the same share, 16/25, to the nearest multiple of 8, and 8 at the least.
    """
    return max(8, 8 * round(2 * channels / 25))


def _dense(problem: "Problem") -> Convolution:
    return Convolution(replaced_channels(problem.channels), 1, kernel_size=3, padding=1, dilation=1)


def _depthwise(problem: "Problem") -> Convolution:
    channels = problem.channels
    return Convolution(channels, channels, problem.kernel_size, problem.padding, problem.dilation)


# The convolution that a yardstick is, by the problem.
CONVOLUTIONS: Mapping[str, Callable[["Problem"], Convolution]] = {"conv3x3": _dense, "depthwise": _depthwise}


def least_bytes(asked: Asked) -> int:
    """The least bytes that the problem's mode must move."""
    return min_bytes(asked.problem, asked.scope, asked.mode)


YARDSTICKS: Mapping[str, Yardstick] = {
    "conv3x3": Yardstick(
        "dense 3×3 convolution, of ResNet-50's channels where the layer replaces it",
        lambda asked: _dense(asked.problem).counts(asked),
    ),
    "depthwise": Yardstick(
        "depthwise convolution with the problem's window",
        lambda asked: _depthwise(asked.problem).counts(asked),
    ),
    "copy": Yardstick(
        "a copy in the device's memory that moves the least bytes of the problem: half read, half written",
        lambda asked: {"min_bytes": least_bytes(asked)},
        lambda asked: Work(bytes=least_bytes(asked), fp32=0, exps=0, instructions=0),
    ),
    "resnet": Yardstick(
        "the ResNet of equal depth, where a whole network is measured",
        lambda asked: network_metrics(f"resnet_{asked.depth}", asked.problem, asked.mode),
        scopes=("network",),
    ),
}
