"""The article's layer with its faults repaired gives the numbers of `LocalRelation2d` with its conventions.

Repaired: m reaches the key and query maps; the query is the map itself at window centres, not the middle of
an unfolded one; windows are (C, k²) by position and the softmax runs over all k²; the position is a fixed
grid in a buffer; the hidden layer has at least one channel. Kept: zeros around the image take part in the
softmax, channels c and c + G share weights, every convolution has a bias.
"""

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from kernels import LocalRelation2d
from tests.support.cases import DEVICE

WEIGHTS = {
    "key": "key_map",
    "query": "query_map",
    "output": "final",
    "prior.expand": "position_to_hidden",
    "prior.project": "hidden_to_group",
}


class ArticleLayer(nn.Module):
    """Key and query maps, unfolded windows, a prior network over a grid, and a last 1×1 convolution."""

    grid: Tensor

    def __init__(self, channels: int, k: int, stride: int, m: int) -> None:
        super().__init__()
        self.k, self.stride, self.m, self.groups = k, stride, m, channels // m
        hidden = max(1, self.groups // 2)
        self.key_map = nn.Conv2d(channels, self.groups, 1)
        self.query_map = nn.Conv2d(channels, self.groups, 1)
        self.position_to_hidden = nn.Conv2d(2, hidden, 1)
        self.hidden_to_group = nn.Conv2d(hidden, self.groups, 1)
        self.final = nn.Conv2d(channels, channels, 1)
        self.register_buffer("grid", torch.zeros(1, 2, k, k))

    def forward(self, x: Tensor) -> Tensor:
        keys = self.windows(self.key_map(x))  # (N, G, k², L)
        query = self.query_map(x)[:, :, :: self.stride, :: self.stride]
        prior = self.hidden_to_group(self.position_to_hidden(self.grid).relu()).flatten(2)[..., None]
        weights = (query.flatten(2)[:, :, None] * keys + prior).softmax(dim=2)
        windows = self.windows(x)
        features = windows.reshape(len(x), self.m, self.groups, *windows.shape[2:])  # (N, m, G, k², L)
        summed = (weights[:, None] * features).sum(dim=3)
        output: Tensor = self.final(summed.reshape(*x.shape[:2], *query.shape[2:]))
        return output

    def windows(self, maps: Tensor) -> Tensor:
        """(N, C, H, W) → (N, C, k², L)."""
        unfolded = F.unfold(maps, self.k, padding=self.k // 2, stride=self.stride)
        return unfolded.reshape(*maps.shape[:2], self.k**2, -1)


def pair(implementation: str, *, channels: int, k: int, stride: int, m: int) -> tuple[LocalRelation2d, ArticleLayer]:
    """Our layer in float64 with the article's conventions, and the article's with our weights."""
    ours = LocalRelation2d(
        channels,
        k,
        m=m,
        stride=stride,
        padding_mode="zeros",
        channel_order="strided",
        bias=True,
        implementation=implementation,
    ).to(DEVICE, torch.float64)
    theirs = ArticleLayer(channels, k, stride, m).to(DEVICE, torch.float64)
    assert isinstance(ours.prior, nn.Module)
    theirs.grid.copy_(ours.prior.get_buffer("position"))
    with torch.no_grad():
        for our_name, their_name in WEIGHTS.items():
            source, target = ours.get_submodule(our_name), theirs.get_submodule(their_name)
            for name, parameter in source.named_parameters():
                target.get_parameter(name).copy_(parameter)
    return ours, theirs


@pytest.mark.parametrize("implementation", ["unfold", "chunked"])
@pytest.mark.parametrize(
    ("sizes", "shape"),
    [
        ({"channels": 64, "k": 7, "stride": 1, "m": 8}, (9, 8)),
        ({"channels": 16, "k": 3, "stride": 2, "m": 4}, (8, 9)),
        ({"channels": 8, "k": 5, "stride": 3, "m": 8}, (11, 7)),
        ({"channels": 6, "k": 3, "stride": 1, "m": 1}, (2, 5)),
    ],
    ids=["the article's", "stride 2", "one group, stride 3", "m = 1"],
)
def test_same_numbers(implementation: str, sizes: dict[str, int], shape: tuple[int, int]) -> None:
    torch.manual_seed(0)
    ours, theirs = pair(implementation, **sizes)
    x = torch.randn(2, sizes["channels"], *shape, device=DEVICE, dtype=torch.float64)
    grads, outputs = [], []
    for layer in (ours, theirs):
        image = x.clone().requires_grad_()
        output = layer(image)
        output.square().sum().backward()
        outputs.append(output.detach())
        grads.append(image.grad)
    torch.testing.assert_close(outputs[0], outputs[1])
    torch.testing.assert_close(grads[0], grads[1])
    for our_name, their_name in WEIGHTS.items():
        our_grad = ours.get_submodule(our_name).get_parameter("weight").grad
        torch.testing.assert_close(our_grad, theirs.get_submodule(their_name).get_parameter("weight").grad)
