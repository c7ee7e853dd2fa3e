"""What the three kernels share: lanes, loads, Φ, and which tap joins a column to a lane's column."""

import triton
import triton.language as tl

from .geometry import Geometry

LOG2E = tl.constexpr(1.4426950408889634)


@triton.constexpr_function
def tap_of_input(column: int, r: int, S: Geometry) -> int:
    """The tap at which output column `r` of a lane sees the lane's input column, or −1."""
    distance = column - r * S.stride
    return distance // S.dilation if distance % S.dilation == 0 and 0 <= distance < S.kernel_size * S.dilation else -1


@triton.constexpr_function
def tap_of_query(column: int, r: int, S: Geometry) -> int:
    """The tap at which the lane's query column sees input column `r` of the lane, or −1."""
    distance = r + S.padding - (column + S.first_query) * S.stride
    return distance // S.dilation if distance % S.dilation == 0 and 0 <= distance < S.kernel_size * S.dilation else -1


@triton.jit
def lane_position(height, width, S: tl.constexpr):
    """Image (int64), row, first column, and slice of a group (`group · slices + slice`) of each lane; (), [LANES]."""
    LANES: tl.constexpr = S.lanes
    lane = tl.arange(0, LANES)
    program = tl.program_id(0)
    tile = program // S.group_chunks
    width_tiles = tl.cdiv(width, S.blocks * S.columns)
    height_tiles = tl.cdiv(height, S.rows)
    x = ((tile % width_tiles) * S.blocks + lane // S.lane_groups % S.blocks) * S.columns
    y = (tile // width_tiles % height_tiles) * S.rows + lane // (S.lane_groups * S.blocks)
    part = (program % S.group_chunks) * S.lane_groups + lane % S.lane_groups
    if S.wide_index:
        y = y.to(tl.int64)
    return (tile // (width_tiles * height_tiles)).to(tl.int64), y, x, part


@triton.jit
def member_offset(part, S: tl.constexpr):
    """Channel of the first member of each lane; [LANES]."""
    return part // S.slices * S.group_step + part % S.slices * (S.pieces * S.piece) * S.member_step


@triton.jit
def member_mask(part, p: tl.constexpr, ok, S: tl.constexpr):
    """Where piece `p` of a lane has channels; [LANES]."""
    if S.ragged:
        member = part % S.slices * (S.pieces * S.piece) + p * S.piece
        channel = part // S.slices * S.group_step + member * S.member_step
        ok = ok & (member < S.m) & (channel < S.channels)
    return ok


@triton.jit
def load_members(ptr, pixel, part, ok, S: tl.constexpr):
    """A lane's channels of one pixel: a tuple of [LANES, PIECE] in the dtype of accumulation, 0 where not `ok`."""
    PIECES: tl.constexpr = S.pieces
    PIECE: tl.constexpr = S.piece
    offset = pixel * S.channels + member_offset(part, S)
    pieces = ()
    for p in tl.static_range(PIECES):
        place = (offset + p * PIECE * S.member_step)[:, None] + tl.arange(0, PIECE)[None, :]
        mask = member_mask(part, p, ok, S)[:, None]
        pieces = pieces + (tl.load(ptr + place, mask=mask, other=0.0).to(accumulator(ptr)),)
    return pieces


@triton.jit
def store_members(ptr, pixel, part, ok, pieces, FIRST: tl.constexpr, S: tl.constexpr):
    """Write a lane's channels of one pixel: of a tuple of [LANES, PIECE] the pieces from FIRST on."""
    PIECES: tl.constexpr = S.pieces
    PIECE: tl.constexpr = S.piece
    offset = pixel * S.channels + member_offset(part, S)
    for p in tl.static_range(PIECES):
        place = (offset + p * PIECE * S.member_step)[:, None] + tl.arange(0, PIECE)[None, :]
        tl.store(ptr + place, pieces[FIRST + p].to(ptr.dtype.element_ty), mask=member_mask(part, p, ok, S)[:, None])


@triton.jit
def dot_members(left, right, S: tl.constexpr):
    """Σ over a lane's channels of the product of two tuples of pieces; [LANES]."""
    PIECES: tl.constexpr = S.pieces
    total = tl.sum(left[0] * right[0], axis=1)
    for p in tl.static_range(1, PIECES):
        total += tl.sum(left[p] * right[p], axis=1)
    return total


@triton.constexpr_function
def accumulator(ptr):
    """The dtype of logits and sums: float64 for float64, float32 for the rest."""
    return tl.float64 if ptr.dtype.element_ty == tl.float64 else tl.float32


@triton.jit
def load_scalar(ptr, place, mask, other: tl.constexpr):
    """A scalar of each lane in the dtype of accumulation; [LANES]."""
    return tl.load(ptr + place, mask=mask, other=other).to(accumulator(ptr))


@triton.jit
def composability(query, key, S: tl.constexpr):
    """Φ(q, k)."""
    if S.composability == "multiplication":
        return query * key
    difference = query - key
    if S.composability == "squared_difference":
        return -difference * difference
    return -tl.abs(difference)


@triton.jit
def slope(of, other, S: tl.constexpr):
    """The derivative of Φ in its argument `of`; all three Φ are symmetric, so it serves query and key."""
    if S.composability == "multiplication":
        return other
    difference = other - of
    if S.composability == "squared_difference":
        return 2 * difference
    return tl.where(difference > 0, 1.0, tl.where(difference < 0, -1.0, 0.0)).to(of.dtype)
