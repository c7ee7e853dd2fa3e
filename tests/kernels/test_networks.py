"""The networks against their wiring written out by hand, every implementation in them, and what they refuse."""

from collections.abc import Callable
from functools import lru_cache, partial

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from kernels import (
    IMPLEMENTATIONS,
    BottleneckNet,
    LocalRelation2d,
    Problem,
    Stage,
    Stem,
    build_network,
    convolution_stem,
    lr_net_26,
    lr_net_50,
    pointwise_stem,
    relation_stem,
    spatial_conv,
    unsupported,
)
from tests.support.cases import DEVICE

SPATIAL: dict[str, Callable[..., nn.Module]] = {
    "relation": partial(LocalRelation2d, kernel_size=3, m=4, implementation="unfold"),
    "convolution": spatial_conv,
}
STEMS: dict[str, Callable[[Callable[..., nn.Module]], Stem]] = {
    "relation": lambda spatial: relation_stem(2, 12, spatial),
    "convolution": lambda _: convolution_stem(2, 12),
    "pointwise": lambda _: pointwise_stem(2, 12),
}
STAGES = Stage(2, 6, 12), Stage(2, 10, 20, stride=2), Stage(1, 9, 14, stride=3)


def stirred(network: BottleneckNet) -> BottleneckNet:
    """The network with random normalisations, so that no block is its shortcut alone."""
    torch.manual_seed(2)
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            nn.init.normal_(module.weight, 1, 0.2)
            nn.init.normal_(module.bias, 0, 0.2)
            module.get_buffer("running_mean").normal_(0, 0.2)
            module.get_buffer("running_var").uniform_(0.5, 2)
    return network


def small(spatial: str, stem: str = "pointwise", stages: tuple[Stage, ...] = STAGES) -> BottleneckNet:
    """A network with two channels of the image and five classes in float64."""
    torch.manual_seed(0)
    build = SPATIAL[spatial]
    return stirred(BottleneckNet(STEMS[stem](build), stages, build, classes=5).to(DEVICE, torch.float64))


def image(*shape: int, dtype: torch.dtype = torch.float64) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(1), dtype=torch.float64).to(DEVICE, dtype)


class ByHand:
    """A network's output from its parameters' names and torch's functions; spatial layers are called as they are."""

    def __init__(self, network: BottleneckNet) -> None:
        self.network = network
        self.state: dict[str, Tensor] = network.state_dict()

    def norm(self, x: Tensor, name: str) -> Tensor:
        mean, var, weight, bias = (
            self.state[f"{name}.{part}"][:, None, None] for part in ("running_mean", "running_var", "weight", "bias")
        )
        return (x - mean) / (var + 1e-5).sqrt() * weight + bias

    def spatial(self, x: Tensor, name: str, stride: int) -> Tensor:
        layer = self.network.get_submodule(name)
        if isinstance(layer, LocalRelation2d):
            assert layer.options["stride"] == stride
            return layer(x)  # type: ignore[no-any-return]
        return F.conv2d(x, self.state[f"{name}.weight"], stride=stride, padding=1)

    def block(self, x: Tensor, name: str, stride: int) -> Tensor:
        inner = F.relu(self.norm(F.conv2d(x, self.state[f"{name}.reduce.weight"]), f"{name}.reduce_norm"))
        inner = F.relu(self.norm(self.spatial(inner, f"{name}.spatial", stride), f"{name}.spatial_norm"))
        inner = self.norm(F.conv2d(inner, self.state[f"{name}.expand.weight"]), f"{name}.expand_norm")
        if f"{name}.shortcut.0.weight" in self.state:
            projected = F.conv2d(x[:, :, ::stride, ::stride], self.state[f"{name}.shortcut.0.weight"])
            x = self.norm(projected, f"{name}.shortcut.1")
        return F.relu(x + inner)

    def __call__(self, x: Tensor, stages: tuple[Stage, ...]) -> Tensor:
        x = self.network.stem(x)
        for index, stage in enumerate(stages):
            for block in range(stage.blocks):
                x = self.block(x, f"stages.{index}.{block}", stage.stride if block == 0 else 1)
        return F.linear(x.flatten(2).mean(2), self.state["classifier.weight"], self.state["classifier.bias"])


@pytest.mark.parametrize("stem", STEMS)
@pytest.mark.parametrize("spatial", SPATIAL)
def test_a_network_is_its_parts(spatial: str, stem: str) -> None:
    network, x = small(spatial, stem).eval(), image(3, 2, 35, 41)
    torch.testing.assert_close(network(x), ByHand(network)(x, STAGES))


def test_the_stem_of_lr_net_is_its_parts() -> None:
    """1×1, the layer with stride 2, each normalised and rectified, then 3×3 max pooling with stride 2."""
    network, x = small("relation", "relation").eval(), image(2, 2, 25, 36)
    first, layer = network.get_submodule("stem.0"), network.get_submodule("stem.3")
    assert isinstance(layer, LocalRelation2d)
    by_hand = ByHand(network)
    y = F.relu(by_hand.norm(F.conv2d(x, first.get_parameter("weight")), "stem.1"))
    y = F.relu(by_hand.norm(layer(y), "stem.4"))
    torch.testing.assert_close(network.stem(x), F.max_pool2d(y, 3, 2, 1))
    assert (layer.options["stride"], network.stem(x).shape) == (2, (2, 12, 7, 9))


