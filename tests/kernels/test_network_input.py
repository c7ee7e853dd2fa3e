"""Networks: options, dtype, device and copies, and what they refuse before any work."""

import copy
import pickle
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import nn

from kernels import (
    NETWORKS,
    BottleneckNet,
    LocalRelation2d,
    Stage,
    build_network,
    convolution_stem,
    lr_net,
    lr_net_26,
    pointwise_stem,
    resnet,
    resnet_26,
    spatial_conv,
)
from tests.support.cases import DEVICE

DIGITS = Stage(1, 6, 12), Stage(1, 6, 12, stride=2)


def digits() -> BottleneckNet:
    """A network for images of one channel, which its stages halve once."""
    return BottleneckNet(pointwise_stem(1, 8), DIGITS, spatial_conv, classes=3).to(DEVICE)


@pytest.mark.parametrize("name", NETWORKS)
def test_every_name_builds_its_network(name: str) -> None:
    network = build_network(name, 11, in_channels=2, device="meta", dtype=torch.bfloat16)
    family, depth = name.rsplit("_", 1)
    again = {"lr_net": lr_net, "resnet": resnet}[family](int(depth), 11, in_channels=2, device="meta")
    shapes = {key: value.shape for key, value in network.state_dict().items()}
    assert shapes == {key: value.shape for key, value in again.state_dict().items()}
    assert {(p.device.type, p.dtype) for p in network.parameters()} == {("meta", torch.bfloat16)}
    convolutions = [module for module in network.modules() if isinstance(module, nn.Conv2d)]
    assert convolutions[0].in_channels == 2
    assert network.classifier.out_features == 11
    spatial = (LocalRelation2d,) if family == "lr_net" else (nn.Conv2d,)
    blocks = [block for stage in network.stages.children() for block in stage.children()]
    assert 3 * len(blocks) + 2 == int(depth)
    assert all(isinstance(block.get_submodule("spatial"), spatial) for block in blocks)


def test_options_reach_every_layer() -> None:
    options: dict[str, Any] = {
        "kernel_size": 5,
        "m": 4,
        "dilation": 2,
        "composability": "squared_difference",
        "padding_mode": "zeros",
        "channel_order": "strided",
    }
    network = build_network("lr_net_26", prior="none", implementation="unfold", bias=True, device="meta", **options)
    layers = [module for module in network.modules() if isinstance(module, LocalRelation2d)]
    assert len(layers) == 9
    for layer in layers:
        assert {name: layer.options[name] for name in options} == options
        assert (layer.prior, layer.implementation) == (None, "unfold")
        assert layer.output.bias is not None


def test_copies_and_state() -> None:
    network = digits().eval()
    x = torch.randn(2, 1, 8, 8, device=DEVICE)
    other = digits().eval()
    nn.init.normal_(other.classifier.weight)
    assert not torch.equal(other(x), network(x))
    other.load_state_dict(network.state_dict())
    for one in (other, copy.deepcopy(network), pickle.loads(pickle.dumps(network))):  # noqa: S301
        assert torch.equal(one(x), network(x))


def test_formats_and_empty_batches() -> None:
    network = digits().eval().to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    x = torch.randn(2, 1, 9, 8, device=DEVICE)
    torch.testing.assert_close(network(x.contiguous(memory_format=torch.channels_last)), network(x))
    assert network(x[:0]).shape == (0, 3)


BUILDS: dict[str, tuple[Callable[[], object], type[Exception], str]] = {
    "depth": (lambda: lr_net(34), ValueError, "depth must be one of 26, 50, 101, got 34"),
    "depth of a ResNet": (lambda: resnet(18), ValueError, "depth must be one of 26, 50, 101, got 18"),
    "name": (lambda: build_network("lr_net_34"), ValueError, "network must be one of lr_net_26, .*, got 'lr_net_34'"),
    "classes": (lambda: lr_net_26(0), ValueError, "classes must be at least 1, got 0"),
    "classes as a float": (lambda: resnet_26(10.0), TypeError, "classes must be an int, got 10.0"),  # type: ignore[arg-type]
    "in_channels": (lambda: lr_net_26(in_channels=0), ValueError, "in_channels must be at least 1, got 0"),
    "m": (lambda: lr_net_26(m=0), ValueError, "m must be at least 1, got 0"),
    "even window": (lambda: lr_net_26(kernel_size=4), ValueError, "needs an odd kernel_size, got 4"),
    "even convolution": (lambda: spatial_conv(8, 4), ValueError, "kernel_size must be odd, got 4"),
    "prior": (lambda: lr_net_26(prior="learned"), ValueError, "prior must be one of .*, got 'learned'"),
    "implementation": (lambda: lr_net_26(implementation="cuda"), ValueError, "implementation must be .*, got 'cuda'"),
    "the layer's stride": (lambda: build_network("lr_net_26", stride=2), TypeError, "lr_net takes .*, got stride"),
    "an option of the other kind": (lambda: build_network("resnet_26", m=8), TypeError, "'m'"),
    "blocks": (lambda: Stage(0, 8, 8), ValueError, "blocks must be at least 1, got 0"),
    "no stages": (
        lambda: BottleneckNet(convolution_stem(3, 8), [], spatial_conv),
        ValueError,
        "stages must hold at least one Stage, got none",
    ),
}


@pytest.mark.parametrize(("build", "error", "message"), BUILDS.values(), ids=BUILDS.keys())
def test_what_cannot_be_built(build: Callable[[], object], error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        build()


INPUTS: dict[str, tuple[tuple[int, ...], str]] = {
    "too low": ((2, 3, 31, 64), r"at least 32×32 pixels, .*, got 31×64"),
    "too narrow": ((2, 3, 64, 1), r"at least 32×32 pixels, .*, got 64×1"),
    "another number of channels": ((2, 1, 64, 64), r"\(N, 3, H, W\), got \(2, 1, 64, 64\)"),
    "no batch": ((3, 64, 64), r"\(N, 3, H, W\), got \(3, 64, 64\)"),
    "one value to normalise": ((1, 3, 32, 32), r"at least 2 values of a channel, got 1 in the last stage"),
    "none to normalise": ((0, 3, 64, 64), r"at least 2 values of a channel, got 0 in the last stage"),
}


@pytest.mark.parametrize("name", ["lr_net_26", "resnet_26"])
@pytest.mark.parametrize(("shape", "message"), INPUTS.values(), ids=INPUTS.keys())
def test_images_that_do_not_fit(name: str, shape: tuple[int, ...], message: str) -> None:
    """Refused before any work: on the meta device a layer would fail in another way."""
    network = build_network(name, 10, device="meta")
    statistics = [buffer._version for buffer in network.buffers()]
    with pytest.raises(ValueError, match=message):
        network(torch.empty(shape, device="meta"))
    assert [buffer._version for buffer in network.buffers()] == statistics


def test_the_least_image_of_a_small_network() -> None:
    network = digits()
    assert network(torch.randn(3, 1, 2, 2, device=DEVICE)).shape == (3, 3)
    assert network.eval()(torch.randn(1, 1, 2, 3, device=DEVICE)).shape == (1, 3)
    with pytest.raises(ValueError, match="at least 2×2 pixels, which the last stage sees as one, got 1×8"):
        network(torch.randn(3, 1, 1, 8, device=DEVICE))
