"""How long a GPU needs at the least: memory, arithmetic, exponentials and instruction issue. Free of torch.

The bounds are of the operator, fused: each input is read once, nothing of size k² per pixel is stored, a thread holds
one group of `COLUMNS` neighbouring pixels, and sums are taken in float32 (float64 for float64). Taps outside the image
are not counted where they are masked, for a kernel may skip them.

- memory: the least bytes over the bandwidth.
- fp32 (fp64 for float64): the operations of `complexity.flops`, two to a multiply–add, over the pipe's rate.
- exp: one exponential per tap and group forward, two backward. For float64 there is no unit, and they are not counted.
- issue: the instructions of `KERNELS` over the rate at which the chip issues them. They are counted from the
  mathematics and not from what a compiler made of a kernel, so that a worse kernel does not get an easier bound.

A kernel that finds a way around one of these instructions, such as more columns in a thread, can be faster than the
issue bound: its share of the bound is then above 1.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from math import ceil
from typing import TYPE_CHECKING

from .chips import Chip
from .complexity import ITEMSIZE, min_bytes, taken_taps

if TYPE_CHECKING:
    from kernels import Problem

COLUMNS = 4
_VECTOR_BYTES = 16


@dataclass(frozen=True)
class Work:
    """What there is to do, over all threads: bytes moved, multiply–add slots, exponentials, instructions issued."""

    bytes: float
    fp32: float
    exps: float
    instructions: float
    double: bool = False


@dataclass(frozen=True)
class Step:
    """Instructions of a thread for a group of `size` channels at one place of a kernel.

    `fixed` and `per_channel` are arithmetic. `vectors` are loads of a number per channel, 16 bytes at a time, and
    `scalars` of one number; each 16-bit number takes an instruction more to become float32. `stores` are vectors
    written; an instruction packs two 16-bit numbers.
    """

    fixed: float = 0
    per_channel: float = 0
    vectors: int = 0
    scalars: int = 0
    stores: int = 0

    def instructions(self, size: int, itemsize: int) -> float:
        """The number of instructions."""
        moves = (self.vectors + self.stores) * ceil(size * itemsize / _VECTOR_BYTES) + self.scalars
        conversions = self.vectors * size + self.scalars + self.stores * size / 2 if itemsize == 2 else 0
        return self.fixed + self.per_channel * size + moves + conversions


@dataclass(frozen=True, kw_only=True)
class Kernel:
    """A kernel, of the forward pass or of the query's or the key's side of backward.

    Its steps for each tap, for each column loaded in a row of the window, for each row, and for each pixel; whether a
    tap outside the image takes a select; its operations per tap (for each channel, for each group); the tensors that
    it moves, and how many float32 numbers per output pixel and group beside them.
    """

    tap: Step
    column: Step
    row: Step
    pixel: Step
    selects: int
    flops: tuple[int, int]
    moved: tuple[str, ...]
    float32_maps: int = 0


_INPUTS = ("query", "key", "value", "prior")
KERNELS: Mapping[str, Kernel] = {
    "forward": Kernel(
        # Logit with the prior, maximum, difference, exp2, sum; a multiply–add for each channel.
        tap=Step(fixed=5, per_channel=1),
        # The value and the key; predicate and addresses take about 4.
        column=Step(fixed=4, vectors=1, scalars=1),
        # The row's maximum joins the last, difference, exp2; the sum and each channel's sum are rescaled.
        row=Step(fixed=4, per_channel=1),
        # The query; the reciprocal of the sum, times which each channel is stored.
        pixel=Step(fixed=1, per_channel=1, scalars=1, stores=1),
        selects=1,
        flops=(2, 6),
        moved=(*_INPUTS, "out"),
    ),
    "query": Kernel(
        # Logit with the prior, less the log-sum, exp2, times the gradient of the weight, gradients of query and prior;
        # the gradient of the weight is a dot product over the channels that starts at minus the mean.
        tap=Step(fixed=6, per_channel=1),
        column=Step(fixed=4, vectors=1, scalars=1),
        row=Step(),
        # The mean, a dot product of the output and its gradient, which is stored; query, log-sum, query's gradient.
        pixel=Step(fixed=3, per_channel=1, vectors=2, scalars=1),
        selects=1,
        flops=(2, 9),
        moved=(*_INPUTS, "out", "out", "query", "prior"),
        float32_maps=2,
    ),
    "key": Kernel(
        # As the query's side, with the gradients of key and value. Outside, a log-sum of infinity saves the select.
        tap=Step(fixed=5, per_channel=2),
        # The output's gradient and the query, and as float32 the log-sum and the mean.
        column=Step(fixed=6, vectors=1, scalars=1),
        row=Step(),
        # The value and the key; the gradients of both.
        pixel=Step(fixed=1, vectors=1, scalars=1, stores=1),
        selects=0,
        flops=(4, 8),
        moved=(*_INPUTS, "out", "key", "value"),
        float32_maps=2,
    ),
}
MODES: Mapping[str, tuple[str, ...]] = {
    "forward": ("forward",),
    "backward": ("query", "key"),
    "forward_backward": ("forward", "query", "key"),
}


def kernel_work(problem: "Problem", name: str) -> Work:
    """The work of the kernel of that name."""
    kernel = KERNELS[name]
    taps = taken_taps(problem)
    of_channel, of_group = kernel.flops
    flops = taps * (of_channel * problem.channels + (of_group + _difference(problem)) * problem.groups)
    double = problem.dtype == "float64"
    return Work(
        bytes=_moved_bytes(problem, kernel),
        fp32=flops / 2,
        exps=0 if double else taps * problem.groups,
        instructions=_instructions(problem, name),
        double=double,
    )


def mode_work(problem: "Problem", mode: str) -> Work:
    """The work of a mode: of its kernels, but that each tensor is moved once in all."""
    works = [kernel_work(problem, name) for name in MODES[mode]]
    return Work(
        bytes=min_bytes(problem, "operator", mode),
        fp32=sum(work.fp32 for work in works),
        exps=sum(work.exps for work in works),
        instructions=sum(work.instructions for work in works),
        double=works[0].double,
    )


def bounds_us(work: Work, chip: Chip) -> dict[str, float]:
    """Each bound in µs."""
    units = chip.units
    pipe = {"fp64": units.fp64} if work.double else {"fp32": units.fp32}
    return {
        "memory": work.bytes / (chip.dram_tbps * 1e6),
        **{name: work.fp32 / chip.per_us(lanes) for name, lanes in pipe.items()},
        "exp": work.exps / (chip.exp_per_us or chip.per_us(units.exp)),
        "issue": work.instructions / chip.per_us(units.issue),
    }


def largest(bounds: Mapping[str, float]) -> str:
    """The bound that decides."""
    return max(bounds, key=lambda name: bounds[name])


def _difference(problem: "Problem") -> int:
    """Instructions (and operations) that the logit of a Φ with a difference takes more."""
    return int(problem.composability != "multiplication")


def _instructions(problem: "Problem", name: str) -> float:
    """Instructions of a kernel over all threads, group by group: the last may be smaller."""
    kernel, itemsize = KERNELS[name], ITEMSIZE[problem.dtype]
    k, taps = problem.kernel_size, taken_taps(problem)
    height, width = (problem.height, problem.width) if name == "key" else (problem.out_height, problem.out_width)
    pixels = problem.batch * height * width
    stride = 1 if name == "key" else problem.stride
    shared = len({c * stride + tap * problem.dilation for c in range(COLUMNS) for tap in range(k)}) / (COLUMNS * k)
    once = _difference(problem) + kernel.selects * (problem.padding_mode == "mask") + problem.prior / COLUMNS
    total = 0.0
    for size, count in _groups(problem):
        per_tap = once + kernel.tap.instructions(size, itemsize) + shared * kernel.column.instructions(size, itemsize)
        per_tap += kernel.row.instructions(size, itemsize) / k
        total += count * (taps * per_tap + pixels * kernel.pixel.instructions(size, itemsize))
    return total


def _groups(problem: "Problem") -> Iterable[tuple[int, int]]:
    """Sizes of groups, and how many there are of each."""
    full, rest = divmod(problem.channels, problem.m)
    return [(size, count) for size, count in ((problem.m, full), (rest, 1)) if size and count]


def _moved_bytes(problem: "Problem", kernel: Kernel) -> int:
    out_pixels = problem.batch * problem.out_height * problem.out_width
    in_pixels = problem.batch * problem.height * problem.width
    numbers = {
        "query": out_pixels * problem.groups,
        "key": in_pixels * problem.groups,
        "value": in_pixels * problem.channels,
        "prior": problem.groups * problem.kernel_size**2 * problem.prior,
        "out": out_pixels * problem.channels,
    }
    moved = sum(numbers[name] for name in kernel.moved)
    return moved * ITEMSIZE[problem.dtype] + 4 * kernel.float32_maps * numbers["query"]
