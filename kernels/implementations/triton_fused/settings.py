"""Launch settings: how a kernel is cut into programs and lanes, which changes its speed and not what it computes."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import cache
from math import gcd
from typing import Literal, get_args

from ...problem import Problem

Kernel = Literal["forward", "query", "key"]
# Instructions per tap by columns per lane, over those of 4; 5 and 7 have fewer but take more registers.
_INSTRUCTIONS = {1: 1.75, 2: 1.2, 4: 1.0, 5: 1.02, 7: 1.05}
# Channels of a lane: with 16 the weights of a wide group are computed once for 16 channels; more do not fit.
_MEMBERS = 16
# Registers bound a multiprocessor to 12 to 16 warps: three or four programs of four warps, of eight only one.
_LANES = 128
_WARP = 32
KERNELS: tuple[Kernel, ...] = get_args(Kernel)
# Up to so many numbers of a lane, so many registers; beyond, 255. Pairs must lie in neighbouring ones.
_LIMITS: Mapping[tuple[Kernel, bool], Sequence[tuple[int, int]]] = {
    ("forward", False): ((85, 128), (110, 168)),
    ("forward", True): ((105, 168),),
    ("query", False): ((88, 168),),
    ("query", True): ((74, 168),),
    ("key", False): ((48, 128), (90, 168)),
    ("key", True): ((48, 128), (82, 168)),
}


@dataclass(frozen=True)
class Settings:
    """The launch settings of one kernel.

    Args:
        columns: Adjacent pixels of a row that a lane computes.
        rows: Height of the strips that lanes are laid over. With 1, a program keeps to one row and skips the window
            rows that lie outside the image.
        lane_groups: Groups side by side in a program, a power of two; 0 lays lanes flat over all groups, none idle.
        members: Most channels of a lane; wider groups are cut into slices.
        lanes: Lanes of a program, one a thread.
        registers: Most registers of a thread; 0 leaves them to the compiler.
    """

    columns: int
    rows: int
    lane_groups: int
    members: int
    lanes: int
    registers: int = 0

    @property
    def options(self) -> dict[str, int]:
        """The options of a launch that Triton knows by its own names."""
        limit = {"maxnreg": self.registers} if self.registers else {}
        # Triton 3.9 warns that a product and a sum will be two instructions where this is not asked for.
        return {"num_warps": self.lanes // _WARP, "enable_fp_fusion": True, **limit}

    def __str__(self) -> str:
        """The settings in one word, for a column of results: every field's initials and value."""
        return "c{columns}-r{rows}-g{lane_groups}-m{members}-l{lanes}-x{registers}".format(**asdict(self))


def has_pairs(capability: tuple[int, int]) -> bool:
    """Whether a GPU multiplies and adds two float32 in one instruction, or its compiler takes it for one that does."""
    return capability >= (10, 0)


