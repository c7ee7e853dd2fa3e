"""How large the sequences of `flex` and what its kernels take become."""

from ...problem import Problem
from .sequence import BLOCK, key_edge

HEAD_DIM = 16  # the least that a matrix product on tensor cores takes; a query and a key are one number


def value_dim(problem: Problem) -> int:
    """Channels of a group as the kernels take them: a power of two."""
    return max(HEAD_DIM, 1 << (problem.m - 1).bit_length())


def bounds(problem: Problem) -> tuple[int, int]:
    """Pixels of the sequences of queries and keys, without working out the better order: nearly as many."""
    edge = 2 * key_edge(problem)
    pixels = (problem.out_height * problem.out_width, (problem.height + edge) * (problem.width + edge))
    queries, keys = (-(-size // BLOCK) * BLOCK for size in pixels)
    return queries, keys


def largest(problem: Problem) -> int:
    """Elements of the largest tensor that the kernels see."""
    return problem.batch * problem.groups * max(bounds(problem)) * value_dim(problem)
