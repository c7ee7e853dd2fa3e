"""The two gather kernels of the backward pass: every gradient is summed where it is written, without atomics.

With w the weights, dy the output's gradient and D = Σ_c dy·y, the gradient of a logit is dl = w·(Σ_c dy·x − D).
Query side: dq = Σ_taps dl·∂Φ/∂q, dprior = Σ_pixels dl. Key side: dx = Σ w·dy, dk = Σ dl·∂Φ/∂k over the queries that see
the pixel. Weights are computed again from a softmax's saved offset and scale. Groups cut into slices give partial sums
of each.
"""

import triton
import triton.language as tl

from .geometry import SIZES
from .members import add_weighted, dot_members, load_members, member_offset, stack, store_members, unstack
from .tiles import (
    accumulator,
    asks_ahead,
    in_row,
    input_rows,
    lane_position,
    load_key,
    load_keys,
    load_pair,
    load_priors,
    load_scalar,
    logit_of,
    negative,
    outside_row,
    priors_of_row,
    query_row,
    query_rows,
    row_after,
    rows_at,
    rows_of_loop,
    slope,
    store_pair,
    tap_of_input,
    tap_of_query,
    tests_tap,
    weight_of_logit,
    window_row,
)


@triton.jit(do_not_specialize=SIZES)
def local_relation_query_kernel(
    query_ptr,
    key_ptr,
    value_ptr,
    prior_ptr,
    out_ptr,
    grad_out_ptr,
    softmax_ptr,
    grad_query_ptr,
    grad_prior_ptr,
    mean_ptr,
    batch,
    height,
    width,
    out_height,
    out_width,
    S: tl.constexpr,
):
    """One program computes the query gradients of its lanes' output pixels, and their share of the prior's.

    query (N, Ho, Wo, G), key (N, H, W, G), value (N, H, W, C), prior (k², G), out and grad_out (N, Ho, Wo, C),
    softmax (N, Ho, Wo, G, 2) → grad_query (N, Ho, Wo, G·slices), grad_prior (tiles, k², G·slices), mean: −D and the
    query (N, Ho, Wo, G·slices, 2), side by side for the key side.

    Grid: (S.tiles(N, Ho, Wo) · S.group_chunks,)
    """
    LANES: tl.constexpr = S.lanes
    K: tl.constexpr = S.kernel_size
    COLUMNS: tl.constexpr = S.columns
    SPAN: tl.constexpr = S.span
    AHEAD: tl.constexpr = asks_ahead(key_ptr, S)
    ACCUMULATOR: tl.constexpr = accumulator(value_ptr)
    image, y, x, part, in_lane = lane_position(batch, out_height, out_width, S)
    group = part // S.slices
    out_pixel = image * out_height * out_width + y * out_width + x
    key_ptrs = key_ptr + image * height * width * S.groups + group
    value_ptrs = value_ptr + image * height * width * S.channels + member_offset(part, S)
    first_column = x * S.stride - S.padding
    key_ptrs += first_column * S.groups
    value_ptrs += first_column * S.channels

    queries, offsets, means, grads = inputs_of_queries(
        query_ptr, out_ptr, grad_out_ptr, softmax_ptr, mean_ptr, out_pixel, x, part, in_lane, out_width, S
    )
    grad_queries = ()
    for _ in tl.static_range(COLUMNS):
        grad_queries = grad_queries + (tl.zeros([LANES], ACCUMULATOR),)

    start, stop = rows_of_loop(input_rows(y, height, S), K, S)
    if S.prior and S.skips_rows:
        store_no_grad_prior(grad_prior_ptr, 0, start, S)
        store_no_grad_prior(grad_prior_ptr, stop, K, S)
    row, row_inside = window_row(start, y, in_lane, height, S)
    keys = load_keys(rows_at(key_ptrs, row, width, S.groups, S), first_column, row_inside, width, S)
    for u in range(start, stop):
        if not AHEAD:
            row, row_inside = window_row(u, y, in_lane, height, S)
            keys = load_keys(rows_at(key_ptrs, row, width, S.groups, S), first_column, row_inside, width, S)
        next_row, next_row_inside, next_keys = row, row_inside, keys
        if AHEAD:
            next_row, next_row_inside = window_row(row_after(u, stop, S), y, in_lane, height, S)
            next_keys = ()
        row_values = rows_at(value_ptrs, row, width, S.channels, S)
        priors = load_priors(prior_ptr, u, group, S)
        row_offsets = offsets_of_row(offsets, row_inside, S)
        grad_priors = ()
        for _ in tl.static_range(K):
            grad_priors = grad_priors + (tl.zeros([LANES], ACCUMULATOR),)
        for c in tl.static_range(SPAN):
            if not outside_row(c - S.padding, S):
                inside = in_row(first_column, c, row_inside, width, S)
                key = keys[c].to(ACCUMULATOR)
                value = unstack(load_members(row_values, c, part, inside, S), S)
                grad_logits = grad_logits_of(queries, row_offsets, means, grads, priors, key, value, inside, c, S)
                grad_queries, grad_priors = add_column(grad_queries, grad_priors, grad_logits, queries, key, c, S)
            if AHEAD:
                # Where this one was used last: asked for earlier, it would have to be kept beside.
                next_ptrs = rows_at(key_ptrs, next_row, width, S.groups, S)
                next_keys = next_keys + (load_key(next_ptrs, c, first_column, next_row_inside, width, S),)
        if S.prior:
            store_grad_prior(grad_prior_ptr, sum_over_cells(grad_priors, S), u, S)
        row, row_inside, keys = next_row, next_row_inside, next_keys

    for r in tl.static_range(COLUMNS):
        places = grad_query_ptr + (out_pixel + r) * S.parts + part
        tl.store(places, grad_queries[r], mask=in_lane & (x + r < out_width))


