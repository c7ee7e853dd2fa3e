"""How `chunked` cuts a problem into blocks of output rows, groups and images that keep to a memory budget."""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import product

import torch

from ...compilation import constant_when_traced
from ...memory import free_bytes
from ...problem import Problem, require_int

# A chunk near a core's caches is faster than one far beyond; a GPU wants enough work per launch.
FAST_CHUNK_BYTES = {"cpu": 64 << 20, "cuda": 256 << 20}
_SHARE_OF_FREE = 0.25


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
    """As many rows as the budget holds; once all rows fit, as many groups; then as many images.

    Raises:
        TypeError: The budget is not an int.
        ValueError: The budget does not hold one row of output pixels of one group.
    """
    memory_budget = require_int("memory_budget", memory_budget, 1)
    one, two = chunk_bytes(problem, 1), chunk_bytes(problem, 2)
    if one > memory_budget:
        raise ValueError(
            f"memory_budget must hold one row of output pixels of one group, {one} bytes, got {memory_budget}"
        )
    rows = min(1 + (memory_budget - one) // (two - one), problem.out_height)
    group = chunk_bytes(problem, problem.out_height)
    groups = min(max(1, memory_budget // group), problem.groups)
    images = min(max(1, memory_budget // (group * problem.groups)), problem.batch)
    return Plan(problem, rows, groups, images)


def chunk_bytes(problem: Problem, rows: int) -> int:
    """Peak bytes that so many output rows of one group of one image take in backward, which takes the most."""
    itemsize = 8 if problem.dtype == "float64" else 4
    weights = 5 * problem.kernel_size**2 * problem.out_width * rows  # and their gradients, per tap
    members = 3 * problem.m * problem.out_width * rows  # sums and products of one tap
    width = problem.width + 2 * problem.padding
    inputs = (problem.m + 1) * width * ((rows - 1) * problem.stride + problem.span)  # in the dtype of accumulation
    return itemsize * (weights + members + inputs)


def default_budget(problem: Problem, device: torch.device) -> int:
    """What is fast on the device, at most a quarter of the memory that is free there, at least a row of pixels."""
    quarter = int(_SHARE_OF_FREE * _free_bytes(device.type, device.index))
    return max(min(FAST_CHUNK_BYTES[device.type], quarter), chunk_bytes(problem, 1))


@constant_when_traced
def _free_bytes(kind: str, index: int | None) -> int:
    return free_bytes(torch.device(kind) if index is None else torch.device(kind, index))


def _blocks(size: int, step: int) -> list[slice]:
    return [slice(start, min(start + step, size)) for start in range(0, size, step)]
