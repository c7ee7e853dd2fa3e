"""Networks of bottlenecks whose spatial layer is a parameter: what LR-Net and ResNet are made of."""

from collections.abc import Sequence
from dataclasses import dataclass
from math import prod
from typing import Protocol

import torch
from torch import Tensor, nn

from .problem import require_int


class SpatialLayer(Protocol):
    """Builds the layer of a bottleneck that sees neighbours: (N, C, H, W) → (N, C, ⌈H/s⌉, ⌈W/s⌉).

    `functools.partial(LocalRelation2d, kernel_size=7, m=8)` is one, and `partial(spatial_conv, kernel_size=3)`.
    """

    def __call__(self, channels: int, /, *, stride: int) -> nn.Module:
        """A layer of `channels` channels in and out."""
        ...


@dataclass(frozen=True)
class Stage:
    """`blocks` bottlenecks of `width` channels inside and `channels` outside, the first with `stride`."""

    blocks: int
    width: int
    channels: int
    stride: int = 1

    def __post_init__(self) -> None:
        for name in ("blocks", "width", "channels", "stride"):
            object.__setattr__(self, name, require_int(name, getattr(self, name), 1))


class Stem(nn.Sequential):
    """The layers before the first stage: `in_channels` of the image to `channels`, its size divided by `stride`."""

    def __init__(self, in_channels: int, channels: int, stride: int, layers: Sequence[nn.Module]) -> None:
        super().__init__(*layers)
        self.in_channels, self.channels, self.stride = in_channels, channels, stride


class Bottleneck(nn.Module):
    """relu(x' + expand(spatial(reduce(x)))): 1×1 to `width`, the spatial layer, 1×1 to `channels`, each normalised.

    (N, in_channels, H, W) → (N, channels, ⌈H/s⌉, ⌈W/s⌉). The stride is the spatial layer's. x' is x, or its
    normalised 1×1 convolution with the stride where the shape changes.
    """

    def __init__(self, in_channels: int, stage: Stage, stride: int, spatial: SpatialLayer) -> None:
        super().__init__()
        self.reduce = _conv2d(in_channels, stage.width)
        self.reduce_norm = nn.BatchNorm2d(stage.width)
        self.spatial = spatial(stage.width, stride=stride)
        self.spatial_norm = nn.BatchNorm2d(stage.width)
        self.expand = _conv2d(stage.width, stage.channels)
        self.expand_norm = nn.BatchNorm2d(stage.channels)
        self.shortcut = nn.Sequential()
        if stride != 1 or in_channels != stage.channels:
            projection = _conv2d(in_channels, stage.channels, stride=stride)
            self.shortcut = nn.Sequential(projection, nn.BatchNorm2d(stage.channels))
        nn.init.zeros_(self.expand_norm.weight)

    def forward(self, x: Tensor) -> Tensor:
        """(N, in_channels, H, W) → (N, channels, ⌈H/s⌉, ⌈W/s⌉)."""
        inner = torch.relu(self.reduce_norm(self.reduce(x)))
        inner = torch.relu(self.spatial_norm(self.spatial(inner)))
        return torch.relu(self.shortcut(x) + self.expand_norm(self.expand(inner)))


