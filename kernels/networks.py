"""LR-Net and ResNet of depth 26, 50 and 101: the article's table, out of one bottleneck."""

from collections.abc import Callable, Sequence
from contextlib import nullcontext
from functools import partial
from typing import Any, TypedDict, Unpack

import torch

from .bottleneck import BottleneckNet, Stage, convolution_stem, relation_stem, spatial_conv
from .layer import LayerOptions, LocalRelation2d
from .problem import require_choice

BLOCKS = {26: (2, 2, 2, 2), 50: (3, 4, 6, 3), 101: (3, 4, 23, 3)}


class NetworkOptions(TypedDict, total=False):
    """What every network takes besides its classes."""

    in_channels: int
    device: torch.device | str | None
    dtype: torch.dtype | None


class RelationOptions(LayerOptions, total=False):
    """What an LR-Net passes on to every `LocalRelation2d`, whose defaults hold for what is left out."""

    kernel_size: int
    m: int
    dilation: int


class LRNetOptions(NetworkOptions, RelationOptions, total=False):
    """What an LR-Net takes besides its classes."""


def lr_net(
    depth: int,
    classes: int = 1000,
    *,
    in_channels: int = 3,
    device: torch.device | str | None = None,
    dtype: torch.dtype | None = None,
    **relation: Unpack[RelationOptions],
) -> BottleneckNet:
    """LR-Net of depth 26, 50 or 101: (N, in_channels, H, W) → (N, classes), H and W at least 32.

    ResNet with a local relation layer (7×7, m = 8 unless told) for every spatial convolution, and bottlenecks of 100,
    200, 400 and 800 channels, at which it costs what ResNet does (paper, Table 1). 100 channels with m = 8 are 13
    groups, the last of 4 channels. A stage's stride is in its first spatial layer.

    Args:
        depth: 26, 50 or 101.
        classes: Outputs of the classifier.
        in_channels: Of the image.
        device: Of the parameters.
        dtype: Of the parameters.
        relation: kernel_size, m and what else is in `RelationOptions`, for every `LocalRelation2d`.

    Raises:
        TypeError: A size is not an int, or an option is unknown.
        ValueError: The depth is another, or a size or option is out of range.
    """
    known = RelationOptions.__annotations__
    for name in relation:
        if name not in known:
            raise TypeError(f"lr_net takes {', '.join(known)} for its layers, got {name}")
    stages, spatial = stages_of(depth, 100), partial(LocalRelation2d, **relation)
    with _place(device):
        network = BottleneckNet(relation_stem(in_channels, 64, spatial), stages, spatial, classes)
    return network if dtype is None else network.to(dtype)


def resnet(
    depth: int,
    classes: int = 1000,
    *,
    in_channels: int = 3,
    device: torch.device | str | None = None,
    dtype: torch.dtype | None = None,
) -> BottleneckNet:
    """ResNet of depth 26, 50 or 101: (N, in_channels, H, W) → (N, classes), H and W at least 32.

    He et al. 2016, with a stage's stride in its first 3×3 convolution, as torchvision has it, whose weights fit in
    their order: `load_state_dict(dict(zip(ours.state_dict(), theirs.state_dict().values())))`. Arguments and what is
    raised are as in `lr_net`.
    """
    stages = stages_of(depth, 64)
    with _place(device):
        network = BottleneckNet(convolution_stem(in_channels, 64), stages, spatial_conv, classes)
    return network if dtype is None else network.to(dtype)


def lr_net_26(classes: int = 1000, **options: Unpack[LRNetOptions]) -> BottleneckNet:
    """`lr_net` of depth 26: 14.61 million parameters, 2.38 GMACs at 224×224."""
    return lr_net(26, classes, **options)


def lr_net_50(classes: int = 1000, **options: Unpack[LRNetOptions]) -> BottleneckNet:
    """`lr_net` of depth 50: 23.37 million parameters, 4.03 GMACs at 224×224."""
    return lr_net(50, classes, **options)


def lr_net_101(classes: int = 1000, **options: Unpack[LRNetOptions]) -> BottleneckNet:
    """`lr_net` of depth 101: 40.78 million parameters, 7.50 GMACs at 224×224."""
    return lr_net(101, classes, **options)


def resnet_26(classes: int = 1000, **options: Unpack[NetworkOptions]) -> BottleneckNet:
    """`resnet` of depth 26: 16.00 million parameters, 2.34 GMACs at 224×224."""
    return resnet(26, classes, **options)


def resnet_50(classes: int = 1000, **options: Unpack[NetworkOptions]) -> BottleneckNet:
    """`resnet` of depth 50: 25.56 million parameters, 4.09 GMACs at 224×224."""
    return resnet(50, classes, **options)


def resnet_101(classes: int = 1000, **options: Unpack[NetworkOptions]) -> BottleneckNet:
    """`resnet` of depth 101: 44.55 million parameters, 7.80 GMACs at 224×224."""
    return resnet(101, classes, **options)


NETWORKS: dict[str, Callable[..., BottleneckNet]] = {
    "lr_net_26": lr_net_26,
    "lr_net_50": lr_net_50,
    "lr_net_101": lr_net_101,
    "resnet_26": resnet_26,
    "resnet_50": resnet_50,
    "resnet_101": resnet_101,
}


def build_network(name: str, classes: int = 1000, **options: Any) -> BottleneckNet:
    """The network of that name in `NETWORKS`, with the options that its constructor takes.

    Raises:
        TypeError: A size is not an int, or the network has no such option.
        ValueError: No network has that name, or a size or option is out of range.
    """
    require_choice("network", name, tuple(NETWORKS))
    return NETWORKS[name](classes, **options)


def stages_of(depth: int, width: int) -> Sequence[Stage]:
    """The four stages of a depth, the first with bottlenecks of `width` channels, twice as wide in each next one.

    Raises:
        ValueError: The depth is not in `BLOCKS`.
    """
    if depth not in BLOCKS:
        raise ValueError(f"depth must be one of {', '.join(map(str, BLOCKS))}, got {depth!r}")
    return [
        Stage(blocks, width * 2**index, 256 * 2**index, stride=1 if index == 0 else 2)
        for index, blocks in enumerate(BLOCKS[depth])
    ]


def _place(device: torch.device | str | None) -> Any:
    return nullcontext() if device is None else torch.device(device)
