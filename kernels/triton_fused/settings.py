"""Launch settings: how a kernel is cut into programs and lanes, which changes its speed and not what it computes."""

from dataclasses import dataclass
from functools import cache
from typing import Literal, get_args

from ..problem import Problem

Kernel = Literal["forward", "query", "key"]
# Registers bound a multiprocessor to 12 to 16 warps: three or four programs of four warps, of eight only one.
_LANES = 128
KERNELS: tuple[Kernel, ...] = get_args(Kernel)


@dataclass(frozen=True)
class Settings:
    """The launch settings of one kernel.

    Args:
        columns: Adjacent pixels of a row that a lane computes.
        rows: Height of the strips that lanes are laid over. With 1, a program keeps to one row and skips the window
            rows that lie outside the image.
        lane_groups: Groups of a program, a power of two; 0 lays lanes flat over all groups, so that none is idle.
        members: Most channels of a lane; wider groups are cut into slices.
        lanes: Lanes of a program, one a thread.
    """

    columns: int
    rows: int
    lane_groups: int
    members: int
    lanes: int

    @property
    def warps(self) -> int:
        """Warps of a program."""
        return self.lanes // 32


@cache
def heuristic(kernel: Kernel, problem: Problem) -> Settings:
    """Settings that need no search."""
    height, width = tiled(kernel, problem)
    columns = _columns(kernel, problem, width)
    return Settings(
        columns=columns,
        rows=_rows(problem, height, -(-width // columns)),
        # The prior's gradient is summed over the lanes of a group, which flat lanes do not keep in step.
        lane_groups=_lane_groups(problem.groups) if kernel == "query" and problem.prior else 0,
        members=16,
        lanes=_LANES,
    )


def tiled(kernel: Kernel, problem: Problem) -> tuple[int, int]:
    """Height and width of the image whose pixels are lanes."""
    if kernel == "key":
        return problem.height, problem.width
    return problem.out_height, problem.out_width


def _rows(problem: Problem, height: int, blocks: int) -> int:
    """Rows of a strip: 1 where the border takes an eighth of the window rows or more and a row fills its programs.

    Elsewhere strips, whose lanes share the values of overlapping windows; a height that divides the image's best.
    """
    lanes_of_row = problem.batch * blocks * problem.groups
    if height <= 2 * problem.kernel_size and -(-lanes_of_row // _LANES) * _LANES <= 1.15 * lanes_of_row:
        return 1
    return min((4, 7, 2), key=lambda rows: -(-height // rows) * rows)


def _lane_groups(groups: int) -> int:
    """The power of two, up to 8, that leaves the least lanes without a group; the larger of equals."""
    return min((8, 4, 2, 1), key=lambda size: -(-groups // size) * size)


def _columns(kernel: Kernel, problem: Problem, width: int) -> int:
    """Columns per lane: they share loads of keys and values, and cost registers (columns · k logits)."""
    if kernel != "key" and problem.stride > 4:
        return 1
    if problem.dtype == "float64" or problem.kernel_size > 13:
        columns = 1
    elif problem.kernel_size > 9:
        columns = 2
    elif width <= 7:
        columns = width
    elif width % 4 and width <= 28:
        columns = min((7, 4), key=lambda columns: -(-width // columns) * columns)
    else:
        columns = 4
    # On the key side a multiple of the stride: which taps reach a column's queries is then known at compile time.
    step = problem.stride if kernel == "key" else 1
    return -(-columns // step) * step
