"""Spatial convolutions swapped for local relation layers: which, for what, with what left, and never by halves."""

from collections import OrderedDict
from collections.abc import Callable
from dataclasses import FrozenInstanceError
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from kernels import LocalRelation2d, replace_spatial_convs
from tests.support.cases import DEVICE


class Block(nn.Module):
    """Two 3×3 convolutions with a shortcut, named as in torchvision."""

    def __init__(self, channels_in: int, channels: int, stride: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(channels_in, channels, 3, stride, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(channels)
        self.conv2 = nn.Conv2d(channels, channels, 3, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(channels)
        self.downsample = nn.Conv2d(channels_in, channels, 1, stride) if stride > 1 else nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        y = self.bn2(self.conv2(self.bn1(self.conv1(x)).relu()))
        return (y + self.downsample(x)).relu()  # type: ignore[no-any-return]


def small_net() -> nn.Module:
    """Looks like torchvision's ResNet-18."""
    stages = OrderedDict(
        conv1=nn.Conv2d(3, 8, 7, 2, 3, bias=False),
        maxpool=nn.MaxPool2d(3, 2, 1),
        layer1=nn.Sequential(Block(8, 8, 1), Block(8, 8, 1)),
        layer2=nn.Sequential(Block(8, 16, 2), Block(16, 16, 1)),
        pool=nn.AdaptiveAvgPool2d(1),
        flatten=nn.Flatten(),
        fc=nn.Linear(16, 10),
    )
    return nn.Sequential(stages)


def of(package: str, name: str) -> Callable[[], nn.Module]:
    """A network of a package that has it by name; the test is skipped where the package is not installed."""

    def build() -> nn.Module:
        module = pytest.importorskip(package)
        network = getattr(module, name)() if hasattr(module, name) else module.create_model(name)
        assert isinstance(network, nn.Module)
        return network

    return build


NETWORKS: dict[str, tuple[Callable[[], nn.Module], int]] = {
    "a small one": (small_net, 7),
    "ours": (of("kernels", "resnet_26"), 8),
    "torchvision's resnet18": (of("torchvision.models", "resnet18"), 13),
    "torchvision's resnet50": (of("torchvision.models", "resnet50"), 16),
    "timm's resnet26": (of("timm", "resnet26"), 8),
}
every_network = pytest.mark.parametrize(("build", "count"), NETWORKS.values(), ids=NETWORKS)


def shapes(model: nn.Module, names: list[str], x: Tensor) -> dict[str, tuple[int, ...]]:
    """Shapes that the named modules give."""
    found: dict[str, tuple[int, ...]] = {}

    def keep(name: str) -> Callable[..., None]:
        return lambda _module, _inputs, output: found.update({name: tuple(output.shape)})

    handles = [model.get_submodule(name).register_forward_hook(keep(name)) for name in names]
    model(x)
    for handle in handles:
        handle.remove()
    return found


@every_network
def test_networks(build: Callable[[], nn.Module], count: int) -> None:
    """Every spatial convolution C → C becomes a layer that learns and gives an output of its size."""
    torch.manual_seed(0)
    model, x = build().to(DEVICE), torch.randn(2, 3, 65, 47, device=DEVICE)
    convs = {name: module for name, module in model.named_modules() if isinstance(module, nn.Conv2d)}
    spatial = [name for name, one in convs.items() if one.kernel_size > (1, 1) and one.in_channels == one.out_channels]
    before = shapes(model, spatial, x)
    record = replace_spatial_convs(model, m=4, implementation="unfold")
    assert list(record.replaced) == spatial
    assert len(spatial) == count
    assert record.left.keys() == convs.keys() - spatial
    assert shapes(model, spatial, x) == before
    model(x).square().sum().backward()
    for name in spatial:
        layer = model.get_submodule(name)
        assert isinstance(layer, LocalRelation2d)
        assert (layer.channels, layer.options["stride"]) == (convs[name].in_channels, convs[name].stride[0])
        assert all(parameter.grad is not None and parameter.grad.isfinite().all() for parameter in layer.parameters())


def test_the_record() -> None:
    model = small_net()
    record = replace_spatial_convs(model)
    conv = "Conv2d({0}, {0}, kernel_size=(3, 3), stride=(1, 1), padding=(1, 1), bias=False)"
    names = ("layer1.0.conv1", "layer1.0.conv2", "layer1.1.conv1", "layer1.1.conv2")
    assert record.replaced == {
        **dict.fromkeys(names, conv.format(8)),
        **dict.fromkeys(("layer2.0.conv2", "layer2.1.conv1", "layer2.1.conv2"), conv.format(16)),
    }
    assert record.left == {
        "conv1": "in and out channels differ (3 → 8)",
        "layer2.0.conv1": "in and out channels differ (8 → 16)",
        "layer2.0.downsample": "1×1",
    }
    lines = str(record).splitlines()
    assert (lines[0], lines[8]) == ("replaced 7:", "left 3:")
    assert lines[9:] == [f"  {name}: {reason}" for name, reason in record.left.items()]
    with pytest.raises(FrozenInstanceError):
        record.left = {}  # type: ignore[misc]


CONVS: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "3×3": ({"kernel_size": 3, "padding": 1}, {}),
    "stride 2": ({"kernel_size": 5, "padding": 2, "stride": 2}, {"stride": 2}),
    "dilated": ({"kernel_size": 3, "padding": 2, "dilation": 2}, {"dilation": 2}),
    "same": ({"kernel_size": 4, "padding": "same"}, {}),
    "without bias": ({"kernel_size": 3, "padding": 1, "bias": False}, {"bias": False}),
}
OPTIONS: dict[str, dict[str, Any]] = {
    "defaults": {},
    "table": {"kernel_size": 3, "m": 5, "prior": "table", "bias": False, "channel_order": "strided"},
    "hidden": {"prior_hidden": 9, "composability": "squared_difference", "padding_mode": "zeros"},
}


@pytest.mark.filterwarnings("ignore:Using padding='same' with even kernel:UserWarning")
@pytest.mark.parametrize("size", [(9, 8), (12, 7)])
@pytest.mark.parametrize("options", OPTIONS.values(), ids=OPTIONS)
@pytest.mark.parametrize(("conv", "kept"), CONVS.values(), ids=CONVS)
def test_a_layer_is_what_one_would_write(
    conv: dict[str, Any], kept: dict[str, Any], options: dict[str, Any], size: tuple[int, int]
) -> None:
    """Of the convolution's stride, dilation, bias and output size, with the options that are asked for."""
    x = torch.randn(2, 6, *size, device=DEVICE)
    model = nn.Sequential(nn.Conv2d(6, 6, **conv)).to(DEVICE)
    shape = model(x).shape
    replace_spatial_convs(model, implementation="unfold", **options)
    by_hand = LocalRelation2d(6, **{"bias": True, **kept, **options}, implementation="unfold").to(DEVICE)
    by_hand.load_state_dict(model[0].state_dict())
    assert model[0].extra_repr() == by_hand.extra_repr()
    assert torch.equal(model(x), by_hand(x))
    assert model(x).shape == shape


def hooked() -> nn.Conv2d:
    conv = nn.Conv2d(8, 8, 3, padding=1)
    conv.register_forward_hook(lambda *_: None)
    return conv


def normed() -> nn.Module:
    conv = nn.Conv2d(8, 8, 3, padding=1)
    nn.utils.parametrizations.weight_norm(conv)
    return conv


class Standardised(nn.Conv2d):
    """Computes something else than its base class."""

    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x - x.mean())


LEFT: dict[str, tuple[Callable[[], nn.Module], str]] = {
    "1×1": (lambda: nn.Conv2d(8, 8, 1), "1×1"),
    "1×1, stride 2": (lambda: nn.Conv2d(8, 16, 1, 2), "1×1"),
    "channels": (lambda: nn.Conv2d(3, 64, 3, padding=1), "in and out channels differ (3 → 64)"),
    "grouped": (lambda: nn.Conv2d(64, 64, 3, padding=1, groups=32), "grouped (32)"),
    "row": (
        lambda: nn.Conv2d(8, 8, (1, 7), padding=(0, 3)),
        "rows unlike columns (kernel (1, 7), stride (1, 1), dilation (1, 1))",
    ),
    "stride": (
        lambda: nn.Conv2d(8, 8, 3, (2, 1), 1),
        "rows unlike columns (kernel (3, 3), stride (2, 1), dilation (1, 1))",
    ),
    "dilation": (
        lambda: nn.Conv2d(8, 8, 3, padding=(1, 2), dilation=(1, 2)),
        "rows unlike columns (kernel (3, 3), stride (1, 1), dilation (1, 2))",
    ),
    "reflect": (lambda: nn.Conv2d(8, 8, 3, padding=1, padding_mode="reflect"), "padding mode 'reflect'"),
    "valid": (
        lambda: nn.Conv2d(8, 8, 3, padding="valid"),
        "padding valid is not dilation·(kernel − 1)/2: the output's size would change",
    ),
    "even": (
        lambda: nn.Conv2d(8, 8, 4, 2, 1),
        "padding (1, 1) is not dilation·(kernel − 1)/2: the output's size would change",
    ),
    "complex": (lambda: nn.Conv2d(8, 8, 3, padding=1, dtype=torch.complex64), "torch.complex64"),
    "hooked": (hooked, "has hooks, which would be lost"),
    "parametrized": (normed, "has a parametrization, which would be lost"),
    "subclass": (lambda: Standardised(8, 8, 3, padding=1), "Standardised is another operation than Conv2d"),
    "lazy": (lambda: nn.LazyConv2d(8, 3, padding=1), "channels unknown before the first input"),
    "1d": (lambda: nn.Conv1d(8, 8, 3, padding=1), "Conv1d is another operation than Conv2d"),
    "transposed": (lambda: nn.ConvTranspose2d(8, 8, 3, padding=1), "ConvTranspose2d is another operation than Conv2d"),
}


@pytest.mark.parametrize(("build", "reason"), LEFT.values(), ids=LEFT)
def test_what_is_left(build: Callable[[], nn.Module], reason: str) -> None:
    left = build()
    model = nn.ModuleDict({"left": left, "other": nn.Conv2d(8, 8, 3, padding=1)})
    record = replace_spatial_convs(model)
    assert record.left == {"left": reason}
    assert list(record.replaced) == ["other"]
    assert model["left"] is left
