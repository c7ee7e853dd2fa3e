"""What learns: small networks of both kinds, by window and by the layer's options."""

from collections.abc import Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from functools import partial

from kernels import BottleneckNet, LocalRelation2d, Problem, Stage, pointwise_stem, spatial_conv

from ..errors import UsageError

KERNEL_SIZES = (3, 5, 7)
# The layer's options at the largest window, where the article's claims are; the table at every one.
DEFAULT = ("convolution-*", "relation-k?", "relation-k?-table", "relation-k7-*")
QUICK = ("convolution-k3", "convolution-k7", "relation-k3", "relation-k7")
STEM_CHANNELS = 16
# The first windows stand on 8×8 pixels, the second ones on 4×4; both widths are multiples of m.
STAGES = (Stage(1, 32, 32, stride=2), Stage(1, 64, 64))
# Half the groups, the layer's default, would leave a network of so few channels a prior with one or two hidden units.
PRIOR_HIDDEN = 16
# What each name changes of the layer's defaults.
_CHANGES: dict[str, dict[str, str | int]] = {
    "": {},
    "-squared": {"composability": "squared_difference"},
    "-absolute": {"composability": "absolute_difference"},
    "-table": {"prior": "table"},
    "-none": {"prior": "none"},
    "-m1": {"m": 1},
}
_DEFAULTS: dict[str, str | int] = {"composability": "multiplication", "prior": "network", "m": 8}


@dataclass(frozen=True)
class Variant:
    """A network by its spatial layers; a convolution has no composability, prior or m."""

    name: str
    kind: str
    kernel_size: int
    composability: str | None = None
    prior: str | None = None
    m: int | None = None

    def problem(self) -> Problem | None:
        """The first window's problem for one image; None for a convolution."""
        if self.kind == "convolution":
            return None
        sizes = {"batch": 1, "channels": STAGES[0].width, "height": 8, "width": 8}
        window = {"kernel_size": self.kernel_size, "padding": self.kernel_size // 2}
        options = {"m": self.m, "composability": self.composability, "prior": self.prior != "none"}
        return Problem(**sizes, **window, **options)  # type: ignore[arg-type]

    def network(self, implementation: str) -> BottleneckNet:
        """The network for digits, (N, 1, 8, 8) → (N, 10), its parameters drawn from torch's generator."""
        stem = pointwise_stem(1, STEM_CHANNELS)
        if self.kind == "convolution":
            return BottleneckNet(stem, STAGES, partial(spatial_conv, kernel_size=self.kernel_size), classes=10)
        options = {name: getattr(self, name) for name in _DEFAULTS}
        options["prior_hidden"] = PRIOR_HIDDEN if self.prior == "network" else None
        relation = partial(LocalRelation2d, kernel_size=self.kernel_size, implementation=implementation, **options)
        return BottleneckNet(stem, STAGES, relation, classes=10)


def _every() -> list[Variant]:
    convolutions = [Variant(f"convolution-k{k}", "convolution", k) for k in KERNEL_SIZES]
    relations = [
        Variant(f"relation-k{k}{suffix}", "relation", k, **{**_DEFAULTS, **changes})  # type: ignore[arg-type]
        for suffix, changes in _CHANGES.items()
        for k in KERNEL_SIZES
    ]
    return [*convolutions, *relations]


VARIANTS = {variant.name: variant for variant in _every()}


def chosen(patterns: Sequence[str]) -> list[Variant]:
    """The variants whose names match one of the patterns, as `relation-k7*`; all of them if there is none.

    Raises:
        UsageError: A pattern matches none.
    """
    for pattern in patterns:
        if not any(fnmatchcase(name, pattern) for name in VARIANTS):
            raise UsageError(f"no variant is called {pattern!r}: expected patterns of {', '.join(VARIANTS)}")
    wanted = patterns or ("*",)
    return [variant for name, variant in VARIANTS.items() if any(fnmatchcase(name, pattern) for pattern in wanted)]
