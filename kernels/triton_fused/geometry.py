"""What a kernel knows at compile time: the layer's options and the tile that a program works on."""

from dataclasses import dataclass
from functools import cache
from math import gcd

from ..problem import Problem

_ITEMSIZE = {"float16": 2, "bfloat16": 2, "float32": 4, "float64": 8}
# A lane holds the sums of one group's channels for several columns in registers; wider groups are cut into slices.
_MEMBERS_PER_LANE = 16
_LANES = 256


@dataclass(frozen=True)
class Geometry:
    """Compile-time facts of one kernel; image sizes and batch stay run-time arguments.

    A lane is `columns` adjacent pixels of one group, or of one slice of a wide group. It takes the group's channels
    as `pieces` vectors of `piece` channels each. A program is `rows` × `blocks` × `lane_groups` lanes, groups fastest.
    Channel of member j of group g: g·`group_step` + j·`member_step`.
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
    slices: int
    columns: int
    rows: int
    blocks: int
    lane_groups: int
    wide_index: bool

    @property
    def lanes(self) -> int:
        """Lanes of a program."""
        return self.rows * self.blocks * self.lane_groups

    @property
    def group_chunks(self) -> int:
        """Programs that share a tile of pixels."""
        return -(-self.groups * self.slices // self.lane_groups)

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
    def ragged(self) -> bool:
        """Whether some lane has members that are no channels."""
        return self.channels % self.m != 0 or self.pieces * self.piece * self.slices != self.m

    def tiles(self, height: int, width: int) -> int:
        """Programs over one image, for one chunk of groups."""
        return -(-height // self.rows) * -(-width // (self.blocks * self.columns))

    @property
    def warps(self) -> int:
        """Warps of a program, a lane per thread."""
        return self.lanes // 32


@cache
def output_geometry(problem: Problem) -> Geometry:
    """The geometry of the kernels whose lanes are output pixels: forward, and the query side of backward."""
    columns = 1 if problem.stride > 4 else _columns(problem, problem.out_width)
    return _geometry(problem, columns, problem.out_height, problem.out_width)


@cache
def input_geometry(problem: Problem) -> Geometry:
    """The geometry of the kernel whose lanes are input pixels: the key side of backward."""
    columns = _columns(problem, problem.width)
    # A multiple of the stride, so that which taps reach a column's queries is known at compile time.
    columns = -(-columns // problem.stride) * problem.stride
    return _geometry(problem, columns, problem.height, problem.width)


def _columns(problem: Problem, width: int) -> int:
    """Columns per lane: they share loads of keys and values, and cost registers (columns · k logits)."""
    if problem.dtype == "float64" or problem.kernel_size > 13:
        return 1
    if problem.kernel_size > 9:
        return 2
    if width % 4 and width <= 7 * 4:
        return min((7, 4), key=lambda columns: -(-width // columns) * columns)
    return 4


def _geometry(problem: Problem, columns: int, height: int, width: int) -> Geometry:
    members = min(problem.m, problem.channels)
    consecutive = problem.channel_order == "consecutive"
    vector = 16 // _ITEMSIZE[problem.dtype]
    piece = gcd(problem.channels, problem.m, vector) if consecutive else 1
    slices = -(-members // _MEMBERS_PER_LANE)
    pieces = -(-members // (slices * piece))
    rows = min(8, _power_of_two(height))
    blocks = min(4, _power_of_two(-(-width // columns)))
    lane_groups = max(32, min(_LANES, rows * blocks * _power_of_two(problem.groups * slices))) // (rows * blocks)
    return Geometry(
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
        pieces=pieces,
        slices=slices,
        columns=columns,
        rows=rows,
        blocks=blocks,
        lane_groups=max(1, lane_groups),
        wide_index=max(height * width, problem.height * problem.width) * problem.channels >= 2**31,
    )


def _power_of_two(number: int) -> int:
    """The least power of two that is not below the number."""
    return 1 << (number - 1).bit_length()
