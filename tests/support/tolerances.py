"""One rule for how far an implementation may be from the float64 oracle, for the output and each gradient.

    max|actual − oracle| ≤ 2·max|plain − oracle| + 4·ε·(1 + L)·max(Σ|terms|) + u·max(Σ|terms through y|)

`plain` is eager PyTorch in the same dtype that keeps logits, softmax and sums in float32 (float64 for
float64) and rounds each result once (tests/support/plain.py). ε is the rounding unit of that accumulation dtype, L
the largest |logit| (a logit's relative error ε is a weight's relative error ε·L), Σ|terms| the sum of the
absolute values of the terms that a result is summed from: a gradient may cancel to nothing, its rounding
errors do not. The floor is there for results that plain PyTorch happens to give exactly. There is no term for
the rounding of a result to a narrow dtype: to round once to the nearest number adds at most plain's own error, as
|round(a) − x| ≤ |round(b) − x| + 2·|a − x| for all a, b and x.

The last term is for float16 and bfloat16 alone, u being half their ε. A backward pass that keeps no k² weights takes
Σ_taps w·dw as Σ_c dy·y from the output y that forward has rounded (as FlashAttention does); plain PyTorch keeps the
weights. That y may be off by u·|y|, and what of a gradient goes through it by as much.

An implementation that rounds its weights to such a dtype before it sums with them has u·max(Σ|terms|) more, and in
gradients as much again, where a weight and its gradient are rounded.
"""

from collections.abc import Mapping

import numpy as np
import torch

from tests.support.oracle import Array, Reference
from tests.support.plain import accumulation_dtype


def bound(name: str, dtype: torch.dtype, reference: Reference, plain: Array, *, narrow_weights: bool = False) -> float:
    """The largest error that a result may have."""
    unit = torch.finfo(accumulation_dtype(dtype)).eps
    floor = 4 * unit * (1 + reference.largest_logit) * largest(reference.magnitudes[name])
    rounded = torch.finfo(dtype).eps / 2 if dtype.itemsize == 2 else 0.0
    if narrow_weights:
        floor += rounded * largest(reference.magnitudes[name]) * (1 if name == "output" else 2)
    return 2 * largest(plain - reference.values[name]) + floor + rounded * largest(reference.through_output[name])


def violations(
    actual: Mapping[str, Array],
    plain: Mapping[str, Array],
    reference: Reference,
    dtype: torch.dtype,
    *,
    narrow_weights: bool = False,
) -> dict[str, str]:
    """For each result that breaks the rule: its error and its bound. A NaN breaks it."""
    found = {}
    for name, expected in reference.values.items():
        allowed = bound(name, dtype, reference, plain[name], narrow_weights=narrow_weights)
        error = largest(actual[name] - expected) if actual[name].shape == expected.shape else np.inf
        if not error <= allowed:
            scale = largest(expected)
            found[name] = f"error {error:.3g} above {allowed:.3g} (largest value {scale:.3g})"
    return found


def largest(array: Array) -> float:
    """The largest absolute value, 0 of an empty array."""
    return float(np.max(np.abs(array), initial=0.0))
