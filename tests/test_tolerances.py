"""The error rule has teeth: it refuses results that are wrong in the usual ways, and accepts right ones."""

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
import torch

from tests.support.cases import Case, as_array, posed
from tests.support.oracle import QUANTITIES, Array
from tests.support.plain import shifted
from tests.support.tolerances import violations

DTYPES = ("float64", "float32", "bfloat16", "float16")
CASE = {dtype: Case(dtype=dtype, channels=8, m=2, height=9, width=7) for dtype in DTYPES}


def relative(factor: float) -> Callable[[Array], Array]:
    return lambda x: x * factor


def spoilt(x: Array) -> Array:
    spoilt = x.copy()
    spoilt.flat[0] = np.nan
    return spoilt


WRONG: dict[str, Callable[[Array], Array]] = {
    "zeros": np.zeros_like,
    "NaN in one place": spoilt,
    "a row further down": lambda x: np.roll(x, 1, axis=-2),
    "a column further right": lambda x: np.roll(x, 1, axis=-1),
    "groups or channels reversed": lambda x: np.flip(x, axis=-3),
    "the other sign": np.negative,
    "five per cent too large": relative(1.05),
    "a border row lost": lambda x: np.concatenate([x[..., :-1, :], 0 * x[..., -1:, :]], axis=-2),
    "a column missing": lambda x: x[..., :-1],
}


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("change", WRONG.values(), ids=WRONG.keys())
def test_wrong_results_break_the_rule(change: Callable[[Array], Array], dtype: str) -> None:
    case = CASE[dtype]
    _, expected = posed(case)
    wrong = {name: change(value) for name, value in expected.reference.values.items()}
    assert set(violations(wrong, expected.plain, expected.reference, case.torch_dtype)) == set(QUANTITIES)


@pytest.mark.parametrize("dtype", DTYPES)
def test_right_results_keep_the_rule(dtype: str) -> None:
    case = CASE[dtype]
    _, expected = posed(case)
    for right in (expected.reference.values, expected.plain):
        assert violations(right, expected.plain, expected.reference, case.torch_dtype) == {}


@pytest.mark.parametrize("dtype", ["bfloat16", "float16"])
def test_sums_in_a_narrow_dtype_break_the_rule(dtype: str) -> None:
    """A running sum of 49 taps that is rounded after each is not excused by its narrow output."""
    case = Case(dtype=dtype, kernel_size=7, batch=1, channels=1, m=1, height=9, width=9, padding_mode="zeros", scale=0)
    inputs, expected = posed(replace(case, prior=None))
    total = torch.zeros_like(inputs.grad)
    for tap in shifted(inputs.value, case.options):
        total = total + tap / 49
    results = {**expected.plain, "output": as_array(total)}
    assert set(violations(results, expected.plain, expected.reference, case.torch_dtype)) == {"output"}
