"""Numbers at ordinary magnitudes: queries and keys μ + N(0, 1), whose logits are μ² and differ by little.

The rule is that of tests/support/tolerances.py, with `unfold` as plain PyTorch, but that a large logit allows nothing
more. Of one large logit two ways to compute it may round differently, and either may be the lucky one, so it is errors'
root mean squares that are compared.
"""

from dataclasses import replace

import numpy as np
import pytest
import torch

from tests.support.cases import Case, Inputs, as_arrays, draw, every_implementation, expected_of, run, take
from tests.support.oracle import Array
from tests.support.plain import accumulation_dtype

CASE = Case(batch=8, channels=5, m=3, height=5, width=2)  # narrow, for the interpreter's sake
# The oracle is no more exact than float64.
MEANS = {"float32": (0, 3, 10, 30, 100, 1e3, 1e4), "bfloat16": (10, 1e4), "float16": (30,)}


def size(array: Array) -> float:
    """The root mean square."""
    return float(np.sqrt(np.mean(np.square(array))))


@every_implementation
@pytest.mark.parametrize(("dtype", "mean"), [(dtype, mean) for dtype, means in MEANS.items() for mean in means])
def test_at_most_twice_the_error_of_plain_pytorch(implementation: str, dtype: str, mean: float) -> None:
    case = replace(CASE, dtype=dtype)
    take(implementation, case)
    drawn = draw(case)
    inputs = replace(drawn, query=drawn.query + mean, key=drawn.key + mean)
    reference = expected_of(inputs, case.options).reference
    plain, actual = (as_arrays(run(name, inputs, case)) for name in ("unfold", implementation))
    unit = torch.finfo(accumulation_dtype(case.torch_dtype)).eps
    rounded = torch.finfo(case.torch_dtype).eps / 2 if case.torch_dtype.itemsize == 2 else 0.0
    for name, value in reference.values.items():
        floor = 4 * unit * size(reference.magnitudes[name]) + rounded * size(reference.through_output[name])
        assert size(actual[name] - value) <= 2 * size(plain[name] - value) + floor, name


def constant(case: Case) -> Inputs:
    """Queries and keys of 10⁴, and an output's gradient of ones."""
    drawn = draw(case)
    query, key = torch.full_like(drawn.query, 1e4), torch.full_like(drawn.key, 1e4)
    return replace(drawn, query=query, key=key, grad=torch.ones_like(drawn.grad))


@every_implementation
def test_the_weights_of_a_constant_map(implementation: str) -> None:
    """All logits are 10⁸: each weight is one over the taps of its window, and the image's gradient sums to its size."""
    case = replace(CASE, batch=1, height=4, prior=None)
    take(implementation, case)
    inputs = constant(case)
    gradient = run(implementation, inputs, case)["value"].double().cpu().numpy()
    assert gradient.mean() == pytest.approx(1, rel=1e-6)
    expected = expected_of(inputs, case.options).reference.values["value"]
    np.testing.assert_allclose(gradient, expected, rtol=1e-6)
