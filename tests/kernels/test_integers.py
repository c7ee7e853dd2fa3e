"""Integers of numpy are taken where ints are, and are ints from there on."""

from dataclasses import astuple
from typing import Any

import numpy as np
import pytest
import torch

from kernels import (
    LocalRelation2d,
    Problem,
    Stage,
    local_relation,
    replace_spatial_convs,
    resolve_padding,
    spatial_conv,
)
from tests.support.cases import Case, draw, every_implementation, refusal

SIZES: dict[str, Any] = {
    "batch": 1,
    "channels": 6,
    "height": 5,
    "width": 4,
    "kernel_size": 3,
    "m": 2,
    "stride": 2,
    "dilation": 1,
}
every_integer = pytest.mark.parametrize("integer", [np.int64, np.int32, np.uint8], ids=lambda one: one.__name__)


@every_integer
def test_a_problem_of_them_is_one_of_ints(integer: type) -> None:
    problem = Problem(**{name: integer(size) for name, size in SIZES.items()}, padding=integer(1))
    assert problem == Problem(**SIZES, padding=1)
    assert hash(problem) == hash(Problem(**SIZES, padding=1))
    assert {type(value) for value in astuple(problem)} == {int, str, bool}


@every_implementation
def test_the_operator_takes_them(implementation: str) -> None:
    case = Case(batch=1, channels=4, height=3, width=2)
    inputs = draw(case)
    if reason := refusal(implementation, inputs, case, backward=False):
        pytest.skip(reason)
    options: dict[str, Any] = {
        name: np.int64(value) if isinstance(value, int) else value for name, value in case.keywords.items()
    }
    with torch.no_grad():
        found = local_relation(*inputs.operands, implementation=implementation, **options)
        expected = local_relation(*inputs.operands, implementation=implementation, **case.keywords)
    assert torch.equal(found, expected)


@every_integer
def test_layers_take_them(integer: type) -> None:
    layer = LocalRelation2d(integer(6), integer(3), m=integer(2), stride=integer(2), prior_hidden=integer(4))
    assert repr(layer) == repr(LocalRelation2d(6, 3, m=2, stride=2, prior_hidden=4))
    assert layer(torch.zeros(1, 6, 5, 4)).shape == (1, 6, 3, 2)
    assert type(Stage(integer(1), integer(4), integer(8)).channels) is int
    model = torch.nn.Sequential(torch.nn.Conv2d(4, 4, 3, padding=1))
    replace_spatial_convs(model, integer(3), m=integer(2))
    assert model(torch.zeros(1, 4, 5, 5)).shape == (1, 4, 5, 5)
    assert spatial_conv(8, kernel_size=integer(3)).kernel_size == (3, 3)
    assert resolve_padding("same", integer(5), integer(2)) == 4


@pytest.mark.parametrize("value", [np.bool_(True), np.float64(3), torch.tensor(3), np.array(3)], ids=repr)
def test_what_only_looks_like_one_is_refused(value: object) -> None:
    with pytest.raises(TypeError, match="kernel_size must be an int"):
        Problem(**{**SIZES, "kernel_size": value})
