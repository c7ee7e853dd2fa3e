"""What the three kernels share: where lanes are, scalars, Φ, and which tap joins a column to a lane's column."""

import triton
import triton.language as tl

from .geometry import Geometry

LOG2E = tl.constexpr(1.4426950408889634)


@triton.constexpr_function
def tap_of_input(column: int, r: int, S: Geometry) -> int:
    """The tap at which output column `r` of a lane sees the lane's input column, or −1."""
    if outside_row(column - S.padding, S):
        return -1
    distance = column - r * S.stride
    return distance // S.dilation if distance % S.dilation == 0 and 0 <= distance < S.kernel_size * S.dilation else -1


@triton.constexpr_function
def tap_of_query(column: int, r: int, S: Geometry) -> int:
    """The tap at which the lane's query column sees input column `r` of the lane, or −1."""
    if outside_row(column + S.first_query, S):
        return -1
    distance = r + S.padding - (column + S.first_query) * S.stride
    return distance // S.dilation if distance % S.dilation == 0 and 0 <= distance < S.kernel_size * S.dilation else -1


@triton.constexpr_function
def outside_row(x: int, S: Geometry) -> bool:
    """Whether a column of the gathered image is known to lie outside it."""
    return S.gathered_width > 0 and not 0 <= x < S.gathered_width


@triton.constexpr_function
def sure(c: int, S: Geometry) -> bool:
    """Whether column `c` of those a lane gathers is inside the image for every lane that has a pixel."""
    return 0 <= c - S.first_sure < S.sure_columns


@triton.constexpr_function
def tests_tap(c: int, S: Geometry) -> bool:
    """Whether a tap in column `c` must be tested for lying outside the image, its row's test not being enough."""
    return S.tests_taps and not (sure(c, S) and (S.skips_rows or S.tests_priors))


@triton.constexpr_function
def weight_of(tap: int, r: int, S: Geometry) -> int:
    """The place of a tap of output column `r` among the lane's logits, those known to be outside left out; or −1."""
    place = -1
    for other in range(S.columns):
        for v in range(S.kernel_size):
            if tap_of_input(other * S.stride + v * S.dilation, other, S) >= 0:
                place += 1
                if (other, v) == (r, tap):
                    return place
    return -1


@triton.constexpr_function
def first_tap(r: int, S: Geometry) -> int:
    """The first tap of output column `r` that is not known to be outside."""
    return next(v for v in range(S.kernel_size) if tap_of_input(r * S.stride + v * S.dilation, r, S) >= 0)


