"""How `chunked` cuts a problem into blocks of output rows, groups and images that keep to a memory budget."""

from bisect import bisect_right
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import product

import torch

from ...problem import Problem, require_int

_GIB = 1 << 30
# A chunk near a core's caches is faster than one far beyond; a GPU wants few launches, and much work in each.
_CPU_BYTES = 8 << 20
_GPU_SHARE, _GPU_LEAST, _GPU_MOST = 6, _GIB, 10 * _GIB
DEVICES = ("cpu", "cuda")


@dataclass(frozen=True)
class Chunk:
    """A block of images, groups and output rows, and the padded input rows that its windows touch."""

    images: slice
    groups: slice
    rows: slice
    input_rows: slice

    @property
    def height(self) -> int:
        """Rows of output pixels."""
        return int(self.rows.stop - self.rows.start)

    @property
    def outputs(self) -> tuple[slice, slice, slice, slice]:
        """Where the chunk stands in an output of shape (N, G, m, Ho, Wo)."""
        return self.images, self.groups, slice(None), self.rows


@dataclass(frozen=True)
class Plan:
    """A problem cut into chunks of so many output rows, groups and images."""

    problem: Problem
    rows: int
    groups: int
    images: int

    def chunks(self) -> Iterator[Chunk]:
        """Every chunk once, rows innermost."""
        problem = self.problem
        images = _blocks(problem.batch, self.images)
        groups = _blocks(problem.groups, self.groups)
        for image, group, rows in product(images, groups, _blocks(problem.out_height, self.rows)):
            first, last = rows.start * problem.stride, (rows.stop - 1) * problem.stride
            yield Chunk(image, group, rows, slice(first, last + problem.span))


def plan(problem: Problem, memory_budget: int) -> Plan:
    """As many rows as the budget holds; once all rows fit, the groups and images that make the fewest chunks.

    Chunks are of about equal size.

    Raises:
        TypeError: The budget is not an int.
        ValueError: The budget does not hold one row of output pixels of one group.
    """
    memory_budget = require_int("memory_budget", memory_budget, 1)
    least = chunk_bytes(problem, 1)
    if least > memory_budget:
        raise ValueError(
            f"memory_budget must hold one row of output pixels of one group, {least} bytes, got {memory_budget}"
        )
    sizes = range(1, problem.out_height + 1)
    rows = _evenly(problem.out_height, bisect_right(sizes, memory_budget, key=lambda size: chunk_bytes(problem, size)))
    maps = max(1, memory_budget // chunk_bytes(problem, problem.out_height))  # of one group and one image
    # Of equally few chunks, those of more groups.
    groups = min(range(min(maps, problem.groups), 0, -1), key=lambda size: _count(problem, size, maps // size))
    return Plan(problem, rows, _evenly(problem.groups, groups), max(1, _evenly(problem.batch, maps // groups)))


def chunk_bytes(problem: Problem, rows: int) -> int:
    """Peak bytes that so many output rows of one group of one image take in backward, which takes the most."""
    itemsize = 8 if problem.dtype == "float64" else 4
    k, m, taps = problem.kernel_size, problem.m, problem.kernel_size**2
    pixels = rows * problem.out_width
    width, height = problem.width + 2 * problem.padding, (rows - 1) * problem.stride + problem.span
    # In the dtype of accumulation: key and value, query and the output's gradient, the prior and its gradient.
    inputs = (m + 1) * (width * height + pixels) + 2 * taps
    weights = 2 * taps * pixels  # and logits or gradients; below, windows of the key in a slope of Φ or before it
    values = (k + 1) * m * width * rows  # what a row of taps gives to the image, and its sum
    keys = max((taps + k) * width * rows, k * width * (rows + height), (k + 1) * width * height)
    return itemsize * (inputs + weights + max(values, keys))


def default_budget(problem: Problem, device: torch.device) -> int:
    """What is fast on a CPU, a sixth of all memory of a GPU within limits; at least a row of pixels.

    It knows nothing of what is free, as sums over other chunks would round otherwise.
    """
    fast = _CPU_BYTES if device.type == "cpu" else _gpu_bytes(device)
    return max(fast, chunk_bytes(problem, 1))


def _gpu_bytes(device: torch.device) -> int:
    share = torch.cuda.get_device_properties(device).total_memory // _GPU_SHARE
    return min(max(share, _GPU_LEAST), _GPU_MOST)


def _count(problem: Problem, groups: int, images: int) -> int:
    """How many chunks of so many groups and images there are."""
    return -(-problem.groups // groups) * -(-problem.batch // images)


def _evenly(size: int, most: int) -> int:
    """The least step that cuts a size into no more blocks than steps of `most` do."""
    blocks = -(-size // most)
    return -(-size // blocks) if blocks else 1


def _blocks(size: int, step: int) -> list[slice]:
    return [slice(start, min(start + step, size)) for start in range(0, size, step)]
