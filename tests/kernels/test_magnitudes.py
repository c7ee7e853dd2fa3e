"""Numbers at ordinary magnitudes: queries and keys μ + N(0, 1), whose logits are μ² and differ by little."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from tests.support.cases import Case, Expected, Inputs, as_arrays, draw, every_implementation, expected_of, run, take

CASE = Case(batch=1, channels=5, m=3, height=6, width=5)
MEANS = (0, 1, 3, 10, 30, 100, 1e3, 1e4)


def shifted(case: Case, mean: float) -> Inputs:
    """The case's inputs, query and key further from zero."""
    inputs = draw(case)
    return replace(inputs, query=inputs.query + mean, key=inputs.key + mean)


def by_unfold(inputs: Inputs, case: Case) -> Expected:
    """The oracle, and plain PyTorch's error for all that there is: that a logit is large allows nothing more."""
    expected = expected_of(inputs, case.options)
    reference = replace(expected.reference, largest_logit=0.0)
    return replace(expected, reference=reference, plain=as_arrays(run("unfold", inputs, case)))


@every_implementation
@pytest.mark.parametrize("mean", MEANS)
@pytest.mark.parametrize("dtype", ["float32", "float64", "bfloat16"])
def test_at_most_twice_the_error_of_plain_pytorch(implementation: str, dtype: str, mean: float) -> None:
    case = replace(CASE, dtype=dtype)
    take(implementation, case)
    inputs = shifted(case, mean)
    assert by_unfold(inputs, case).violations(run(implementation, inputs, case)) == {}


@every_implementation
def test_a_constant_map_of_large_numbers(implementation: str) -> None:
    """All logits are 10⁸: each weight is one over the window's taps, and a pixel's weights sum to as many windows."""
    case = replace(CASE, composability="multiplication", prior=None)
    take(implementation, case)
    inputs = draw(case)
    large = replace(
        inputs,
        query=torch.full_like(inputs.query, 1e4),
        key=torch.full_like(inputs.key, 1e4),
        grad=torch.ones_like(inputs.grad),
    )
    gradient = run(implementation, large, case)["value"]
    assert gradient.mean().item() == pytest.approx(1, rel=1e-6)
    expected = expected_of(large, case.options).reference.values["value"]
    np.testing.assert_allclose(gradient.double().cpu().numpy(), expected, rtol=1e-6)
