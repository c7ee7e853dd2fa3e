"""Which of a kernel's loads find their data in the L1: the places that its lanes read, row by row of the window.

A place is what one lane reads of one pixel: the channels of its group, and the numbers of its group that go with them.
It is in the L1 if this program has read it before, and so little in between that it is still in the program's part of
the cache. Programs side by side share nothing, and a place that another warp of the program asks for at the same time
is as far away for both.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from kernels import CompiledKernel

from ...cost.complexity import ITEMSIZE
from .rates import MEMORIES
from .simulation import Walk

_THREADS = 32
_GOLDEN = (5**0.5 - 1) / 2
# Numbers of a group that go with its channels, in their dtype (key) and wider (offset, scale, mean and query).
_SCALARS = {"forward": (1, 0), "query": (1, 0), "key": (0, 4)}

# Image, row, column, part.
_Place = tuple[int, int, int, int]


@dataclass(frozen=True)
class Held:
    """How a kernel runs on a multiprocessor.

    Args:
        programs: Programs that it holds, which share its L1.
        rows: Window rows in an iteration of the loop.
        in_step: Whether the warps of a program wait for each other in every iteration.
    """

    programs: int
    rows: int = 1
    in_step: bool = False


@dataclass(frozen=True)
class _Lane:
    """Where a lane stands: image, row, first column, part; a lane of nothing has no such place."""

    image: int
    y: int
    x: int
    part: int


def walks(compiled: CompiledKernel, held: Held, count: int) -> list[Walk]:
    """The ways of so many warps, of programs from the whole grid."""
    found, fetched = [], 0
    for number in range(count):
        # Spread over the grid without a period, which a grid's rows and strips would have as well.
        program = int((number + 0.5) * _GOLDEN % 1 * compiled.programs)
        steps = _missing(compiled, program, held.programs)
        fetched += sum(new for new, _ in steps)
        warp = number % compiled.warps
        shares = [max(shares) if held.in_step else shares[warp] for _, shares in steps]
        pieces = [shares[first : first + held.rows] for first in range(0, len(shares), held.rows)]
        found.append(tuple(sum(piece) / len(piece) for piece in pieces))
    beyond = min(1.0, _places(compiled) / max(1.0, fetched / count * compiled.programs))
    return [Walk(missing, beyond) for missing in found]


def _missing(compiled: CompiledKernel, program: int, programs: int) -> list[tuple[int, list[float]]]:
    """For each window row that a program takes: places not in the L1, and of each warp the share of loads with one."""
    memory = MEMORIES[compiled.capability]
    room = (memory.l1_bytes - programs * compiled.shared_bytes) / programs
    size = _bytes_of_place(compiled)
    lanes = list(_lanes(compiled, program))
    last_read: dict[_Place, int] = {}
    read, found = 0, []
    for rows in _rows_by_step(compiled, lanes):
        new: set[_Place] = set()
        touched: set[_Place] = set()
        warps: list[dict[int, set[_Place]]] = [{} for _ in range(compiled.warps)]
        for index, (lane, row) in enumerate(zip(lanes, rows, strict=True)):
            if lane is None or row is None:
                continue
            for number, column in _columns(compiled, lane):
                place = (lane.image, row, column, lane.part)
                if place not in last_read or (read - last_read[place]) * size > room:
                    new.add(place)
                touched.add(place)
                warps[index // _THREADS].setdefault(number, set()).add(place)
        last_read.update(dict.fromkeys(touched, read))
        read += len(touched)
        shares = [sum(not new.isdisjoint(one) for one in warp.values()) / _span(compiled) for warp in warps]
        found.append((len(new), shares))
    return found


def _lanes(compiled: CompiledKernel, program: int) -> Iterator[_Lane | None]:
    """Where each lane of a program stands, as `lane_position` of the kernels says; None for one of nothing."""
    g, problem = compiled.geometry, compiled.problem
    height, width = _tiled(compiled)
    blocks, strips = -(-width // g.columns), -(-height // g.rows)
    tile, chunk = divmod(program, g.group_chunks)
    row = None
    if g.rows == 1:
        row, tile = divmod(tile, compiled.programs // g.group_chunks // height)
    for lane in range(g.lanes):
        if g.lane_groups:
            part = chunk * g.lane_groups + lane % g.lane_groups
            cell = tile * g.cells + lane // g.lane_groups
        else:
            cell, part = divmod(tile * g.lanes + lane, g.parts)
        strip, block = divmod(cell // g.rows, blocks)
        image, y = (strip, row) if row is not None else (strip // strips, strip % strips * g.rows + cell % g.rows)
        inside = image < problem.batch and y < height and part < g.parts
        yield _Lane(image, y, block * g.columns, part) if inside else None


def _rows_by_step(compiled: CompiledKernel, lanes: list[_Lane | None]) -> Iterator[list[int | None]]:
    """For each window row that a program takes, the row of the gathered image that each lane reads, None outside."""
    p, g = compiled.problem, compiled.geometry
    step = g.query_step if compiled.kernel == "key" else 1
    steps = range(0, p.kernel_size, step)
    by_lane = [[_row(compiled, lane.y, first) if lane else None for first in steps] for lane in lanes]
    if g.tests_rows:
        by_lane = [_nearest(rows) for rows in by_lane]
    for rows in map(list, zip(*by_lane, strict=True)):
        if not g.skips_rows or any(row is not None for row in rows):
            yield rows


def _nearest(rows: Sequence[int | None]) -> list[int | None]:
    """For each row that is outside the image, the nearest that is inside, which a lane reads instead."""
    inside = [place for place, row in enumerate(rows) if row is not None]
    if not inside:
        return list(rows)
    return [rows[min(max(place, inside[0]), inside[-1])] for place in range(len(rows))]


def _row(compiled: CompiledKernel, y: int, first: int) -> int | None:
    p, g = compiled.problem, compiled.geometry
    if compiled.kernel != "key":
        row = y * p.stride - p.padding + first * p.dilation
        return row if 0 <= row < p.height else None
    u = first + (y + p.padding) % g.query_step
    row, rest = divmod(y + p.padding - u * p.dilation, p.stride)
    return row if u < p.kernel_size and not rest and 0 <= row < p.out_height else None


def _columns(compiled: CompiledKernel, lane: _Lane) -> Iterator[tuple[int, int]]:
    """The loads of a lane in a window row: the number of each, and its column where that is inside the image."""
    p, g = compiled.problem, compiled.geometry
    key = compiled.kernel == "key"
    first = lane.x // p.stride + g.first_query if key else lane.x * p.stride - p.padding
    width = p.out_width if key else p.width
    for number in range(_span(compiled)):
        if 0 <= first + number < width:
            yield number, first + number


def _span(compiled: CompiledKernel) -> int:
    """Columns of the gathered image that a lane reads."""
    return compiled.geometry.query_span if compiled.kernel == "key" else compiled.geometry.span


def _tiled(compiled: CompiledKernel) -> tuple[int, int]:
    """Height and width of the image whose pixels are lanes."""
    p = compiled.problem
    return (p.height, p.width) if compiled.kernel == "key" else (p.out_height, p.out_width)


def _places(compiled: CompiledKernel) -> int:
    """Places of the gathered images, each of which must come from beyond the L2 once."""
    p = compiled.problem
    pixels = p.out_height * p.out_width if compiled.kernel == "key" else p.height * p.width
    return p.batch * pixels * compiled.geometry.parts


def _bytes_of_place(compiled: CompiledKernel) -> int:
    g, itemsize = compiled.geometry, ITEMSIZE[compiled.problem.dtype]
    narrow, wide = _SCALARS[compiled.kernel]
    return (g.pieces * g.piece + narrow) * itemsize + wide * max(4, itemsize)