@triton.jit
def inputs_of_queries(
    query_ptr, out_ptr, grad_out_ptr, softmax_ptr, mean_ptr, out_pixel, x, part, in_lane, out_width, S: tl.constexpr
):
    """Query, offset, −D and gradient of each column of a lane, for weights that lack their scale.

    −D and the query are stored for the key side.
    """
    LANES: tl.constexpr = S.lanes
    COLUMNS: tl.constexpr = S.columns
    group = part // S.slices
    channel = out_pixel * S.channels + member_offset(part, S)
    queries, offsets, means, grads = (), (), (), ()
    for r in tl.static_range(COLUMNS):
        in_output = in_lane & (x + r < out_width)
        here = out_pixel + r
        grad = unstack(load_members(grad_out_ptr + channel, r, part, in_output, S), S)
        out = unstack(load_members(out_ptr + channel, r, part, in_output, S), S)
        mean = negative(dot_members(grad, out, tl.zeros([LANES], accumulator(out_ptr)), S))
        place = here * S.groups + group
        query = load_scalar(query_ptr + place, in_output, 0.0)
        store_pair(mean_ptr + (here * S.parts + part) * 2, mean, query, in_output)
        # Where there is no output pixel, −inf makes every weight 0.
        offset, scale = load_pair(softmax_ptr + place * 2, in_output, float("-inf"), 0.0)
        queries, offsets = queries + (query,), offsets + (offset,)
        means, grads = means + (mean * scale,), grads + (scaled(grad, scale),)
    return queries, offsets, means, grads


@triton.jit
def grad_logits_of(queries, offsets, means, grads, priors, key, value, inside, c: tl.constexpr, S: tl.constexpr):
    """The gradient of the logit of input column `c` for each output column of a lane; 0 where that does not see it."""
    COLUMNS: tl.constexpr = S.columns
    grad_logits = ()
    for r in tl.static_range(COLUMNS):
        grad_logit = tl.zeros_like(queries[r])
        if tap_of_input(c, r, S) >= 0:
            logit = logit_of(queries[r], key, priors[tap_of_input(c, r, S)], S)
            weight = weight_of_logit(logit, offsets[r])
            if tests_tap(c, S):
                weight = tl.where(inside, weight, 0.0)
            grad_logit = weight * dot_members(grads[r], value, means[r], S)
        grad_logits = grad_logits + (grad_logit,)
    return grad_logits


