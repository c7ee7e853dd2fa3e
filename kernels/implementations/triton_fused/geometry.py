"""What a kernel knows at compile time: the layer's options, how lanes are laid out, what each of them reads."""

import hashlib
from dataclasses import dataclass, replace
from functools import cache
from math import gcd
from pathlib import Path

from ...problem import Problem
from .settings import Kernel, Settings, tiled

# Run-time arguments of every kernel. A batch of 1, or one that 16 divides, is to need no compilation of its own.
SIZES = ("batch", "height", "width", "out_height", "out_width")
# What a kernel computes follows from the fields of its geometry and from the source of its properties. Triton's cache,
# which outlives an upgrade, knows of the fields alone.
SOURCE = hashlib.sha256(Path(__file__).read_bytes()).hexdigest()
_ITEMSIZE = {"float16": 2, "bfloat16": 2, "float32": 4, "float64": 8}


@dataclass(frozen=True)
class Geometry:
    """Compile-time facts of one kernel; batch and image sizes stay run-time arguments.

    A lane is `columns` adjacent pixels of one group, or of one slice of a wide group. It takes the group's channels
    as `pieces` loads of `piece` channels each, and holds them as `vectors` of `vector` channels.
    Channel of member j of group g: g·`group_step` + j·`member_step`.
    `gathered_width` is the width of the image that a lane gathers from where the lane holds a whole row, so that taps
    outside it are known; else 0. Of the columns that a lane gathers, `sure_columns` from `first_sure` on are inside the
    image for every lane: those that it computes, where no lane has too many of them. With `sure_rows` a lane reads
    another row of its window where one is outside; without it, rows are tested in every load. `source` stands for this
    file.
    """

    channels: int
    groups: int
    m: int
    kernel_size: int
    stride: int
    dilation: int
    padding: int
    composability: str
    masked: bool
    prior: bool
    group_step: int
    member_step: int
    piece: int
    pieces: int
    halves: bool
    slices: int
    columns: int
    rows: int
    lane_groups: int
    lanes: int
    sure_rows: bool
    gathered_width: int
    first_sure: int
    sure_columns: int
    wide_index: bool
    source: str = SOURCE

    @property
    def parts(self) -> int:
        """Slices of all groups: what lanes are laid over beside pixels."""
        return self.groups * self.slices

    @property
    def group_chunks(self) -> int:
        """Programs that share a tile of pixels."""
        return -(-self.parts // self.lane_groups) if self.lane_groups else 1

    @property
    def vectors(self) -> int:
        """Vectors that hold a lane's channels of one pixel."""
        return self.pieces * (1 + self.halves)

    @property
    def vector(self) -> int:
        """Channels of one of them."""
        return self.piece // (1 + self.halves)

    @property
    def cells(self) -> int:
        """Lanes of each group in a program whose groups are side by side."""
        return self.lanes // self.lane_groups

    @property
    def stacked_taps(self) -> int:
        """The power of two that holds a window row of taps."""
        return 1 << (self.kernel_size - 1).bit_length()

    @property
    def span(self) -> int:
        """Input columns that a lane of output columns reads."""
        return (self.columns - 1) * self.stride + (self.kernel_size - 1) * self.dilation + 1

    @property
    def first_query(self) -> int:
        """First output column that a lane of input columns reads, from its own place on: may be negative."""
        return -((self.dilation * (self.kernel_size - 1) - self.padding) // self.stride)

    @property
    def query_span(self) -> int:
        """Output columns that a lane of input columns reads."""
        return (self.columns - 1 + self.padding) // self.stride - self.first_query + 1

    @property
    def query_step(self) -> int:
        """Window rows from one that may meet a query to the next: without dilation every stride-th, else each."""
        return self.stride if self.dilation == 1 else 1

    @property
    def query_steps(self) -> int:
        """Steps over the window's rows, where none is left out."""
        return -(-self.kernel_size // self.query_step)

    @property
    def ragged(self) -> bool:
        """Whether some lane has members that are no channels."""
        return self.channels % self.m != 0 or self.pieces * self.piece * self.slices != self.m

    @property
    def skips_rows(self) -> bool:
        """Whether a program takes only the window rows that its one row sees, or is seen with."""
        return self.sure_rows and self.rows == 1

    @property
    def tests_rows(self) -> bool:
        """Whether priors tell of a row that lies outside the image."""
        return self.sure_rows and self.rows > 1

    def tiles(self, batch: int, height: int, width: int) -> int:
        """Programs over a batch of images, for one chunk of groups."""
        blocks = -(-width // self.columns)
        strips, cells = -(-height // self.rows), self.rows * blocks * batch
        if self.rows > 1:
            strips, cells = 1, strips * cells
        if self.lane_groups:
            return strips * -(-cells // self.cells)
        return strips * -(-cells * self.parts // self.lanes)


@cache
def geometry_of(kernel: Kernel, problem: Problem, settings: Settings) -> Geometry:
    """The geometry of a kernel: lanes are input pixels on the key side of backward, output pixels else."""
    members = min(problem.m, problem.channels)
    consecutive = problem.channel_order == "consecutive"
    piece = gcd(problem.channels, problem.m, 16 // _ITEMSIZE[problem.dtype]) if consecutive else 1
    slices = -(-members // settings.members)
    _, width = tiled(kernel, problem)
    if kernel == "key":
        sure_rows = _every_row_is_seen(problem)
        gathered, whole_row = problem.out_width, width <= settings.columns
    else:  # a tap outside the image takes part in the softmax unless it is masked
        masked = problem.padding_mode == "mask"
        # The nearest row inside is one of the window's.
        sure_rows = masked and (problem.dilation == 1 or settings.rows == 1)
        gathered, whole_row = problem.width, width == settings.columns and masked
    first_sure, sure_columns = _sure(kernel, problem, settings.columns)
    geometry = Geometry(
        channels=problem.channels,
        groups=problem.groups,
        m=members,
        kernel_size=problem.kernel_size,
        stride=problem.stride,
        dilation=problem.dilation,
        padding=problem.padding,
        composability=problem.composability,
        masked=problem.padding_mode == "mask",
        prior=problem.prior,
        group_step=problem.m if consecutive else 1,
        member_step=1 if consecutive else problem.groups,
        piece=piece,
        pieces=-(-members // (slices * piece)),
        halves=problem.dtype == "bfloat16" and piece > 1,
        slices=slices,
        columns=settings.columns,
        rows=settings.rows,
        lane_groups=settings.lane_groups,
        lanes=settings.lanes,
        sure_rows=sure_rows,
        gathered_width=gathered if whole_row else 0,
        first_sure=first_sure,
        sure_columns=sure_columns,
        wide_index=False,
    )
    return replace(geometry, wide_index=_needs_wide_index(kernel, problem, geometry))


def _sure(kernel: Kernel, problem: Problem, columns: int) -> tuple[int, int]:
    """Of the columns that a lane gathers the first, and how many, that no lane has outside the image."""
    p = problem
    if tiled(kernel, p)[1] % columns:
        return 0, 0
    if kernel == "key":
        first = (p.dilation * (p.kernel_size - 1) - p.padding) // p.stride
        return first, max(0, p.out_width - (p.width - columns) // p.stride)
    return p.padding, max(0, p.width - (p.out_width - columns) * p.stride)


def _every_row_is_seen(problem: Problem) -> bool:
    """Whether each row of the image lies in some window, and all steps from a first to a last one meet a query."""
    p = problem
    left_over = p.height + p.padding - (p.out_height - 1) * p.stride - p.span
    if p.dilation == 1:
        return p.stride <= p.kernel_size and left_over <= 0
    return p.stride == 1 and p.out_height >= p.dilation


def _needs_wide_index(kernel: Kernel, problem: Problem, geometry: Geometry) -> bool:
    """Whether some element, or some lane with those that fill up strips and programs, has a number beyond 32 bits."""
    pixels = problem.batch * max(problem.height * problem.width, problem.out_height * problem.out_width)
    elements = pixels * max(problem.channels, problem.groups * 2 * geometry.slices)  # pairs of a softmax, and of a part
    programs = geometry.tiles(problem.batch, *tiled(kernel, problem)) * geometry.group_chunks
    return max(elements, programs * geometry.lanes) >= 2**31
