"""Parameters and multiply–adds of LR-Net and ResNet by formula, stage by stage, and what was published. Free of torch.

Counted are one image's multiply–adds in convolutions, the classifier, similarity and aggregation, every tap of a
window among them, also those outside the image. Not counted are normalisation, pooling, softmax, and the prior's
network, which does not depend on the image.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from kernels import Problem

PRIORS = ("network", "table", "none")


@dataclass(frozen=True)
class Design:
    """What tells the networks apart: the spatial layer, the first stage's inner channels, each stage's blocks."""

    relation: bool
    width: int
    blocks: tuple[int, int, int, int]


DESIGNS: Mapping[str, Design] = {
    "lr_net_26": Design(relation=True, width=100, blocks=(2, 2, 2, 2)),
    "lr_net_50": Design(relation=True, width=100, blocks=(3, 4, 6, 3)),
    "lr_net_101": Design(relation=True, width=100, blocks=(3, 4, 23, 3)),
    "resnet_26": Design(relation=False, width=64, blocks=(2, 2, 2, 2)),
    "resnet_50": Design(relation=False, width=64, blocks=(3, 4, 6, 3)),
    "resnet_101": Design(relation=False, width=64, blocks=(3, 4, 23, 3)),
}
_STEM = 64
_LEAST_SIDE = 32
# The gradients of a layer's input and of its weights each take as many multiply–adds as its output.
_PASSES = {"forward": 1, "training": 3}


@dataclass(frozen=True)
class Figures:
    """Published parameters in millions and multiply–adds in billions, for 224×224 pixels and 1000 classes."""

    parameters_m: float
    macs_g: float


PUBLISHED: Mapping[str, Mapping[str, Figures]] = {
    "article": {"lr_net_50": Figures(23.3, 4.3), "resnet_50": Figures(25.5, 4.3)},
    "Papers with Code": {"lr_net_26": Figures(14.7, 2.6)},
    "torchvision": {"resnet_50": Figures(25.557, 4.089), "resnet_101": Figures(44.549, 7.801)},
}


@dataclass(frozen=True, kw_only=True)
class Setting:
    """What the counts depend on besides the design; the last three are the local relation layer's.

    Raises:
        ValueError: A size is out of range, or there is no such prior.
    """

    height: int = 224
    width: int = 224
    in_channels: int = 3
    classes: int = 1000
    kernel_size: int = 7
    m: int = 8
    prior: str = "network"

    def __post_init__(self) -> None:
        sides = dict.fromkeys(("height", "width"), _LEAST_SIDE)
        for name, least in {**sides, **dict.fromkeys(("in_channels", "classes", "kernel_size", "m"), 1)}.items():
            if getattr(self, name) < least:
                raise ValueError(f"{name} must be at least {least}, got {getattr(self, name)}")
        if self.kernel_size % 2 == 0:
            raise ValueError(f"kernel_size must be odd, got {self.kernel_size}")
        if self.prior not in PRIORS:
            raise ValueError(f"prior must be one of {', '.join(PRIORS)}, got {self.prior!r}")


@dataclass(frozen=True)
class Count:
    """Learned numbers, and multiply–adds of one image."""

    parameters: int = 0
    macs: int = 0

    def __add__(self, other: "Count") -> "Count":
        return Count(self.parameters + other.parameters, self.macs + other.macs)


@dataclass(frozen=True)
class StageCount:
    """A stage of the article's table: its output's size, what precedes its blocks, a block's layers, what all cost."""

    name: str
    height: int
    width: int
    before: tuple[str, ...]
    layers: tuple[str, ...]
    blocks: int
    count: Count


Size = tuple[int, int]


def stage_counts(network: str, setting: Setting) -> list[StageCount]:
    """The rows of the article's table: res1 to res5, then the classifier.

    Raises:
        ValueError: There is no network of that name.
    """
    if network not in DESIGNS:
        raise ValueError(f"there is no network {network!r}: expected {', '.join(DESIGNS)}")
    design = DESIGNS[network]
    rows = [_stem(design, setting)]
    size, channels = _halved(rows[0]), _STEM
    for index, blocks in enumerate(design.blocks):
        width, out = design.width * 2**index, 256 * 2**index
        count = Count()
        for block in range(blocks):
            stride = 2 if index > 0 and block == 0 else 1
            count += _bottleneck(design, setting, (channels, width, out), size, stride)
            size, channels = _strided(size, stride), out
        pool = ("3×3 max pool, s2",) if index == 0 else ()
        layers = (f"1×1, {width}", f"{_spatial_name(design, setting)}, {width}", f"1×1, {out}")
        rows.append(StageCount(f"res{index + 2}", *size, pool, layers, blocks, count))
    classifier = Count((channels + 1) * setting.classes, channels * setting.classes)
    return [*rows, StageCount("classes", 1, 1, (), ("average pool", f"{setting.classes}-d fc"), 1, classifier)]