def test_lr_net_50_is_the_articles() -> None:
    """Widths, windows, groups (100 channels with m = 8: 13) and strides of its layers, in order."""
    network = lr_net_50(device="meta")
    layers = [module for module in network.modules() if isinstance(module, LocalRelation2d)]
    assert [layer.channels for layer in layers] == [64] + [100] * 3 + [200] * 4 + [400] * 6 + [800] * 3
    assert [layer.key.out_channels for layer in layers] == [8] + [13] * 3 + [25] * 4 + [50] * 6 + [100] * 3
    strides = [layer.options["stride"] for layer in layers]
    assert strides == [2, 1, 1, 1, 2, 1, 1, 1, 2, 1, 1, 1, 1, 1, 2, 1, 1]
    assert {(layer.options["kernel_size"], layer.options["m"]) for layer in layers} == {(7, 8)}
    spatial = [m for m in network.modules() if isinstance(m, nn.Conv2d) and m.kernel_size != (1, 1)]
    assert spatial == []


def test_resnets_are_torchvisions() -> None:
    """The same parameters in the same order, and the same numbers."""
    models = pytest.importorskip("torchvision.models")
    theirs, ours = models.resnet50(num_classes=7).to(DEVICE), build_network("resnet_50", 7, device=DEVICE)
    for module in theirs.modules():
        if isinstance(module, nn.BatchNorm2d):
            nn.init.normal_(module.weight, 1, 0.1)
    ours.load_state_dict(dict(zip(ours.state_dict(), theirs.state_dict().values(), strict=True)))
    x = image(2, 3, 64, 96, dtype=torch.float32)
    torch.testing.assert_close(ours(x), theirs(x))
    torch.testing.assert_close(ours.eval()(x), theirs.eval()(x))


# What builds each network with an implementation, and its image; LR-Net-26 takes Triton's interpreter minutes.
COMPARED: dict[str, tuple[Callable[[str], BottleneckNet], tuple[int, ...]]] = {
    "small": (
        lambda name: BottleneckNet(
            pointwise_stem(1, 8), STAGES, partial(LocalRelation2d, kernel_size=3, m=4, implementation=name), classes=3
        ),
        (2, 1, 7, 6),
    ),
    "lr_net_26": (lambda name: lr_net_26(3, in_channels=1, implementation=name), (2, 1, 33, 40)),
}
CASES = [
    (network, implementation)
    for network in COMPARED
    for implementation in IMPLEMENTATIONS
    if (network, implementation) != ("lr_net_26", "triton") or DEVICE.type == "cuda"
]


def passed(network: str, implementation: str, dtype: torch.dtype, *, train: bool) -> dict[str, Tensor]:
    """The output, and in training the gradients of its squares' sum, from the same weights for all."""
    build, shape = COMPARED[network]
    torch.manual_seed(3)
    module = stirred(build(implementation)).to(DEVICE, dtype).train(train)
    with torch.set_grad_enabled(train):
        output = module(image(*shape, dtype=dtype))
    if not train:
        return {"output": output}
    parameters = dict(module.named_parameters())
    gradients = torch.autograd.grad(output.square().sum(), list(parameters.values()))
    return {"output": output.detach(), **dict(zip(parameters, gradients, strict=True))}


@lru_cache
def expected(network: str, *, train: bool) -> dict[str, Tensor]:
    return passed(network, "unfold", torch.float64, train=train)


@pytest.mark.parametrize("train", [True, False], ids=["training", "inference"])
@pytest.mark.parametrize(("network", "implementation"), CASES)
def test_every_implementation_gives_the_same_numbers(network: str, implementation: str, train: bool) -> None:
    """Training in float64, as normalisation of few values magnifies roundings; inference in float32."""
    dtype = torch.float64 if train else torch.float32
    problem = Problem(batch=2, channels=8, height=8, width=8, kernel_size=3, m=4, dtype=str(dtype)[6:])
    if reason := unsupported(implementation, problem, DEVICE, backward=train):
        pytest.skip(reason)
    results, references = passed(network, implementation, dtype, train=train), expected(network, train=train)
    assert results.keys() == references.keys()
    close = 1e-6 if train else 1e-4
    torch.testing.assert_close({name: x.double() for name, x in results.items()}, references, rtol=close, atol=close)


@pytest.mark.parametrize("spatial", SPATIAL)
def test_it_begins_as_its_shortcuts_and_learns(spatial: str) -> None:
    """24 random images of 8×8 pixels are learned by heart."""
    torch.manual_seed(0)
    stages = Stage(1, 16, 32), Stage(1, 16, 32, stride=2)
    network = BottleneckNet(pointwise_stem(1, 16), stages, SPATIAL[spatial], classes=4).to(DEVICE)
    x, labels = image(24, 1, 8, 8, dtype=torch.float32), torch.arange(24, device=DEVICE) % 4
    first, stem = network.get_submodule("stages.0.0"), network.stem(x)
    assert torch.equal(first(stem), F.relu(first.get_submodule("shortcut")(stem)))
    optimizer = torch.optim.SGD(network.parameters(), 0.2, momentum=0.9)
    losses = []
    for _ in range(80):
        loss = F.cross_entropy(network(x), labels)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert losses[0] == pytest.approx(1.386, abs=0.3)
    assert losses[-1] < 0.1
