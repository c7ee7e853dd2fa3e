"""The operator and its four gradients from the definition alone: float64, one output pixel at a time.

    y[n,c,i,j] = Σ_{u,v} w[n,g,i,j,u,v] · x[n,c,p]        p = (i·s − pad + u·d, j·s − pad + v·d)
    w = softmax over (u,v) of Φ(q[n,g,i,j], k[n,g,p]) + prior[g,u,v]

With dy the gradient of the output and dw_t = Σ_c dy_c·x_tc, the softmax gives dl_t = w_t·(dw_t − Σ_s
w_s·dw_s), and then dx_tc += w_t·dy_c, dprior_t += dl_t, dq += Σ_t dl_t·∂Φ/∂q and dk_t += dl_t·∂Φ/∂k. Nothing
is shared with what this judges.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float64]

Operands = tuple[Array, Array, Array, Array | None]

QUANTITIES = ("output", "query", "key", "value", "prior")


@dataclass(frozen=True, kw_only=True)
class Options:
    """The operator's options, padding in pixels."""

    kernel_size: int
    m: int
    stride: int
    padding: int
    dilation: int
    composability: str
    padding_mode: str
    channel_order: str


@dataclass(frozen=True)
class Reference:
    """The output and the gradients by name, and what rounding errors of each are in proportion to.

    `magnitudes` holds, for each number, the sum of the absolute values of the terms that add up to it;
    `through_output` the part of a gradient's that goes through Σ_s w_s·dw_s, which is Σ_c dy_c·y_c as well and
    then errs with y; `largest_logit` the largest |Φ| + |prior|, as an error of the logit is a relative error of
    the weight.
    """

    values: dict[str, Array]
    magnitudes: dict[str, Array]
    through_output: dict[str, Array]
    largest_logit: float


@dataclass(frozen=True)
class Phi:
    """Φ(q, k) and its partial derivatives; that of |q − k| is 0 where q = k."""

    value: Callable[[float, float], float]
    by_query: Callable[[float, float], float]
    by_key: Callable[[float, float], float]


PHI = {
    "multiplication": Phi(lambda q, k: q * k, lambda _, k: k, lambda q, _: q),
    "squared_difference": Phi(lambda q, k: -((q - k) ** 2), lambda q, k: -2 * (q - k), lambda q, k: 2 * (q - k)),
    "absolute_difference": Phi(
        lambda q, k: -abs(q - k), lambda q, k: -float(np.sign(q - k)), lambda q, k: float(np.sign(q - k))
    ),
}


def groups_of(channels: int, m: int) -> int:
    """G = ceil(C / m)."""
    return (channels + m - 1) // m


def out_size(size: int, options: Options) -> int:
    """How many windows fit along a side: one every s pixels, from −pad to where they would stick out."""
    last_start = size + options.padding - options.dilation * (options.kernel_size - 1) - 1
    return len(range(-options.padding, last_start + 1, options.stride))


def members(group: int, channels: int, options: Options) -> list[int]:
    """The channels of a group."""
    groups = groups_of(channels, options.m)
    of_channel = {"consecutive": lambda c: c // options.m, "strided": lambda c: c % groups}
    return [c for c in range(channels) if of_channel[options.channel_order](c) == group]


def local_relation(operands: Operands, grad: Array, options: Options) -> Reference:
    """The output for query, key, value and prior, and the gradients of Σ grad·output."""
    query, key, value, prior = operands
    batch, channels, height, width = value.shape
    groups, k = groups_of(channels, options.m), options.kernel_size
    priors = np.zeros((groups, k, k)) if prior is None else prior
    shape = (batch, channels, out_size(height, options), out_size(width, options))
    shapes = dict(zip(QUANTITIES, (shape, query.shape, key.shape, value.shape, priors.shape), strict=True))
    values = {name: np.zeros(shapes[name]) for name in QUANTITIES}
    sizes = {name: np.zeros(shapes[name]) for name in QUANTITIES}
    through = {name: np.zeros(shapes[name]) for name in QUANTITIES}
    phi, largest = PHI[options.composability], 0.0
    for n, g, i, j in np.ndindex(batch, groups, *shape[2:]):
        taps = window(i, j, height, width, options)
        inside = [0 <= row < height and 0 <= column < width for _, _, row, column in taps]
        c = members(g, channels, options)
        q, dy = float(query[n, g, i, j]), grad[n, c, i, j]
        # A tap outside the image (only "zeros" has such taps) meets a key of 0 and values of 0.
        places = [tap[2:] if ok else None for tap, ok in zip(taps, inside, strict=True)]
        ks = [0.0 if place is None else float(key[n, g, *place]) for place in places]
        xs = np.array([np.zeros(len(c)) if place is None else value[n, c, *place] for place in places])
        phis: Array = np.array([phi.value(q, one) for one in ks])
        biases = np.array([priors[g, u, v] for u, v, _, _ in taps])
        largest = max(largest, float(np.max(np.abs(phis) + np.abs(biases))))
        exponentials = np.exp(phis + biases - np.max(phis + biases))
        w = exponentials / exponentials.sum()
        values["output"][n, c, i, j] = w @ xs
        sizes["output"][n, c, i, j] = w @ np.abs(xs)

        dw, dw_size = xs @ dy, np.abs(xs) @ np.abs(dy)
        dl, dl_size = w * (dw - w @ dw), w * (dw_size + w @ dw_size)
        dl_through = w * (np.abs(dy) @ np.abs(w @ xs))
        for t, (u, v, row, column) in enumerate(taps):
            by_query, by_key = phi.by_query(q, ks[t]), phi.by_key(q, ks[t])
            values["query"][n, g, i, j] += dl[t] * by_query
            sizes["query"][n, g, i, j] += dl_size[t] * abs(by_query)
            through["query"][n, g, i, j] += dl_through[t] * abs(by_query)
            values["prior"][g, u, v] += dl[t]
            sizes["prior"][g, u, v] += dl_size[t]
            through["prior"][g, u, v] += dl_through[t]
            if inside[t]:
                values["key"][n, g, row, column] += dl[t] * by_key
                sizes["key"][n, g, row, column] += dl_size[t] * abs(by_key)
                through["key"][n, g, row, column] += dl_through[t] * abs(by_key)
                values["value"][n, c, row, column] += w[t] * dy
                sizes["value"][n, c, row, column] += w[t] * np.abs(dy)
    if prior is None:
        del values["prior"], sizes["prior"], through["prior"]
    return Reference(values, sizes, through, largest)


def window(i: int, j: int, height: int, width: int, options: Options) -> list[tuple[int, int, int, int]]:
    """The taps (u, v, row, column) that take part in the softmax of output pixel (i, j)."""
    taps = []
    for u, v in np.ndindex(options.kernel_size, options.kernel_size):
        row = i * options.stride - options.padding + u * options.dilation
        column = j * options.stride - options.padding + v * options.dilation
        in_image = 0 <= row < height and 0 <= column < width
        if in_image or options.padding_mode == "zeros":
            taps.append((u, v, row, column))
    return taps