@triton.jit
def add_column(grad_queries, grad_priors, grad_logits, queries, key, c: tl.constexpr, S: tl.constexpr):
    """The gradients of queries, by output column, and of priors, by tap, with input column `c` taken in."""
    COLUMNS: tl.constexpr = S.columns
    new_queries = ()
    for r in tl.static_range(COLUMNS):
        grad_query = grad_queries[r]
        if tap_of_input(c, r, S) >= 0:
            grad_query += grad_logits[r] * slope(queries[r], key, S)
            grad_priors = add_at(grad_priors, tap_of_input(c, r, S), grad_logits[r])
        new_queries = new_queries + (grad_query,)
    return new_queries, grad_priors


@triton.jit
def offsets_of_row(offsets, inside, S: tl.constexpr):
    """The offsets, −inf where the lane reads another row than the window's: there are fewer of them than of priors."""
    COLUMNS: tl.constexpr = S.columns
    if S.tests_rows:
        tested = ()
        for r in tl.static_range(COLUMNS):
            tested = tested + (tl.where(inside, offsets[r], float("-inf")),)
        offsets = tested
    return offsets


@triton.jit
def scaled(terms, scale):
    """Each entry of the tuple times the scale."""
    COUNT: tl.constexpr = len(terms)
    products = ()
    for i in tl.static_range(COUNT):
        products = products + (terms[i] * scale,)
    return products


@triton.jit
def add_at(terms, index: tl.constexpr, term):
    """The tuple with a term added to one of its entries."""
    COUNT: tl.constexpr = len(terms)
    added = ()
    for i in tl.static_range(COUNT):
        added = added + (terms[i] + term if i == index else terms[i],)
    return added


@triton.jit
def sum_over_cells(grad_priors, S: tl.constexpr):
    """A window row of taps, summed over the program's lanes of each group; [lane_groups, stacked taps]."""
    CELLS: tl.constexpr = S.cells
    GROUPS: tl.constexpr = S.lane_groups
    TAPS: tl.constexpr = S.stacked_taps
    return tl.sum(tl.reshape(stack(grad_priors, S), [CELLS, GROUPS, TAPS]), axis=0)