@triton.jit
def lane_position(batch, height, width, S: tl.constexpr):
    """Image (int64), row, first column, and part (`group · slices + slice`) of each lane, and whether it has them.

    [LANES]; the row () where a program keeps to one.
    """
    LANES: tl.constexpr = S.lanes
    PARTS: tl.constexpr = S.parts
    lane = tl.arange(0, LANES)
    blocks = tl.cdiv(width, S.columns)
    strips = tl.cdiv(height, S.rows)
    program = tl.program_id(0)
    if S.wide_index:
        program = program.to(tl.int64)
        blocks = blocks.to(tl.int64)
    tile = program // S.group_chunks
    y = 0
    if S.rows == 1:
        tiles_of_row = tl.num_programs(0) // S.group_chunks // height
        y = tile // tiles_of_row
        tile = tile % tiles_of_row
    if S.lane_groups > 0:
        part = program % S.group_chunks * S.lane_groups + lane % S.lane_groups
        cell = tile * S.cells + lane // S.lane_groups
    else:
        first = tile * S.lanes
        part = first % PARTS + lane
        cell = first // PARTS + part // PARTS
        part = part % PARTS
    if S.rows == 1:
        image = cell // blocks
    else:
        strip = cell // S.rows // blocks
        y = strip % strips * S.rows + cell % S.rows
        image = strip // strips
    x = (cell // S.rows % blocks * S.columns).to(tl.int32)
    in_lane = (image < batch) & (of_lanes(y, S) < height) & (part < PARTS)
    # Lanes of nothing read what another reads, so that not every load needs a test.
    return tl.minimum(image, batch - 1).to(tl.int64), y, x, tl.minimum(part, PARTS - 1), in_lane


@triton.jit
def of_lanes(number, S: tl.constexpr):
    """A number, be it the program's, as one of each lane: Triton 3.9 interprets no program's condition as a mask."""
    LANES: tl.constexpr = S.lanes
    return number + tl.zeros([LANES], tl.int32)


@triton.jit
def in_image(row, height, S: tl.constexpr):
    """Whether there is such a row in an image; [LANES]."""
    of_lane = of_lanes(row, S)
    return (of_lane >= 0) & (of_lane < height)


@triton.jit
def input_rows(y, height, S: tl.constexpr):
    """The window rows to take, first and end: those inside the image where a program keeps to one row, else all."""
    first, end = 0, S.kernel_size
    if S.skips_rows:
        top = y * S.stride - S.padding
        first = tl.maximum(0, tl.cdiv(-top, S.dilation))
        end = tl.minimum(S.kernel_size, tl.cdiv(height - top, S.dilation))
    return first, end


@triton.jit
def query_rows(y, out_height, S: tl.constexpr):
    """The steps over window rows to take, first and end: where a program keeps to one row those that may meet a query.

    Elsewhere all.
    """
    first, end = 0, (S.kernel_size + S.query_step - 1) // S.query_step
    if S.rows == 1:
        bottom = y + S.padding
        phase = bottom % S.query_step
        below = bottom - out_height * S.stride + 1
        first = tl.maximum(0, tl.cdiv(below - phase * S.dilation, S.query_step * S.dilation))
        end = tl.cdiv(tl.minimum(S.kernel_size, bottom // S.dilation + 1) - phase, S.query_step)
    return first, end


@triton.jit
def query_row(step, y, in_lane, out_height, S: tl.constexpr):
    """The window row of a step, the row of queries that sees the lane's row with it, and which lanes have one."""
    u = step * S.query_step + (y + S.padding) % S.query_step
    distance = y + S.padding - u * S.dilation
    row = distance // S.stride
    seen = in_lane
    if not S.every_step_meets:
        of_lane = of_lanes(distance, S)
        meets = (of_lane >= 0) & (of_lane % S.stride == 0) & in_image(row, out_height, S)
        seen = seen & (of_lanes(u, S) < S.kernel_size) & meets
    return u, row, seen


@triton.jit
def column_limit(ok, width):
    """What a column of a row of the gathered image must be less than, as unsigned: 0 where the row is not `ok`."""
    return tl.where(ok, width, 0).to(tl.uint32)


@triton.jit
def in_row(first, c: tl.constexpr, limit, S: tl.constexpr):
    """Whether column `c` of those that a lane gathers from `first` on is inside the image."""
    LANES: tl.constexpr = S.lanes
    inside = tl.full([LANES], True, tl.int1) if S.skips_rows and sure(c, S) else limit > 0
    if S.gathered_width == 0 and not sure(c, S):
        inside = (first + c).to(tl.uint32) < limit
    return inside


@triton.constexpr_function
def accumulator(ptr):
    """The dtype of logits and sums: float64 for float64, float32 for the rest."""
    return tl.float64 if ptr.dtype.element_ty == tl.float64 else tl.float32


@triton.jit
def load_scalar(ptrs, mask, other: tl.constexpr):
    """A scalar of each lane in the dtype of accumulation; [LANES]."""
    return tl.load(ptrs, mask=mask, other=other).to(accumulator(ptrs))


@triton.jit
def window_row(u, y, first_column, in_lane, height, width, S: tl.constexpr):
    """Of window row `u`: the limit of its columns, and the place of the lane's first one in the image."""
    row = y * S.stride - S.padding + u * S.dilation
    if S.skips_rows:
        limit = of_lanes(width, S).to(tl.uint32)
    else:
        limit = column_limit(in_lane & in_image(row, height, S), width)
    return limit, row * width + first_column


@triton.constexpr_function
def asks_ahead(ptr, S: Geometry) -> bool:
    """Whether a window row's keys are asked for a row ahead: for wide ones, or whole rows, there are no registers."""
    return ptr.dtype.element_ty.primitive_bitwidth == 16 and S.gathered_width == 0


@triton.jit
def row_after(u, end, S: tl.constexpr):
    """The window row whose keys are asked for in row `u`: the next, which must be one to be taken."""
    return tl.minimum(u + 1, end - 1) if S.skips_rows else u + 1


@triton.jit
def load_keys(ptrs, first_column, limit, S: tl.constexpr):
    """The keys of a window row by column, as they are stored: a tuple of [LANES], 0 outside the image."""
    LANES: tl.constexpr = S.lanes
    SPAN: tl.constexpr = S.span
    keys = ()
    for c in tl.static_range(SPAN):
        if outside_row(c - S.padding, S):
            keys = keys + (tl.zeros([LANES], ptrs.dtype.element_ty),)
        else:
            keys = keys + (tl.load(ptrs + c * S.groups, mask=in_row(first_column, c, limit, S), other=0.0),)
    return keys


@triton.jit
def load_priors(prior_ptr, u, group, S: tl.constexpr):
    """The prior of each tap of window row `u`: a tuple of [LANES], zeros without a prior."""
    K: tl.constexpr = S.kernel_size
    priors = ()
    for v in tl.static_range(K):
        priors = priors + (tl.load(prior_ptr + (u * K + v) * S.groups + group) if S.prior else 0.0,)
    return priors


@triton.jit
def priors_of_row(prior_ptr, u, group, limit, S: tl.constexpr):
    """The same, −inf in a row outside the image where that saves a test of each tap."""
    K: tl.constexpr = S.kernel_size
    priors = load_priors(prior_ptr, u, group, S)
    if S.tests_priors:
        tested = ()
        for v in tl.static_range(K):
            tested = tested + (tl.where(limit > 0, priors[v], float("-inf")),)
        priors = tested
    return priors


@triton.jit
def logit_of(query, key, prior, S: tl.constexpr):
    """Φ(q, k) + prior; with multiplications and additions in one rounding, so that all kernels find the same."""
    difference = query - key
    if S.composability == "multiplication":
        logit = tl.fma(query, key, prior) if S.prior else query * key
    elif S.composability == "squared_difference":
        logit = tl.fma(-difference, difference, prior) if S.prior else -difference * difference
    else:
        logit = prior - tl.abs(difference)
    return logit


@triton.jit
def weight_above(logit, shift):
    """2^(logit·log2 e − shift), the exponent rounded once: large logits of one softmax differ by what they should."""
    return tl.exp2(tl.fma(logit, tl.full(logit.shape, LOG2E, logit.dtype), -shift))


@triton.jit
def slope(of, other, S: tl.constexpr):
    """The derivative of Φ in its argument `of`; all three Φ are symmetric, so it serves query and key."""
    if S.composability == "multiplication":
        return other
    difference = other - of
    if S.composability == "squared_difference":
        return 2 * difference
    return tl.where(difference > 0, 1.0, tl.where(difference < 0, -1.0, 0.0)).to(of.dtype)
