"""A layer's 1×1 convolutions: two where key and query are of the same pixels, else three, by the same parameters."""

from typing import Any

import pytest
import torch
from torch.nn import functional as F

from kernels import LocalRelation2d
from tests.support.cases import DEVICE
from tests.support.launches import Launches

COUNTS: dict[str, tuple[dict[str, Any], int]] = {
    "stride 1": ({}, 2),
    "with biases": ({"bias": True}, 2),
    "dilated": ({"dilation": 2}, 2),
    "a table as prior": ({"prior": "table"}, 2),
    "stride 2": ({"stride": 2}, 3),
    "no padding": ({"padding": 0}, 3),
}
NAMES = [
    "key.weight",
    "output.weight",
    "prior.expand.bias",
    "prior.expand.weight",
    "prior.position",
    "prior.project.weight",
    "query.weight",
]


def build(**options: Any) -> LocalRelation2d:
    return LocalRelation2d(6, 3, m=2, implementation="unfold", **options).to(DEVICE)


@pytest.mark.parametrize("train", [True, False])
@pytest.mark.parametrize(("options", "count"), COUNTS.values(), ids=COUNTS)
def test_convolutions_of_a_call(options: dict[str, Any], count: int, train: bool) -> None:
    layer, x = build(**options).train(train), torch.randn(2, 6, 7, 8, device=DEVICE)
    with torch.set_grad_enabled(train), Launches() as counted:
        layer(x)
    assert sum(number for name, number in counted.counts.items() if "convolution" in name) == count


def test_a_hook_brings_the_convolutions_back() -> None:
    layer, x = build(), torch.randn(2, 6, 7, 8, device=DEVICE)
    expected, seen = layer(x), []
    layer.key.register_forward_hook(lambda _, __, output: seen.append(output.shape))
    with Launches() as counted:
        torch.testing.assert_close(layer(x), expected)
    assert seen == [(2, 3, 7, 8)]
    assert sum(number for name, number in counted.counts.items() if "convolution" in name) == 3


@pytest.mark.parametrize("stride", [1, 2])
def test_what_was_saved_before_is_loaded(stride: int) -> None:
    """The parameters have the names and shapes that they had with a convolution each."""
    layer = build(stride=stride)
    state = layer.state_dict()
    assert sorted(state) == NAMES
    assert state["key.weight"].shape == state["query.weight"].shape == (3, 6, 1, 1)
    saved = {name: torch.randn_like(tensor) for name, tensor in state.items()}
    layer.load_state_dict(saved)
    x = torch.randn(2, 6, 7, 8, device=DEVICE)
    key, query = layer._key_and_query(x, layer._problem(*x.shape))
    torch.testing.assert_close(key, F.conv2d(x, saved["key.weight"]))
    torch.testing.assert_close(query, F.conv2d(x, saved["query.weight"])[:, :, ::stride, ::stride])