@triton.jit
def store_grad_prior(grad_prior_ptr, totals, u, S: tl.constexpr):
    """Write this program's sums for one window row: entry (tile, u·k + v, part)."""
    K: tl.constexpr = S.kernel_size
    GROUPS: tl.constexpr = S.lane_groups
    TAPS: tl.constexpr = S.stacked_taps
    tile = (tl.program_id(0) // S.group_chunks).to(tl.int64)
    part = tl.program_id(0) % S.group_chunks * GROUPS + tl.arange(0, GROUPS)
    taps = tl.arange(0, TAPS)
    places = (tile * K * K + u * K + taps)[None, :] * S.parts + part[:, None]
    tl.store(grad_prior_ptr + places, totals, mask=(taps < K)[None, :] & (part < S.parts)[:, None])


@triton.jit
def store_no_grad_prior(grad_prior_ptr, first, end, S: tl.constexpr):
    """Write zeros for the window rows from `first` to `end`, which this program's pixels do not see."""
    GROUPS: tl.constexpr = S.lane_groups
    TAPS: tl.constexpr = S.stacked_taps
    for u in range(first, end):
        store_grad_prior(grad_prior_ptr, tl.zeros([GROUPS, TAPS], grad_prior_ptr.dtype.element_ty), u, S)


@triton.jit(do_not_specialize=SIZES)
def local_relation_key_kernel(
    key_ptr,
    value_ptr,
    prior_ptr,
    grad_out_ptr,
    softmax_ptr,
    mean_ptr,
    grad_key_ptr,
    grad_value_ptr,
    batch,
    height,
    width,
    out_height,
    out_width,
    S: tl.constexpr,
):
    """One program computes the key and value gradients of its lanes' input pixels.

    key (N, H, W, G), value (N, H, W, C), prior (k², G), grad_out (N, Ho, Wo, C), softmax (N, Ho, Wo, G, 2), mean: −D
    and the query (N, Ho, Wo, G·slices, 2) → grad_key (N, H, W, G·slices), grad_value (N, H, W, C).

    Grid: (S.tiles(N, H, W) · S.group_chunks,)
    """
    LANES: tl.constexpr = S.lanes
    VECTOR: tl.constexpr = S.vector
    COLUMNS: tl.constexpr = S.columns
    VECTORS: tl.constexpr = S.vectors
    SPAN: tl.constexpr = S.query_span
    STEPS: tl.constexpr = S.query_steps
    ACCUMULATOR: tl.constexpr = accumulator(value_ptr)
    image, y, x, part, in_lane = lane_position(batch, height, width, S)
    group = part // S.slices
    in_pixel = image * height * width + y * width + x
    first_query = x // S.stride + S.first_query
    # The place of column `first_query` in row 0 of the image's outputs.
    origin = image * out_height * out_width + first_query
    softmax_ptrs = softmax_ptr + (origin * S.groups + group) * 2
    mean_ptrs = mean_ptr + (origin * S.parts + part) * 2
    grad_ptrs = grad_out_ptr + origin * S.channels + member_offset(part, S)

    keys, values, grad_keys, grad_values = (), (), (), ()
    for r in tl.static_range(COLUMNS):
        in_input = in_lane & (x + r < width)
        keys = keys + (load_scalar(key_ptr + (in_pixel + r) * S.groups + group, in_input, 0.0),)
        channels = value_ptr + in_pixel * S.channels + member_offset(part, S)
        values = values + (unstack(load_members(channels, r, part, in_input, S), S),)
        grad_keys = grad_keys + (tl.zeros([LANES], ACCUMULATOR),)
        for _ in tl.static_range(VECTORS):
            grad_values = grad_values + (tl.zeros([LANES, VECTOR], ACCUMULATOR),)

    rows = query_rows(y, out_height, S)
    start, stop = rows_of_loop(rows, STEPS, S)
    for step in range(start, stop):
        row, u, inside = query_row(step, rows, y, in_lane, out_height, S)
        row_softmax = rows_at(softmax_ptrs, row, out_width, S.groups * 2, S)
        row_means = rows_at(mean_ptrs, row, out_width, S.parts * 2, S)
        row_grads = rows_at(grad_ptrs, row, out_width, S.channels, S)
        priors = priors_of_row(prior_ptr, u, group, inside, S)
        for c in tl.static_range(SPAN):
            if not outside_row(c + S.first_query, S):
                in_output = in_row(first_query, c, inside, out_width, S)
                # Where there is no query, −inf makes the weight 0.
                offset, scale = load_pair(row_softmax + c * S.groups * 2, in_output, float("-inf"), 0.0)
                mean, query = load_pair(row_means + c * S.parts * 2, in_output, 0.0, 0.0)
                grad = load_members(row_grads, c, part, in_output, S)
                grad_members = unstack(grad, S)
                new_keys, new_values = (), ()
                for r in tl.static_range(COLUMNS):
                    grad_key = grad_keys[r]
                    if tap_of_query(c, r, S) >= 0:
                        logit = logit_of(query, keys[r], priors[tap_of_query(c, r, S)], S)
                        weight = weight_of_logit(logit, offset) * scale
                        grad_logit = weight * dot_members(grad_members, values[r], mean, S)
                        grad_key += grad_logit * slope(keys[r], query, S)
                    new_keys = new_keys + (grad_key,)
                    for p in tl.static_range(VECTORS):
                        grad_value = grad_values[r * VECTORS + p]
                        if tap_of_query(c, r, S) >= 0:
                            grad_value = add_weighted(grad_value, weight, grad[p])
                        new_values = new_values + (grad_value,)
                grad_keys, grad_values = new_keys, new_values

    for r in tl.static_range(COLUMNS):
        in_input = in_lane & (x + r < width)
        tl.store(grad_key_ptr + (in_pixel + r) * S.parts + part, grad_keys[r], mask=in_input)
        channels = grad_value_ptr + (in_pixel + r) * S.channels + member_offset(part, S)
        store_members(channels, part, in_input, grad_values, r * VECTORS, S)
