"""The fused forward kernel: online softmax over window rows, nothing of size k² per pixel in memory.

y = Σ softmax(Φ(q, k) + prior)·x over the k×k window (paper, Eq. 2). The softmax is kept as in online normalisation: a
running maximum, a running sum and running weighted sums, rescaled once per window row, exponentials in base 2.
"""

import triton
import triton.language as tl

from .geometry import SIZES
from .members import add_weighted, load_members, member_offset, store_members
from .tiles import (
    LOG2E,
    accumulator,
    asks_ahead,
    first_tap,
    in_row,
    input_rows,
    lane_position,
    load_keys,
    load_scalar,
    logit_of,
    outside_row,
    priors_of_row,
    row_after,
    rows_at,
    rows_of_loop,
    store_pair,
    tap_of_input,
    tests_tap,
    weight_of,
    weight_of_logit,
    window_row,
)


@triton.jit(do_not_specialize=SIZES)
def local_relation_forward_kernel(
    query_ptr,
    key_ptr,
    value_ptr,
    prior_ptr,
    out_ptr,
    softmax_ptr,
    batch,
    height,
    width,
    out_height,
    out_width,
    S: tl.constexpr,
    SAVE_SOFTMAX: tl.constexpr,
):
    """One program computes `lanes` lanes of output pixels, `columns` pixels of one group each.

    query (N, Ho, Wo, G), key (N, H, W, G), value (N, H, W, C), prior (k², G) or unused → out (N, Ho, Wo, C),
    softmax (N, Ho, Wo, G, 2): an offset o, and 1 / Σ 2^(logit·log2 e + o). Their logarithm in one number would lose the
    weights beside a large offset.

    Grid: (S.tiles(N, Ho, Wo) · S.group_chunks,)
    """
    LANES: tl.constexpr = S.lanes
    VECTOR: tl.constexpr = S.vector
    COLUMNS: tl.constexpr = S.columns
    SPAN: tl.constexpr = S.span
    VECTORS: tl.constexpr = S.vectors
    AHEAD: tl.constexpr = asks_ahead(key_ptr, S)
    ACCUMULATOR: tl.constexpr = accumulator(value_ptr)
    image, y, x, part, in_lane = lane_position(batch, out_height, out_width, S)
    group = part // S.slices
    out_pixel = image * out_height * out_width + y * out_width + x
    query_ptrs = query_ptr + out_pixel * S.groups + group
    key_ptrs = key_ptr + image * height * width * S.groups + group
    value_ptrs = value_ptr + image * height * width * S.channels + member_offset(part, S)
    first_column = x * S.stride - S.padding
    key_ptrs += first_column * S.groups
    value_ptrs += first_column * S.channels

    queries, offsets, totals, sums = (), (), (), ()
    for r in tl.static_range(COLUMNS):
        in_output = in_lane & (x + r < out_width)
        queries = queries + (load_scalar(query_ptrs + r * S.groups, in_output, 0.0),)
        offsets = offsets + (tl.full([LANES], highest(ACCUMULATOR), ACCUMULATOR),)
        totals = totals + (tl.zeros([LANES], ACCUMULATOR),)
        for _ in tl.static_range(VECTORS):
            sums = sums + (tl.zeros([LANES, VECTOR], ACCUMULATOR),)

    start, stop = rows_of_loop(input_rows(y, height, S), S.kernel_size, S)
    row, inside = window_row(start, y, in_lane, height, S)
    keys = load_keys(rows_at(key_ptrs, row, width, S.groups, S), first_column, inside, width, S)
    for u in range(start, stop):
        if not AHEAD:
            row, inside = window_row(u, y, in_lane, height, S)
            keys = load_keys(rows_at(key_ptrs, row, width, S.groups, S), first_column, inside, width, S)
        priors = priors_of_row(prior_ptr, u, group, inside, S)
        logits = row_logits(queries, keys, priors, first_column, inside, width, S)
        next_row, next_inside = row, inside
        if AHEAD:  # the next row's logits need not wait for its keys then
            next_row, next_inside = window_row(row_after(u, stop, S), y, in_lane, height, S)
            keys = load_keys(rows_at(key_ptrs, next_row, width, S.groups, S), first_column, next_inside, width, S)
        offsets, totals, sums, weights = rescale(logits, offsets, totals, sums, S)
        row_ptrs = rows_at(value_ptrs, row, width, S.channels, S)
        for c in tl.static_range(SPAN):
            if not outside_row(c - S.padding, S):
                vectors = load_members(row_ptrs, c, part, in_row(first_column, c, inside, width, S), S)
                sums = add_column(sums, weights, vectors, c, S)
        row, inside = next_row, next_inside

    out_ptrs = out_ptr + out_pixel * S.channels + member_offset(part, S)
    softmax_ptrs = softmax_ptr + (out_pixel * S.groups + group) * 2
    for r in tl.static_range(COLUMNS):
        in_output = in_lane & (x + r < out_width)
        # Lanes without an output pixel have summed nothing.
        total = tl.where(in_output, totals[r], 1.0)
        scale = 1 / total
        normalised = ()
        for p in tl.static_range(VECTORS):
            normalised = normalised + (sums[r * VECTORS + p] * scale[:, None],)
        store_members(out_ptrs + r * S.channels, part, in_output, normalised, 0, S)
        if SAVE_SOFTMAX:
            kept = in_output & (part % S.slices == 0)
            store_pair(softmax_ptrs + r * S.groups * 2, offsets[r], scale, kept)


