"""What a problem costs: the paper's formula, the exact count, and the least bytes that must move. Free of torch.

All counts are for the whole batch. Every tap of a window is counted, also those outside the image.
"""

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from kernels import Problem


class Asked(Protocol):
    """What a count is of: a problem in a scope and a mode, and the depth of a network; as a case has them."""

    @property
    def problem(self) -> "Problem":
        """The sizes and options."""

    @property
    def scope(self) -> str:
        """The operator, the layer or a network."""

    @property
    def mode(self) -> str:
        """The passes."""

    @property
    def implementation(self) -> str:
        """An implementation or a yardstick."""

    @property
    def depth(self) -> int:
        """The depth of a network, 0 elsewhere."""


ITEMSIZE = {"float16": 2, "bfloat16": 2, "float32": 4, "float64": 8}


def paper_cost(problem: "Problem") -> float:
    """((1 + s²)/m + 1)·C·(C + k²)·HW/s² per image: the paper's cost of the layer, 1×1 convolutions included."""
    return sum(paper_terms(problem))


def paper_terms(problem: "Problem") -> tuple[float, float]:
    """The two terms of the paper's cost over the batch: that of the 1×1 convolutions, C², and that of the window, C·k².

    The first is exact where m divides C, the second is more than similarity and aggregation take, (1/m + 1)·C·k².
    """
    squared_stride = problem.stride**2
    pixels = problem.batch * problem.height * problem.width / squared_stride
    per_pixel = ((1 + squared_stride) / problem.m + 1) * problem.channels * pixels
    return per_pixel * problem.channels, per_pixel * problem.kernel_size**2


def relation_macs(problem: "Problem") -> int:
    """k²·(G + C)·HoWo per image: the operator's multiply–adds, similarity and aggregation."""
    return _out_pixels(problem) * problem.kernel_size**2 * (problem.groups + problem.channels)


def projection_macs(problem: "Problem") -> int:
    """C·(G·HoWo + G·HW + C·HoWo) per image: the multiply–adds of the query, key and output 1×1 convolutions."""
    weights = problem.groups + problem.channels
    return problem.channels * (_out_pixels(problem) * weights + _in_pixels(problem) * problem.groups)


def macs(problem: "Problem", scope: str) -> int:
    """Multiply–adds of one forward pass of the operator or of the whole layer."""
    return relation_macs(problem) + (projection_macs(problem) if scope == "layer" else 0)


def flops(problem: "Problem", scope: str, mode: str) -> int:
    """Floating-point operations of a case; per tap and group 2m + 6 forward and 6m + 17 backward (Φ = q·k).

    Forward: logit 2, maximum, difference, exponential, sum, and a multiply–add for each channel. Backward gathers
    twice and computes the weights again each time. The differences in Φ cost one more operation per logit.
    """
    taps = _out_pixels(problem) * problem.kernel_size**2
    difference = 0 if problem.composability == "multiplication" else 1
    forward = taps * (2 * problem.channels + (6 + difference) * problem.groups)
    backward = taps * (6 * problem.channels + (17 + 2 * difference) * problem.groups)
    if scope == "layer":
        forward += 2 * projection_macs(problem)
        backward += 4 * projection_macs(problem)
    return {"forward": forward, "backward": backward, "forward_backward": forward + backward}[mode]


def min_bytes(problem: "Problem", scope: str, mode: str) -> int:
    """The least bytes a case must move: each input read once, each output written once, nothing between stored.

    Backward of the operator also reads the output and a float32 log-sum per output pixel and group.
    """
    itemsize = ITEMSIZE[problem.dtype]
    value, out = _in_pixels(problem) * problem.channels, _out_pixels(problem) * problem.channels
    prior = problem.groups * problem.kernel_size**2 * problem.prior
    if scope == "layer":
        weights = problem.channels * (2 * problem.groups + problem.channels) + prior
        forward, backward = value + out + weights, 2 * value + out + 2 * weights
        log_sums = 0
    else:
        key, query = _in_pixels(problem) * problem.groups, _out_pixels(problem) * problem.groups
        forward = query + key + value + prior + out
        backward = 2 * (query + key + value + prior + out)
        log_sums = 4 * query
    counts = {
        "forward": forward * itemsize,
        "backward": backward * itemsize + log_sums,
        "forward_backward": (forward + backward) * itemsize + 2 * log_sums,
    }
    return counts[mode]


def taken_taps(problem: "Problem") -> int:
    """Taps that must be taken, over all output pixels: those inside the image where the others are masked, else all."""
    if problem.padding_mode != "mask":
        return _out_pixels(problem) * problem.kernel_size**2
    sides = ((problem.height, problem.out_height), (problem.width, problem.out_width))
    rows, columns = (
        sum(
            0 <= place * problem.stride - problem.padding + tap * problem.dilation < size
            for place in range(out_size)
            for tap in range(problem.kernel_size)
        )
        for size, out_size in sides
    )
    return problem.batch * rows * columns


def _in_pixels(problem: "Problem") -> int:
    return problem.batch * problem.height * problem.width


def _out_pixels(problem: "Problem") -> int:
    return problem.batch * problem.out_height * problem.out_width
