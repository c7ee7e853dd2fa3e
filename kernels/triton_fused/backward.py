"""The two gather kernels of the backward pass: every gradient is summed where it is written, without atomics.

With w the weights, dy the output's gradient and D = Σ_c dy·y, the gradient of a logit is dl = w·(Σ_c dy·x − D).
Query side: dq = Σ_taps dl·∂Φ/∂q, dprior = Σ_pixels dl. Key side: dx = Σ w·dy, dk = Σ dl·∂Φ/∂k over the queries that see
the pixel. Weights are computed again from the saved log-sum. Groups cut into slices give partial sums of each.
"""

import triton
import triton.language as tl

from .tiles import (
    LOG2E,
    accumulator,
    composability,
    dot_members,
    lane_position,
    load_members,
    load_scalar,
    slope,
    store_members,
    tap_of_input,
    tap_of_query,
)


@triton.jit
def local_relation_query_kernel(
    query_ptr,
    key_ptr,
    value_ptr,
    prior_ptr,
    out_ptr,
    grad_out_ptr,
    log_sum_ptr,
    grad_query_ptr,
    grad_prior_ptr,
    mean_ptr,
    height,
    width,
    out_height,
    out_width,
    S: tl.constexpr,
):
    """One program computes the query gradients of a tile of output pixels, and its share of the prior's.

    query (N, Ho, Wo, G), key (N, H, W, G), value (N, H, W, C), prior (k², G), out and grad_out (N, Ho, Wo, C),
    log_sum (N, Ho, Wo, G) → grad_query and mean D (N, Ho, Wo, G·slices), grad_prior (tiles, k², G·slices).

    Grid: (N · ceil(Ho / rows) · ceil(Wo / (blocks · columns)) · group_chunks,)
    """
    K: tl.constexpr = S.kernel_size
    LANES: tl.constexpr = S.lanes
    COLUMNS: tl.constexpr = S.columns
    SPAN: tl.constexpr = S.span
    PARTS: tl.constexpr = S.groups * S.slices
    ACCUMULATOR: tl.constexpr = accumulator(value_ptr)
    image, y, x, part = lane_position(out_height, out_width, S)
    group = part // S.slices
    in_lane = (y < out_height) & (group < S.groups)
    out_pixels = image * out_height * out_width
    key_ptr += image * height * width * S.groups
    value_ptr += image * height * width * S.channels
    first_column = x * S.stride - S.padding

    queries, log_sums, means, grads, grad_queries = (), (), (), (), ()
    for r in tl.static_range(COLUMNS):
        in_output = in_lane & (x + r < out_width)
        pixel = y * out_width + x + r
        grad = load_members(grad_out_ptr + out_pixels * S.channels, pixel, part, in_output, S)
        out = load_members(out_ptr + out_pixels * S.channels, pixel, part, in_output, S)
        mean = dot_members(grad, out, S)
        tl.store(mean_ptr + out_pixels * PARTS + pixel * PARTS + part, mean, mask=in_output)
        place = pixel * S.groups + group
        queries = queries + (load_scalar(query_ptr + out_pixels * S.groups, place, in_output, 0.0),)
        # Where there is no output pixel, +inf makes every weight 0.
        log_sums = log_sums + (load_scalar(log_sum_ptr + out_pixels * S.groups, place, in_output, float("inf")),)
        means, grads = means + (mean,), grads + (grad,)
        grad_queries = grad_queries + (tl.zeros([LANES], ACCUMULATOR),)

    for u in range(K):
        row = y * S.stride - S.padding + u * S.dilation
        row_inside = in_lane & (row >= 0) & (row < height)
        pixel = row * width + first_column
        priors, grad_priors = (), ()
        for v in tl.static_range(K):
            grad_priors = grad_priors + (tl.zeros([LANES], ACCUMULATOR),)
            if S.prior:
                priors = priors + (
                    tl.load(prior_ptr + (u * K + v) * S.groups + group, mask=group < S.groups, other=0.0),
                )
        for c in tl.static_range(SPAN):
            inside = row_inside & (first_column + c >= 0) & (first_column + c < width)
            key = load_scalar(key_ptr, (pixel + c) * S.groups + group, inside, 0.0)
            value = load_members(value_ptr, pixel + c, part, inside, S)
            new_queries = ()
            for r in tl.static_range(COLUMNS):
                grad_query = grad_queries[r]
                if tap_of_input(c, r, S) >= 0:
                    logit = composability(queries[r], key, S)
                    if S.prior:
                        logit += priors[tap_of_input(c, r, S)]
                    weight = tl.exp2(logit * LOG2E - log_sums[r])
                    if S.masked:
                        weight = tl.where(inside, weight, 0.0)
                    grad_logit = weight * (dot_members(grads[r], value, S) - means[r])
                    grad_query += grad_logit * slope(queries[r], key, S)
                    grad_priors = add_at(grad_priors, tap_of_input(c, r, S), grad_logit)
                new_queries = new_queries + (grad_query,)
            grad_queries = new_queries
        if S.prior:
            store_grad_prior(grad_prior_ptr, grad_priors, u, S)

    for r in tl.static_range(COLUMNS):
        place = (y * out_width + x + r) * PARTS + part
        mask = in_lane & (x + r < out_width)
        tl.store(grad_query_ptr + out_pixels * PARTS + place, grad_queries[r], mask=mask)


@triton.jit
def add_at(terms, index: tl.constexpr, term):
    """The tuple with a term added to one of its entries."""
    COUNT: tl.constexpr = len(terms)
    added = ()
    for i in tl.static_range(COUNT):
        added = added + (terms[i] + term if i == index else terms[i],)
    return added


