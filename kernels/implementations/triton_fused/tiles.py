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
    """Whether a tap in column `c` must be tested for lying outside the image, no test of its row being enough."""
    return S.masked and not (S.sure_rows and (S.gathered_width > 0 or sure(c, S)))


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
    blocks = 1 if S.gathered_width > 0 else tl.cdiv(width, S.columns)
    strips = tl.cdiv(height, S.rows)
    program = tl.program_id(0)
    if S.wide_index:
        program = program.to(tl.int64)
        blocks = blocks if S.gathered_width > 0 else blocks.to(tl.int64)
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
    image, part = tl.minimum(image, batch - 1).to(tl.int64), tl.minimum(part, PARTS - 1)
    return image, y if S.rows == 1 else tl.minimum(y, height - 1), x, part, in_lane


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
    """The window rows, first and end, that lie inside the image: at least one, that of the window's centre."""
    top = y * S.stride - S.padding
    first = tl.maximum(0, rounded_up(-top, S.dilation))
    end = tl.minimum(S.kernel_size, rounded_up(height - top, S.dilation))
    return first, end


@triton.jit
def query_rows(y, out_height, S: tl.constexpr):
    """The steps over window rows, first and end, that meet a query, where every row is seen by one."""
    bottom = y + S.padding
    phase = bottom % S.query_step
    below = bottom - out_height * S.stride + 1
    first = tl.maximum(0, rounded_up(below - phase * S.dilation, S.query_step * S.dilation))
    end = rounded_up(tl.minimum(S.kernel_size, bottom // S.dilation + 1) - phase, S.query_step)
    return first, end


@triton.jit
def rounded_up(number, by: tl.constexpr):
    """The quotient, rounded up where it is positive."""
    return number if by == 1 else tl.cdiv(number, by)


@triton.jit
def rows_of_loop(rows, steps: tl.constexpr, S: tl.constexpr):
    """What the loop over window rows takes: the `rows` of a program that keeps to one of the image, else all steps."""
    start, stop = 0, steps
    if S.skips_rows:
        start, stop = rows
    return start, stop


@triton.jit
def query_row(step, rows, y, in_lane, out_height, S: tl.constexpr):
    """Of a step over window rows: the row of queries that sees the lane's, the window row that it sees it with.

    And whether there is such a row; where rows are sure and there is none, a lane reads the nearest that sees it.
    """
    near, inside = step, in_lane
    if S.tests_rows:
        near = tl.maximum(tl.minimum(step, rows[1] - 1), rows[0])
        inside = of_lanes(near, S) == step
    u = near * S.query_step + (y + S.padding) % S.query_step
    distance = y + S.padding - u * S.dilation
    row = distance // S.stride
    if not S.sure_rows:
        of_lane = of_lanes(distance, S)
        inside = in_lane & (of_lane >= 0) & (of_lane % S.stride == 0) & in_image(row, out_height, S)
        inside = inside & (of_lanes(u, S) < S.kernel_size)
    return row, tl.minimum(u, S.kernel_size - 1), inside


@triton.jit
def window_row(u, y, in_lane, height, S: tl.constexpr):
    """Of window row `u`: its row in the image, and whether it is there; where rows are sure, else the nearest row."""
    row = y * S.stride - S.padding + u * S.dilation
    near, inside = row, in_lane
    if S.tests_rows:
        near = tl.maximum(tl.minimum(row, height - 1), 0)
        inside = of_lanes(near, S) == row
    elif not S.sure_rows:
        inside = in_lane & in_image(row, height, S)
    return near, inside


@triton.jit
def rows_at(ptrs, row, width, each: tl.constexpr, S: tl.constexpr):
    """The pointers moved by rows of `width` pixels of `each` numbers: in bytes, that is one instruction."""
    size: tl.constexpr = each * ptrs.dtype.element_ty.primitive_bitwidth // 8
    if S.wide_index or not S.sure_rows:
        distance = row.to(tl.int64) * (width.to(tl.int64) * size)
    else:
        distance = row.to(tl.uint32).to(tl.int64) * (width * size).to(tl.uint32).to(tl.int64)
    return (ptrs.to(tl.pointer_type(tl.int8), bitcast=True) + distance).to(ptrs.dtype, bitcast=True)


@triton.jit
def in_row(first, c: tl.constexpr, inside, width, S: tl.constexpr):
    """Whether column `c` of those that a lane gathers from `first` on is in the image, and its row `inside` or sure."""
    LANES: tl.constexpr = S.lanes
    if S.gathered_width > 0 or sure(c, S):
        found = tl.full([LANES], True, tl.int1) if S.sure_rows else inside
    else:
        # As unsigned numbers, one comparison for both ends, and for the row.
        limit = of_lanes(width, S) if S.sure_rows else tl.where(inside, width, 0)
        found = (first + c).to(tl.uint32) < limit.to(tl.uint32)
    return found


@triton.constexpr_function
def accumulator(ptr):
    """The dtype of logits and sums: float64 for float64, float32 for the rest."""
    return tl.float64 if ptr.dtype.element_ty == tl.float64 else tl.float32


@triton.jit
def load_pair(ptrs, mask, first: tl.constexpr, second: tl.constexpr):
    """Two numbers side by side of each lane, `first` and `second` if not `mask`: a load where two would be two."""
    places = tl.arange(0, 2)[None, :]
    return tl.split(tl.load(ptrs[:, None] + places, mask=mask[:, None], other=tl.where(places == 0, first, second)))


@triton.jit
def store_pair(ptrs, first, second, mask):
    """Write two numbers of each lane side by side."""
    tl.store(ptrs[:, None] + tl.arange(0, 2)[None, :], tl.join(first, second), mask=mask[:, None])


@triton.jit
def load_scalar(ptrs, mask, other: tl.constexpr):
    """A scalar of each lane in the dtype of accumulation; [LANES]."""
    return tl.load(ptrs, mask=mask, other=other).to(accumulator(ptrs))


@triton.constexpr_function
def asks_ahead(ptr, S: Geometry) -> bool:
    """Whether a window row's keys are asked for a row ahead: for wide ones, or whole rows, there are no registers."""
    return ptr.dtype.element_ty.primitive_bitwidth == 16 and S.gathered_width == 0


@triton.jit
def row_after(u, end, S: tl.constexpr):
    """The window row whose keys are asked for in row `u`: the next, which must be inside where rows are skipped."""
    return tl.minimum(u + 1, end - 1) if S.skips_rows else u + 1


@triton.jit
def load_keys(ptrs, first_column, inside, width, S: tl.constexpr):
    """The keys of a window row by column: a tuple of [LANES]."""
    LANES: tl.constexpr = S.lanes
    SPAN: tl.constexpr = S.span
    keys = ()
    for c in tl.static_range(SPAN):
        if outside_row(c - S.padding, S):
            keys = keys + (tl.zeros([LANES], ptrs.dtype.element_ty),)
        else:
            keys = keys + (load_key(ptrs, c, first_column, inside, width, S),)
    return keys


@triton.jit
def load_key(ptrs, c: tl.constexpr, first_column, inside, width, S: tl.constexpr):
    """The key of one column as it is stored, 0 outside the image; [LANES]."""
    return tl.load(ptrs + c * S.groups, mask=in_row(first_column, c, inside, width, S), other=0.0)


@triton.jit
def load_priors(prior_ptr, u, group, S: tl.constexpr):
    """The prior of each tap of window row `u`: a tuple of [LANES], zeros without a prior."""
    K: tl.constexpr = S.kernel_size
    places = prior_ptr + u * K * S.groups + group
    priors = ()
    for v in tl.static_range(K):
        priors = priors + (tl.load(places + v * S.groups) if S.prior else 0.0,)
    return priors


@triton.jit
def priors_of_row(prior_ptr, u, group, inside, S: tl.constexpr):
    """The same, −inf where the lane reads another row than `u`."""
    K: tl.constexpr = S.kernel_size
    priors = load_priors(prior_ptr, u, group, S)
    if S.tests_rows:
        tested = ()
        for v in tl.static_range(K):
            tested = tested + (tl.where(inside, priors[v], float("-inf")),)
        priors = tested
    return priors


@triton.jit
def logit_of(query, key, prior, S: tl.constexpr):
    """Φ(q, k) + prior; with multiplications and additions in one rounding, so that all kernels find the same."""
    difference = query - key
    if S.composability == "multiplication":
        logit = tl.fma(query, key, prior) if S.prior or S.tests_rows else query * key
    elif S.composability == "squared_difference":
        opposite = negative(difference)
        logit = tl.fma(opposite, difference, prior) if S.prior or S.tests_rows else opposite * difference
    else:
        logit = prior - tl.abs(difference)
    return logit


@triton.jit
def weight_of_logit(logit, offset):
    """2^(logit·log2 e + offset), the exponent rounded once: large logits of one softmax differ by what they should."""
    return tl.exp2(tl.fma(logit, tl.full(logit.shape, LOG2E, logit.dtype), offset))


@triton.jit
def negative(number):
    """−number, as a sign that a multiply–add takes for nothing: a minus is compiled as a subtraction from 0."""
    return number * -1.0


@triton.jit
def slope(of, other, S: tl.constexpr):
    """The derivative of Φ in its argument `of`; all three Φ are symmetric, so it serves query and key."""
    if S.composability == "multiplication":
        return other
    difference = other - of
    if S.composability == "squared_difference":
        return 2 * difference
    return tl.where(difference > 0, 1.0, tl.where(difference < 0, -1.0, 0.0)).to(of.dtype)
