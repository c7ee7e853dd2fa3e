"""The oracle itself: windows worked out by hand, gradients against differences, plain PyTorch beside it."""

from dataclasses import replace

import numpy as np
import pytest

from tests.support.cases import Case, Inputs, as_array, as_arrays, differentiated, draw, posed
from tests.support.oracle import QUANTITIES, Array, Options, local_relation
from tests.support.plain import local_relation as plain_relation
from tests.support.tolerances import largest

BASE = Options(
    kernel_size=3,
    m=1,
    stride=1,
    padding=1,
    dilation=1,
    composability="multiplication",
    padding_mode="mask",
    channel_order="consecutive",
)
ROW: Array = np.array([1.0, 2.0, 4.0]).reshape(1, 1, 1, 3)
NOTHING: Array = np.zeros((1, 1, 1, 3))


@pytest.mark.parametrize(
    ("options", "output"),
    [
        (BASE, [3 / 2, 7 / 3, 6 / 2]),
        (replace(BASE, padding_mode="zeros"), [3 / 9, 7 / 9, 6 / 9]),
        (replace(BASE, stride=2), [3 / 2, 6 / 2]),
        (replace(BASE, dilation=2, padding=2), [5 / 2, 2, 5 / 2]),
        (replace(BASE, kernel_size=1, padding=0), [1, 2, 4]),
        (replace(BASE, kernel_size=2, padding=0), []),
    ],
    ids=["mask", "zeros", "stride", "dilation", "kernel 1", "kernel 2"],
)
def test_equal_logits_average_the_window(options: Options, output: list[float]) -> None:
    query = np.zeros((1, 1, 1 if output else 0, len(output)))
    result = local_relation((query, NOTHING, ROW, None), np.zeros(query.shape), options)
    np.testing.assert_allclose(result.values["output"].ravel(), output, rtol=1e-15)


def test_logits_are_phi_plus_prior() -> None:
    keys = np.log([1.0, 2.0, 4.0]).reshape(1, 1, 1, 3)
    prior = np.zeros((1, 3, 3))
    prior[0, 1] = np.log([8.0, 1.0, 3.0])
    query = np.ones((1, 1, 1, 3))
    result = local_relation((query, keys, ROW, prior), query, BASE)
    first, middle, last = result.values["output"].ravel()
    np.testing.assert_allclose(first, (1 * 1 + 6 * 2) / 7)
    np.testing.assert_allclose(middle, (8 * 1 + 2 * 2 + 12 * 4) / 22)
    np.testing.assert_allclose(last, (16 * 2 + 4 * 4) / 20)


@pytest.mark.parametrize(
    ("channel_order", "output"),
    [("consecutive", [10, 10, 10, 15, 15]), ("strided", [10, 15, 10, 15, 10])],
)
def test_channels_belong_to_groups(channel_order: str, output: list[float]) -> None:
    """The first of two groups sees the pixel of 10 alone, the second averages it with that of 20."""
    value = np.array([10.0, 20.0]).reshape(1, 1, 1, 2).repeat(5, axis=1)
    query, key = np.ones((1, 2, 1, 2)), np.zeros((1, 2, 1, 2))
    key[0, 0, 0, 1] = -1e9
    result = local_relation((query, key, value, None), value, replace(BASE, m=3, channel_order=channel_order))
    np.testing.assert_allclose(result.values["output"][0, :, 0, 0], output)


@pytest.mark.parametrize("composability", ["multiplication", "squared_difference", "absolute_difference"])
@pytest.mark.parametrize("padding_mode", ["mask", "zeros"])
def test_gradients_are_the_slopes_of_the_output(composability: str, padding_mode: str) -> None:
    """Along a random direction, the central difference of Σ grad·output is what the gradients give."""
    case = Case(
        channels=5,
        height=5,
        width=4,
        stride=2,
        dtype="float64",
        composability=composability,
        padding_mode=padding_mode,
        channel_order="strided",
    )
    inputs = draw(case)
    grad, step, rng = as_array(inputs.grad), 1e-6, np.random.default_rng(0)
    query, key, value, prior = inputs.arrays
    assert prior is not None
    operands = query, key, value, prior
    gradients = local_relation(operands, grad, case.options).values
    for place, name in enumerate(QUANTITIES[1:]):
        direction = rng.standard_normal(operands[place].shape)
        sums = []
        for sign in (1, -1):
            moved = list(operands)
            moved[place] = operands[place] + sign * step * direction
            output = local_relation((moved[0], moved[1], moved[2], moved[3]), grad, case.options)
            sums.append((output.values["output"] * grad).sum())
        slope = (sums[0] - sums[1]) / (2 * step)
        np.testing.assert_allclose((gradients[name] * direction).sum(), slope, rtol=1e-6, atol=1e-8, err_msg=name)


@pytest.mark.parametrize("dtype", ["float64", "float32", "bfloat16"])
def test_plain_pytorch_is_as_exact_as_its_dtype(dtype: str) -> None:
    """The yardstick's own error is a few roundings: a wrong yardstick would excuse wrong implementations."""
    _, expected = posed(Case(dtype=dtype, channels=5, m=2, stride=2, channel_order="strided"))
    unit = {"float64": 2**-52, "float32": 2**-23, "bfloat16": 2**-8}[dtype]
    for name, value in expected.reference.values.items():
        error = largest(expected.plain[name] - value)
        assert error <= 4 * unit * largest(expected.reference.magnitudes[name]), name


def test_plain_pytorch_rounds_once() -> None:
    """In bfloat16 its results are those of float32 on the same numbers, rounded."""
    case = Case(dtype="bfloat16")
    inputs = draw(case)
    narrow = differentiated(lambda q, k, v, p: plain_relation(q, k, v, p, case.options), inputs)
    wide_inputs = Inputs(
        query=inputs.query.float(),
        key=inputs.key.float(),
        value=inputs.value.float(),
        prior=None if inputs.prior is None else inputs.prior.float(),
        grad=inputs.grad.float(),
    )
    wide = differentiated(lambda q, k, v, p: plain_relation(q, k, v, p, case.options), wide_inputs)
    rounded = {name: tensor.bfloat16() for name, tensor in wide.items()}
    for name, array in as_arrays(rounded).items():
        np.testing.assert_array_equal(as_array(narrow[name]), array, err_msg=name)