class BottleneckNet(nn.Module):
    """A stem, stages of bottlenecks, global average pooling and a linear classifier: (N, C, H, W) → (N, classes).

    `lr_net_*` and `resnet_*` are instances. A small one for 8×8 images of one channel:

        spatial = partial(LocalRelation2d, kernel_size=5, m=4)              # or partial(spatial_conv, kernel_size=5)
        stages = Stage(1, 16, 64), Stage(1, 32, 128, stride=2)
        network = BottleneckNet(pointwise_stem(1, 32), stages, spatial, classes=10)

    Initialisation: convolutions are Kaiming normal (fan-out, ReLU) and normalisations 1 and 0, but the last one of
    each bottleneck begins at 0, so that a block begins as its shortcut (Goyal et al. 2017). What `spatial` builds is
    left as it is: the weights of a `LocalRelation2d` are drawn within ±1/√C, so that its softmax begins nearly even
    and passes gradients. The classifier is drawn within ±1/√C too.

    Args:
        stem: `relation_stem`, `convolution_stem`, `pointwise_stem`, or another `Stem`.
        stages: From the first to the last.
        spatial: Builds each bottleneck's spatial layer.
        classes: Outputs of the classifier.

    Raises:
        TypeError: `classes` is not an int.
        ValueError: There is no stage, or `classes` is below 1.
    """

    def __init__(self, stem: Stem, stages: Sequence[Stage], spatial: SpatialLayer, classes: int = 1000) -> None:
        super().__init__()
        classes = require_int("classes", classes, 1)
        if not stages:
            raise ValueError("stages must hold at least one Stage, got none")
        self.stride = stem.stride * prod(stage.stride for stage in stages)
        self.stem = stem
        self.stages = nn.Sequential()
        channels = stem.channels
        for stage in stages:
            blocks = nn.Sequential()
            for stride in (stage.stride, *[1] * (stage.blocks - 1)):
                blocks.append(Bottleneck(channels, stage, stride, spatial))
                channels = stage.channels
            self.stages.append(blocks)
        self.classifier = nn.Linear(channels, classes)

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, H, W) → (N, classes).

        Raises:
            ValueError: The image has another shape than the network takes, or is smaller than the network's stride,
                or training has but one value of a channel to normalise in the last stage.
        """
        self._check(x)
        return self.classifier(self.stages(self.stem(x)).mean((2, 3)))  # type: ignore[no-any-return]

    def _check(self, x: Tensor) -> None:
        if x.dim() != 4 or x.shape[1] != self.stem.in_channels:
            raise ValueError(f"input must have shape (N, {self.stem.in_channels}, H, W), got {tuple(x.shape)}")
        batch, _, height, width = x.shape
        if height < self.stride or width < self.stride:
            raise ValueError(
                f"an image must have at least {self.stride}×{self.stride} pixels, which the last stage sees as one, "
                f"got {height}×{width}"
            )
        values = batch * -(-height // self.stride) * -(-width // self.stride)
        if self.training and values < 2:
            raise ValueError(
                f"training normalises over at least 2 values of a channel, got {values} in the last stage "
                f"from an input of {tuple(x.shape)}: take more or larger images"
            )


def spatial_conv(channels: int, kernel_size: int = 3, *, stride: int = 1) -> nn.Conv2d:
    """The k×k convolution without bias that ResNet's bottleneck has, odd k, padded to "same".

    Raises:
        TypeError: `kernel_size` is not an int.
        ValueError: `kernel_size` is even or below 1.
    """
    kernel_size = require_int("kernel_size", kernel_size, 1)
    if kernel_size % 2 == 0:
        raise ValueError(f"kernel_size must be odd, got {kernel_size}")
    return _conv2d(channels, channels, kernel_size, stride)


def relation_stem(in_channels: int, channels: int, spatial: SpatialLayer) -> Stem:
    """LR-Net's: 1×1 to `channels`, the spatial layer with stride 2, 3×3 max pooling with stride 2."""
    layers = [*_convolution(in_channels, channels, 1, 1), *_normalised(spatial(channels, stride=2), channels)]
    return Stem(in_channels, channels, 4, [*layers, nn.MaxPool2d(3, 2, 1)])


def convolution_stem(in_channels: int, channels: int) -> Stem:
    """ResNet's: 7×7 with stride 2 to `channels`, 3×3 max pooling with stride 2."""
    return Stem(in_channels, channels, 4, [*_convolution(in_channels, channels, 7, 2), nn.MaxPool2d(3, 2, 1)])


def pointwise_stem(in_channels: int, channels: int) -> Stem:
    """For small images: 1×1 to `channels`, every pixel kept."""
    return Stem(in_channels, channels, 1, _convolution(in_channels, channels, 1, 1))


def _convolution(in_channels: int, channels: int, kernel_size: int, stride: int) -> list[nn.Module]:
    in_channels = require_int("in_channels", in_channels, 1)
    channels = require_int("channels", channels, 1)
    return _normalised(_conv2d(in_channels, channels, kernel_size, stride), channels)


def _normalised(layer: nn.Module, channels: int) -> list[nn.Module]:
    return [layer, nn.BatchNorm2d(channels), nn.ReLU()]


def _conv2d(in_channels: int, channels: int, kernel_size: int = 1, stride: int = 1) -> nn.Conv2d:
    convolution = nn.Conv2d(in_channels, channels, kernel_size, stride, kernel_size // 2, bias=False)
    nn.init.kaiming_normal_(convolution.weight, mode="fan_out", nonlinearity="relu")
    return convolution
