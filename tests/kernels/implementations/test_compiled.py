"""`compiled`, truly compiled: seconds a case, so a few that cover much."""

import pytest
import torch

from tests.support.cases import Case, draw, run, take

pytestmark = [
    pytest.mark.compiles,
    pytest.mark.slow,
    # Tracing an autograd.Function, torch itself makes an instance of it.
    pytest.mark.filterwarnings("ignore:.*should not be instantiated:DeprecationWarning"),
]

CASES = {
    "float32": Case(batch=1, channels=5, m=2),
    "bfloat16, channels last, stride 2, zeros": Case(
        dtype="bfloat16",
        layout="channels_last",
        stride=2,
        padding_mode="zeros",
        composability="squared_difference",
    ),
    "kernel 4, dilation 2, strided, no prior": Case(
        batch=1,
        height=9,
        kernel_size=4,
        padding=2,
        dilation=2,
        channel_order="strided",
        composability="absolute_difference",
        prior=None,
    ),
}


@pytest.mark.parametrize("case", CASES.values(), ids=CASES.keys())
def test_output_and_gradients(case: Case) -> None:
    inputs, expected = take("compiled", case)
    first = run("compiled", inputs, case)
    assert expected.violations(first) == {}
    again = run("compiled", draw(case), case)
    assert {name for name in first if not torch.equal(first[name], again[name])} == set()
