"""The fused forward kernel: online softmax over window rows, nothing of size k² per pixel in memory.

y = Σ softmax(Φ(q, k) + prior)·x over the k×k window (paper, Eq. 2). The softmax is kept as in online normalisation: a
running maximum, a running sum and running weighted sums, rescaled once per window row, exponentials in base 2.
"""

import triton
import triton.language as tl

from .tiles import (
    LOG2E,
    accumulator,
    composability,
    lane_position,
    load_members,
    load_scalar,
    store_members,
    tap_of_input,
)


@triton.jit
def local_relation_forward_kernel(
    query_ptr,
    key_ptr,
    value_ptr,
    prior_ptr,
    out_ptr,
    log_sum_ptr,
    height,
    width,
    out_height,
    out_width,
    S: tl.constexpr,
    SAVE_LOG_SUM: tl.constexpr,
):
    """One program computes `rows` × `blocks · columns` output pixels of `lane_groups` groups of one image.

    query (N, Ho, Wo, G), key (N, H, W, G), value (N, H, W, C), prior (k², G) or unused → out (N, Ho, Wo, C),
    log_sum (N, Ho, Wo, G): log2 Σ 2^(logit·log2 e).

    Grid: (N · ceil(Ho / rows) · ceil(Wo / (blocks · columns)) · group_chunks,)
    """
    K: tl.constexpr = S.kernel_size
    LANES: tl.constexpr = S.lanes
    COLUMNS: tl.constexpr = S.columns
    SPAN: tl.constexpr = S.span
    PIECE: tl.constexpr = S.piece
    PIECES: tl.constexpr = S.pieces
    ACCUMULATOR: tl.constexpr = accumulator(value_ptr)
    image, y, x, part = lane_position(out_height, out_width, S)
    group = part // S.slices
    in_lane = (y < out_height) & (group < S.groups)
    query_ptr += image * out_height * out_width * S.groups
    key_ptr += image * height * width * S.groups
    value_ptr += image * height * width * S.channels
    first_column = x * S.stride - S.padding

    queries, shifts, totals, sums = (), (), (), ()
    for r in tl.static_range(COLUMNS):
        place = (y * out_width + x + r) * S.groups + group
        queries = queries + (load_scalar(query_ptr, place, in_lane & (x + r < out_width), 0.0),)
        shifts = shifts + (tl.full([LANES], float("-inf"), ACCUMULATOR),)
        totals = totals + (tl.zeros([LANES], ACCUMULATOR),)
        for _ in tl.static_range(PIECES):
            sums = sums + (tl.zeros([LANES, PIECE], ACCUMULATOR),)

    for u in range(K):
        row = y * S.stride - S.padding + u * S.dilation
        row_inside = in_lane & (row >= 0) & (row < height)
        pixel = row * width + first_column
        inside, keys = (), ()
        for c in tl.static_range(SPAN):
            inside = inside + (row_inside & (first_column + c >= 0) & (first_column + c < width),)
            keys = keys + (load_scalar(key_ptr, (pixel + c) * S.groups + group, inside[c], 0.0),)
        logits = row_logits(queries, keys, inside, prior_ptr + u * K * S.groups, group, S)
        shifts, totals, sums, weights = rescale(logits, shifts, totals, sums, S)
        for c in tl.static_range(SPAN):
            pieces = load_members(value_ptr, pixel + c, part, inside[c], S)
            updated = ()
            for r in tl.static_range(COLUMNS):
                for p in tl.static_range(PIECES):
                    total = sums[r * PIECES + p]
                    if tap_of_input(c, r, S) >= 0:
                        total += weights[r * K + tap_of_input(c, r, S)][:, None] * pieces[p]
                    updated = updated + (total,)
            sums = updated

    out_ptr += image * out_height * out_width * S.channels
    log_sum_ptr += image * out_height * out_width * S.groups
    for r in tl.static_range(COLUMNS):
        in_output = in_lane & (x + r < out_width)
        # Lanes without an output pixel have summed nothing.
        total = tl.where(in_output, totals[r], 1.0)
        normalised = ()
        for p in tl.static_range(PIECES):
            normalised = normalised + (sums[r * PIECES + p] * (1 / total)[:, None],)
        store_members(out_ptr, y * out_width + x + r, part, in_output, normalised, 0, S)
        if SAVE_LOG_SUM:
            place = (y * out_width + x + r) * S.groups + group
            tl.store(log_sum_ptr + place, shifts[r] + tl.log2(total), mask=in_output & (part % S.slices == 0))


@triton.jit
def row_logits(queries, keys, inside, prior_ptr, group, S: tl.constexpr):
    """Logits of one window row: a tuple of [LANES], tap v of column r at r·k + v; −inf where a tap takes no part."""
    K: tl.constexpr = S.kernel_size
    COLUMNS: tl.constexpr = S.columns
    priors = ()
    for v in tl.static_range(K):
        if S.prior:
            priors = priors + (tl.load(prior_ptr + v * S.groups + group, mask=group < S.groups, other=0.0),)
    logits = ()
    for r in tl.static_range(COLUMNS):
        for v in tl.static_range(K):
            logit = composability(queries[r], keys[r * S.stride + v * S.dilation], S)
            if S.prior:
                logit += priors[v]
            if S.masked:
                logit = tl.where(inside[r * S.stride + v * S.dilation], logit, float("-inf"))
            logits = logits + (logit,)
    return logits


@triton.jit
def rescale(logits, shifts, totals, sums, S: tl.constexpr):
    """Take a window row into the online softmax: new shifts, totals and sums, and the row's weights."""
    K: tl.constexpr = S.kernel_size
    COLUMNS: tl.constexpr = S.columns
    PIECES: tl.constexpr = S.pieces
    new_shifts, new_totals, new_sums, weights = (), (), (), ()
    for r in tl.static_range(COLUMNS):
        largest = logits[r * K]
        for v in tl.static_range(1, K):
            largest = tl.maximum(largest, logits[r * K + v])
        shift = tl.maximum(shifts[r], largest * LOG2E)
        # A row above the image is −inf throughout, and −inf − (−inf) is no number.
        finite = tl.where(shift == float("-inf"), 0.0, shift) if S.masked else shift
        decay = tl.exp2(shifts[r] - finite)
        total = totals[r] * decay
        for v in tl.static_range(K):
            weight = tl.exp2(logits[r * K + v] * LOG2E - finite)
            total += weight
            weights = weights + (weight,)
        new_shifts = new_shifts + (shift,)
        new_totals = new_totals + (total,)
        for p in tl.static_range(PIECES):
            new_sums = new_sums + (sums[r * PIECES + p] * decay[:, None],)
    return new_shifts, new_totals, new_sums, weights
