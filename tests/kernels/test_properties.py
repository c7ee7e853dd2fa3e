"""What must hold of every implementation, whatever the numbers."""

from dataclasses import replace

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from kernels import local_relation
from tests.support.cases import DEVICE, Case, Inputs, draw, every_implementation, expected_of, run, take

WINDOWS = {
    "kernel 3": Case(batch=1),
    "kernel 5, stride 2": Case(batch=1, kernel_size=5, stride=2),
    "dilation 2": Case(batch=1, dilation=2),
    "larger than the image": Case(batch=1, kernel_size=7, height=3, width=4),
}
every_window = pytest.mark.parametrize("case", WINDOWS.values(), ids=WINDOWS.keys())


def relation(implementation: str, case: Case, *operands: Tensor | None) -> Tensor:
    query, key, value, prior = operands
    assert query is not None
    assert key is not None
    assert value is not None
    return local_relation(query, key, value, prior, implementation=implementation, **case.keywords)


@every_implementation
@every_window
def test_weights_sum_to_one(implementation: str, case: Case) -> None:
    """Also at the border, where neighbours are missing: the average of an image of ones is one."""
    inputs, _ = take(implementation, case, backward=False)
    output = relation(implementation, case, inputs.query, inputs.key, torch.ones_like(inputs.value), inputs.prior)
    tolerance = case.kernel_size**2 * torch.finfo(torch.float32).eps
    torch.testing.assert_close(output, torch.ones_like(output), rtol=0, atol=tolerance)


@every_implementation
@every_window
def test_constant_image_stays_constant(implementation: str, case: Case) -> None:
    inputs, _ = take(implementation, case, backward=False)
    colour = torch.arange(1.0, case.channels + 1, device=DEVICE).reshape(1, -1, 1, 1)
    value = colour.expand(inputs.value.shape)
    output = relation(implementation, case, inputs.query, inputs.key, value, inputs.prior)
    tolerance = case.kernel_size**2 * torch.finfo(torch.float32).eps
    torch.testing.assert_close(output, colour.expand(output.shape), rtol=tolerance, atol=0)


@every_implementation
def test_zeros_lose_weight_at_the_border(implementation: str) -> None:
    """With equal logits a corner keeps 4 of 9 parts, an edge 6, the inside all."""
    case = Case(batch=1, channels=1, m=1, height=3, width=3, padding_mode="zeros", prior=None)
    take(implementation, case, backward=False)
    zeros, ones = torch.zeros(1, 1, 3, 3, device=DEVICE), torch.ones(1, 1, 3, 3, device=DEVICE)
    output = relation(implementation, case, zeros, zeros, ones, None)
    parts = torch.tensor([[4.0, 6, 4], [6, 9, 6], [4, 6, 4]], device=DEVICE) / 9
    torch.testing.assert_close(output[0, 0], parts)


@every_implementation
@pytest.mark.parametrize("stride", [1, 2])
def test_equal_logits_are_average_pooling(implementation: str, stride: int) -> None:
    case = Case(batch=1, kernel_size=5, stride=stride)
    inputs, _ = take(implementation, case, backward=False)
    zeros = [torch.zeros_like(x) for x in (inputs.query, inputs.key, inputs.prior) if x is not None]
    output = relation(implementation, case, zeros[0], zeros[1], inputs.value, zeros[2])
    pooled = F.avg_pool2d(inputs.value, 5, stride, 2, count_include_pad=False)
    torch.testing.assert_close(output, pooled)


@every_implementation
@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_channel_orders_are_permutations(implementation: str, dtype: str) -> None:
    """`strided` on channels (g, a) laid out as (a, g) is `consecutive`: held against the latter's oracle."""
    case = Case(channels=6, m=2, dtype=dtype)
    inputs, expected = take(implementation, case)

    def to_strided(x: Tensor) -> Tensor:
        return x.reshape(2, 3, 2, *x.shape[2:]).transpose(1, 2).flatten(1, 2)

    permuted = replace(inputs, value=to_strided(inputs.value), grad=to_strided(inputs.grad))
    actual = run(implementation, permuted, replace(case, channel_order="strided"))
    for name in ("output", "value"):
        shape = actual[name].shape
        actual[name] = actual[name].reshape(2, 2, 3, *shape[2:]).transpose(1, 2).flatten(1, 2)
    assert expected.violations(actual) == {}


@every_implementation
def test_squared_difference_is_multiplication_with_shifted_logits(implementation: str) -> None:
    """−(q − k)² = 2q·k − k² − q², and q² cancels; in a single window −k² can stand in the prior."""
    case = Case(batch=1, height=3, width=3, padding=0, composability="squared_difference")
    inputs, _ = take(implementation, case)
    assert inputs.prior is not None
    equal = Inputs(
        query=2 * inputs.query,
        key=inputs.key,
        value=inputs.value,
        prior=inputs.prior - inputs.key[0].square(),
        grad=inputs.grad,
    )
    multiplied = replace(case, composability="multiplication")
    expected = expected_of(equal, multiplied.options)
    actual = run(implementation, inputs, case)
    # Query and key have other derivatives there, through 2q and −k²; the rest must agree.
    reference = replace(
        expected.reference,
        values={name: expected.reference.values[name] for name in ("output", "value", "prior")},
    )
    assert replace(expected, reference=reference).violations(actual) == {}


@every_implementation
@pytest.mark.parametrize(
    "case",
    [
        Case(batch=3, channels=10, m=3, height=9, width=8, stride=2),
        Case(channels=8, m=4, height=9, width=7, dtype="bfloat16", layout="channels_last"),
    ],
    ids=["float32", "bfloat16 channels last"],
)
def test_two_runs_are_bitwise_equal(implementation: str, case: Case) -> None:
    if implementation == "flex" and DEVICE.type == "cuda":
        pytest.skip("FlexAttention sums the prior's gradient in any order on a GPU")
    take(implementation, case)
    first, second = (run(implementation, draw(case), case) for _ in range(2))
    assert {name for name in first if not torch.equal(first[name], second[name])} == set()


@every_implementation
def test_inputs_are_left_alone(implementation: str) -> None:
    case = Case(layout="channels_last")
    take(implementation, case)
    inputs, untouched = draw(case), draw(case)
    run(implementation, inputs, case)
    for x, y in zip((*inputs.operands, inputs.grad), (*untouched.operands, untouched.grad), strict=True):
        assert x is not None
        assert y is not None
        assert torch.equal(x, y)


@every_implementation
def test_no_gradient_is_recorded_where_none_is_asked(implementation: str) -> None:
    case = Case()
    inputs, _ = take(implementation, case)
    leaves = [None if x is None else x.clone().requires_grad_() for x in inputs.operands]
    with torch.no_grad():
        output = relation(implementation, case, *leaves)
    assert not output.requires_grad
    assert torch.equal(output, run(implementation, inputs, case)["output"])