@triton.jit
def row_logits(queries, keys, priors, first_column, inside, width, S: tl.constexpr):
    """Logits of one window row: a tuple of [LANES] at the places `weight_of`; −inf where a tap takes no part."""
    K: tl.constexpr = S.kernel_size
    COLUMNS: tl.constexpr = S.columns
    SPAN: tl.constexpr = S.span
    found, wide_keys = (), ()
    for c in tl.static_range(SPAN):
        found = found + (in_row(first_column, c, inside, width, S),)
        wide_keys = wide_keys + (keys[c].to(queries[0].dtype),)
    logits = ()
    for r in tl.static_range(COLUMNS):
        for v in tl.static_range(K):
            if weight_of(v, r, S) >= 0:
                logit = logit_of(queries[r], wide_keys[r * S.stride + v * S.dilation], priors[v], S)
                if tests_tap(r * S.stride + v * S.dilation, S):
                    logit = tl.where(found[r * S.stride + v * S.dilation], logit, float("-inf"))
                logits = logits + (logit,)
    return logits


@triton.jit
def add_column(sums, weights, vectors, c: tl.constexpr, S: tl.constexpr):
    """The sums with the values of input column `c` taken in, by each output column that sees it."""
    COLUMNS: tl.constexpr = S.columns
    VECTORS: tl.constexpr = S.vectors
    updated = ()
    for r in tl.static_range(COLUMNS):
        for p in tl.static_range(VECTORS):
            total = sums[r * VECTORS + p]
            if tap_of_input(c, r, S) >= 0:
                total = add_weighted(total, weights[weight_of(tap_of_input(c, r, S), r, S)], vectors[p])
            updated = updated + (total,)
    return updated


@triton.jit
def rescale(logits, offsets, totals, sums, S: tl.constexpr):
    """Take a window row into the online softmax: new offsets, totals and sums, and the row's weights."""
    K: tl.constexpr = S.kernel_size
    COLUMNS: tl.constexpr = S.columns
    VECTORS: tl.constexpr = S.vectors
    new_offsets, new_totals, new_sums, weights = (), (), (), ()
    for r in tl.static_range(COLUMNS):
        largest = logits[weight_of(first_tap(r, S), r, S)]
        for v in tl.static_range(K):
            if weight_of(v, r, S) >= 0 and v != first_tap(r, S):
                largest = tl.maximum(largest, logits[weight_of(v, r, S)])
        offset = tl.minimum(offsets[r], largest * -LOG2E)
        decay = tl.exp2(offset - offsets[r])
        total = totals[r] * decay
        for v in tl.static_range(K):
            if weight_of(v, r, S) >= 0:
                weight = weight_of_logit(logits[weight_of(v, r, S)], offset)
                total += weight
                weights = weights + (weight,)
        new_offsets = new_offsets + (offset,)
        new_totals = new_totals + (total,)
        for p in tl.static_range(VECTORS):
            new_sums = new_sums + (sums[r * VECTORS + p] * decay[:, None],)
    return new_offsets, new_totals, new_sums, weights


@triton.constexpr_function
def highest(dtype: tl.dtype) -> float:
    """The highest number, which an offset starts at: ∞ − ∞, where a lane's first row is outside, would be no number."""
    return (2.0 - 2.0**-52) * 2.0**1023 if dtype == tl.float64 else (2.0 - 2.0**-23) * 2.0**127