def total_count(network: str, setting: Setting) -> Count:
    """What the whole network costs.

    Raises:
        ValueError: There is no network of that name.
    """
    return sum((stage.count for stage in stage_counts(network, setting)), Count())


def relation_layers(network: str, size: Size) -> Iterator[tuple[int, Size, int]]:
    """Channels, the input's rows and columns, and the stride of each local relation layer, as the image passes them."""
    yield _STEM, size, 2
    size = _strided(_strided(size, 2), 2)
    for index, blocks in enumerate(DESIGNS[network].blocks):
        for block in range(blocks):
            stride = 2 if index > 0 and block == 0 else 1
            yield DESIGNS[network].width * 2**index, size, stride
            size = _strided(size, stride)


def network_metrics(network: str, image: "Problem", mode: str) -> dict[str, float]:
    """Multiply–adds of a forward pass over a batch, and two operations for each of a mode's, under the metrics' names.

    The problem has the image's sizes and the options of every layer. Normalisation, softmax, loss and the weights'
    update are not counted.
    """
    setting = Setting(
        height=image.height,
        width=image.width,
        in_channels=image.channels,
        kernel_size=image.kernel_size,
        m=image.m,
        prior="network" if image.prior else "none",
    )
    macs = image.batch * total_count(network, setting).macs
    return {"macs": macs, "flops": 2 * macs * _PASSES[mode]}


def _stem(design: Design, setting: Setting) -> StageCount:
    size = setting.height, setting.width
    out = _strided(size, 2)
    if design.relation:
        count = _convolution(setting.in_channels, _STEM, 1, size) + _relation(setting, _STEM, size, 2)
        layers = f"1×1, {_STEM}", f"{_spatial_name(design, setting)}, {_STEM}, s2"
        return StageCount("res1", *out, (), layers, 1, count + _normalisation(_STEM) + _normalisation(_STEM))
    count = _convolution(setting.in_channels, _STEM, 7, out) + _normalisation(_STEM)
    return StageCount("res1", *out, (), (f"7×7 conv, {_STEM}, s2",), 1, count)


def _bottleneck(design: Design, setting: Setting, channels: tuple[int, int, int], size: Size, stride: int) -> Count:
    before, width, after = channels
    out = _strided(size, stride)
    spatial = _relation(setting, width, size, stride) if design.relation else _convolution(width, width, 3, out)
    count = _convolution(before, width, 1, size) + spatial + _convolution(width, after, 1, out)
    count += Count(2 * (2 * width + after))
    if stride > 1 or before != after:
        count += _convolution(before, after, 1, out) + _normalisation(after)
    return count


def _relation(setting: Setting, channels: int, size: Size, stride: int) -> Count:
    """C·(2G + C) and the prior's parameters; C·(G·HW + (G + C)·HoWo) + k²·(G + C)·HoWo multiply–adds."""
    groups, taps = -(-channels // setting.m), setting.kernel_size**2
    hidden = max(1, groups // 2)
    prior = {"network": hidden * (3 + groups), "table": groups * taps, "none": 0}[setting.prior]
    pixels, out_pixels = _pixels(size), _pixels(_strided(size, stride))
    macs = channels * groups * pixels + (channels + taps) * (groups + channels) * out_pixels
    return Count(channels * (2 * groups + channels) + prior, macs)


def _convolution(channels: int, out_channels: int, kernel_size: int, out: Size) -> Count:
    weights = channels * out_channels * kernel_size**2
    return Count(weights, weights * _pixels(out))


def _normalisation(channels: int) -> Count:
    return Count(2 * channels)


def _spatial_name(design: Design, setting: Setting) -> str:
    return f"{setting.kernel_size}×{setting.kernel_size} LR" if design.relation else "3×3 conv"


def _halved(stage: StageCount) -> Size:
    return _strided((stage.height, stage.width), 2)


def _strided(size: Size, stride: int) -> Size:
    """⌈H/s⌉ and ⌈W/s⌉: what every strided layer here makes of an image."""
    return -(-size[0] // stride), -(-size[1] // stride)


def _pixels(size: Size) -> int:
    return size[0] * size[1]