@cache
def heuristic(kernel: Kernel, problem: Problem, *, pairs: bool = False) -> Settings:
    """Settings that need no search; the figures behind its numbers are of `python -m bench offline --schedule`.

    `pairs` tells of a GPU that multiplies and adds two float32 in one instruction.
    """
    height, width = tiled(kernel, problem)
    columns = _columns(kernel, problem, width)
    return Settings(
        columns=columns,
        rows=_rows(kernel, problem, height, -(-width // columns)),
        # The prior's gradient is summed over the lanes of a group, so these keep in step.
        lane_groups=_lane_groups(problem.groups) if kernel == "query" and problem.prior else 0,
        members=_MEMBERS,
        lanes=_WARP if _one_warp(kernel, problem, columns) else _LANES,
        registers=_registers(kernel, problem, columns, pairs=pairs),
    )


def alternatives(kernel: Kernel, problem: Problem, field: str) -> tuple[int, ...]:
    """The values of one field that a search may try, whatever the others are."""
    _, width = tiled(kernel, problem)
    step = problem.stride if kernel == "key" else 1
    columns = (-(-columns // step) * step for columns in (width, *_INSTRUCTIONS) if columns <= 7)
    side_by_side = kernel == "query" and problem.prior
    values = {
        "columns": columns,
        "rows": (1, 2, 4, 7, 8),
        "lane_groups": (2, 4, 8, 16, 32) if side_by_side else (0,),
        # Query and key side share sums per slice, so they must agree.
        "members": (_MEMBERS,),
        "lanes": (32, 64, 128, 256),
        "registers": (0, 128, 168, 255),
    }
    return tuple(dict.fromkeys(values[field]))


def tiled(kernel: Kernel, problem: Problem) -> tuple[int, int]:
    """Height and width of the image whose pixels are lanes."""
    if kernel == "key":
        return problem.height, problem.width
    return problem.out_height, problem.out_width


def _columns(kernel: Kernel, problem: Problem, width: int) -> int:
    """Columns per lane: the fewest instructions per pixel of a row, within the registers that a thread has."""
    # On the key side a multiple of the stride: which taps reach a column's queries is then known at compile time.
    step = problem.stride if kernel == "key" else 1
    # A whole row in a lane takes the fewest: which taps lie outside the image is known as well.
    options = {**_INSTRUCTIONS, **({width: 0.9} if width <= 7 else {})}
    fitting = {columns: cost for columns, cost in options.items() if _fits(kernel, problem, columns, width)}
    columns = min(fitting, key=lambda columns: -(-width // columns) * columns * fitting[columns])
    return -(-columns // step) * step


def _fits(kernel: Kernel, problem: Problem, columns: int, width: int) -> bool:
    """Whether the sums, and forward the logits, of so many columns fit a thread's 255 registers."""
    if columns == 1:
        return True
    if problem.dtype == "float64" or (kernel != "key" and problem.stride > 4):
        return False
    members, whole_row = min(problem.m, _MEMBERS), columns == width
    if kernel == "key":  # the values and their gradients
        return columns * members <= 56
    inside = whole_row and problem.padding_mode == "mask"
    taps = min(problem.kernel_size, problem.width) if inside else problem.kernel_size
    return columns * members <= 64 and columns * taps <= 56


def _one_warp(kernel: Kernel, problem: Problem, columns: int) -> bool:
    """Whether a program is one warp: summing the prior's gradient, warps would wait for each other in every window row.

    Each program leaves its own sums to be added up: with fewer than four channels to a group these are too many. With
    13 columns of a window, or with more than four that do not divide a row, nothing is won.
    """
    if kernel != "query" or not problem.prior or problem.m < 4 or problem.kernel_size >= 13:
        return False
    return columns <= 4 or problem.out_width % columns == 0


def _registers(kernel: Kernel, problem: Problem, columns: int, *, pairs: bool) -> int:
    """A limit, without which the compiler asks for data shortly before it needs them: the least that spills nothing.

    A multiprocessor holds 16 warps of 128 registers, 12 of 168, 8 of 255.
    """
    if kernel == "query" and _spills_under_a_limit(problem, columns, pairs=pairs):
        return 0
    live = _live(kernel, problem, columns) * (2 if problem.dtype == "float64" else 1)
    return next((limit for most, limit in _LIMITS[kernel, pairs] if live <= most), 255)


def _spills_under_a_limit(problem: Problem, columns: int, *, pairs: bool) -> bool:
    """Whether the query side's compiler, left to itself, takes few registers, and spills under any limit; as found."""
    whole_row = columns == problem.out_width
    return (whole_row and not pairs) or not _narrow(problem) or problem.m < 4 or problem.kernel_size in (9, 11)


def _live(kernel: Kernel, problem: Problem, columns: int) -> int:
    """Numbers that a lane holds at once: those of each column, a window row of taps, and of keys.

    And addresses, where channels do not lie side by side or rows are tested in each load.
    """
    k, members = problem.kernel_size, min(problem.m, problem.channels, _MEMBERS)
    wide = 0 if _narrow(problem) else 1
    together = 1 if problem.channel_order == "strided" else gcd(problem.channels, problem.m)
    scattered = together < min(problem.m, 4)
    addresses = 40 if scattered else 0
    if kernel == "key":
        return 2 * columns * (members + 1) + k + 8 * wide + addresses
    span = (columns - 1) * problem.stride + problem.dilation * (k - 1) + 1
    if kernel == "query":
        return columns * (members + 4) + 2 * k + span + addresses
    if problem.padding_mode != "mask" or problem.dilation > 1:
        addresses += 32
    places = [r - problem.padding + v * problem.dilation for r in range(columns) for v in range(k)]
    inside = [0 <= place < problem.width for place in places]
    whole_row = columns == problem.out_width and problem.padding_mode == "mask"
    taps = sum(inside) if whole_row else len(places)
    return columns * members + taps + span + k + 16 * wide + addresses


def _narrow(problem: Problem) -> bool:
    """Whether its numbers have 16 bits: keys are then asked for a window row ahead."""
    return problem.dtype in ("float16", "bfloat16")


def _rows(kernel: Kernel, problem: Problem, height: int, blocks: int) -> int:
    """Rows of a strip: 1 where the border takes an eighth of the window rows or more and a row has lanes enough.

    Not on the key side where a row is several lanes: it has less in the L1 then, and more to load, than it saves.
    Elsewhere strips, whose lanes share the values of overlapping windows, of a height that wastes least. The batch is
    no matter, so that the last one of an epoch needs no kernels of its own.
    """
    skips = kernel != "key" or blocks == 1
    if skips and height <= 2 * problem.kernel_size and 4 * blocks * problem.groups >= _LANES:
        return 1
    return min((4, 7, 2), key=lambda rows: -(-height // rows) * rows)


def _lane_groups(groups: int) -> int:
    """Groups side by side in a program: few idle lanes, and 8 rather than 4 for loads that share cache lines."""
    weights = {8: 1.0, 4: 1.1, 2: 1.5, 1: 3.0}
    return min(weights, key=lambda size: -(-groups // size) * size * weights[size])