@triton.jit
def store_grad_prior(grad_prior_ptr, grad_priors, u, S: tl.constexpr):
    """Write this program's sums over its pixels for one window row: entry (tile, u·k + v, part)."""
    K: tl.constexpr = S.kernel_size
    PARTS: tl.constexpr = S.groups * S.slices
    GROUPS: tl.constexpr = S.lane_groups
    PIXELS: tl.constexpr = S.lanes // S.lane_groups
    tile = (tl.program_id(0) // S.group_chunks).to(tl.int64)
    parts = (tl.program_id(0) % S.group_chunks) * GROUPS + tl.arange(0, GROUPS)
    for v in tl.static_range(K):
        total = tl.sum(tl.reshape(grad_priors[v], [PIXELS, GROUPS]), axis=0)
        tl.store(grad_prior_ptr + (tile * K * K + u * K + v) * PARTS + parts, total, mask=parts < PARTS)


@triton.jit
def local_relation_key_kernel(
    query_ptr,
    key_ptr,
    value_ptr,
    prior_ptr,
    grad_out_ptr,
    log_sum_ptr,
    mean_ptr,
    grad_key_ptr,
    grad_value_ptr,
    height,
    width,
    out_height,
    out_width,
    S: tl.constexpr,
):
    """One program computes the key and value gradients of a tile of input pixels.

    query (N, Ho, Wo, G), key (N, H, W, G), value (N, H, W, C), prior (k², G), grad_out (N, Ho, Wo, C), log_sum
    (N, Ho, Wo, G), mean D (N, Ho, Wo, G·slices) → grad_key (N, H, W, G·slices), grad_value (N, H, W, C).

    Grid: (N · ceil(H / rows) · ceil(W / (blocks · columns)) · group_chunks,)
    """
    K: tl.constexpr = S.kernel_size
    LANES: tl.constexpr = S.lanes
    COLUMNS: tl.constexpr = S.columns
    PIECE: tl.constexpr = S.piece
    PIECES: tl.constexpr = S.pieces
    SPAN: tl.constexpr = S.query_span
    PARTS: tl.constexpr = S.groups * S.slices
    ACCUMULATOR: tl.constexpr = accumulator(value_ptr)
    image, y, x, part = lane_position(height, width, S)
    group = part // S.slices
    in_lane = (y < height) & (group < S.groups)
    in_pixels = image * height * width
    out_pixels = image * out_height * out_width
    first_query = x // S.stride + S.first_query

    keys, values, grad_keys, grad_values = (), (), (), ()
    for r in tl.static_range(COLUMNS):
        in_input = in_lane & (x + r < width)
        place = (y * width + x + r) * S.groups + group
        keys = keys + (load_scalar(key_ptr + in_pixels * S.groups, place, in_input, 0.0),)
        values = values + (load_members(value_ptr + in_pixels * S.channels, y * width + x + r, part, in_input, S),)
        grad_keys = grad_keys + (tl.zeros([LANES], ACCUMULATOR),)
        for _ in tl.static_range(PIECES):
            grad_values = grad_values + (tl.zeros([LANES, PIECE], ACCUMULATOR),)

    # Without dilation, the rows of taps that meet a query are every stride-th; else all are tried.
    STEP: tl.constexpr = S.stride if S.dilation == 1 else 1
    for step in range((K + STEP - 1) // STEP):
        u = step * STEP + (y + S.padding) % STEP
        distance = y + S.padding - u * S.dilation
        row = distance // S.stride
        seen = in_lane & (u < K) & (distance >= 0) & (distance % S.stride == 0) & (row < out_height)
        priors = ()
        for v in tl.static_range(K):
            if S.prior:
                priors = priors + (tl.load(prior_ptr + (u * K + v) * S.groups + group, mask=seen, other=0.0),)
        for c in tl.static_range(SPAN):
            in_output = seen & (first_query + c >= 0) & (first_query + c < out_width)
            pixel = row * out_width + first_query + c
            place = pixel * S.groups + group
            query = load_scalar(query_ptr + out_pixels * S.groups, place, in_output, 0.0)
            # Where there is no query, +inf makes the weight 0.
            log_sum = load_scalar(log_sum_ptr + out_pixels * S.groups, place, in_output, float("inf"))
            mean = load_scalar(mean_ptr + out_pixels * PARTS, pixel * PARTS + part, in_output, 0.0)
            grad = load_members(grad_out_ptr + out_pixels * S.channels, pixel, part, in_output, S)
            new_keys, new_values = (), ()
            for r in tl.static_range(COLUMNS):
                grad_key = grad_keys[r]
                if tap_of_query(c, r, S) >= 0:
                    logit = composability(query, keys[r], S)
                    if S.prior:
                        logit += priors[tap_of_query(c, r, S)]
                    weight = tl.exp2(logit * LOG2E - log_sum)
                    grad_logit = weight * (dot_members(grad, values[r], S) - mean)
                    grad_key += grad_logit * slope(keys[r], query, S)
                new_keys = new_keys + (grad_key,)
                for p in tl.static_range(PIECES):
                    grad_value = grad_values[r * PIECES + p]
                    if tap_of_query(c, r, S) >= 0:
                        grad_value += weight[:, None] * grad[p]
                    new_values = new_values + (grad_value,)
            grad_keys, grad_values = new_keys, new_values
    for r in tl.static_range(COLUMNS):
        in_input = in_lane & (x + r < width)
        pixel = y * width + x + r
        tl.store(grad_key_ptr + in_pixels * PARTS + pixel * PARTS + part, grad_keys[r], mask=in_input)
        store_members(grad_value_ptr + in_pixels * S.channels, pixel, part, in_input, grad_values, r * PIECES, S)
