"""The named sweeps, as data, and how they become cases."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from itertools import product
from math import prod

from kernels import IMPLEMENTATIONS

from ..cost.yardsticks import YARDSTICKS
from ..errors import UsageError
from .axes import AXES, Value
from .case import Case, make_case
from .parts import CPU_BLOCKS, NETWORK, STAGES, Values, together

DEFAULTS: Values = {
    "batch": (2,),
    "channels": (64,),
    "hw": (28,),
    "kernel_size": (7,),
    "m": (8,),
    "stride": (1,),
    "padding": ("same",),
    "dilation": (1,),
    "composability": ("multiplication",),
    "padding_mode": ("mask",),
    "channel_order": ("consecutive",),
    "prior": (True,),
    "dtype": ("float32",),
    "memory_format": ("contiguous",),
    "scope": ("operator",),
    "mode": ("forward", "forward_backward"),
    "cache": ("cold",),
    "depth": (0,),
    "torch_compile": (False,),
}
_GPU: Values = {"batch": (64,), "dtype": ("bfloat16",), "memory_format": ("channels_last",)}
_STAGE_28: Values = {**_GPU, "channels": (200,), "hw": (28,)}
_EACH_AXIS: tuple[Values, ...] = (
    {"kernel_size": (3, 5, 9, 13)},
    {"m": (1, 2, 4, 16, 32)},
    {"channels": (64, 512, 1024)},
    {"hw": (7, 14, 56)},
    {"stride": (2, 4)},
)
_FLOAT32_AXES: tuple[Values, ...] = (
    {"kernel_size": (3, 13)},
    {"m": (1, 32)},
    {"channels": (64, 1024)},
    {"hw": (14, 56)},
    {"stride": (2,)},
)


@dataclass(frozen=True)
class Sweep:
    """The union of blocks, each the product of its axes; an axis that a block leaves out has its value in `base`.

    Measured are `implementations` unless others are asked for, and with `yardsticks` other functions beside them.
    `on_gpu` is what is measured on a GPU instead, where that is something else.
    """

    summary: str
    base: Values
    blocks: tuple[Values, ...]
    yardsticks: bool = False
    implementations: tuple[str, ...] = tuple(IMPLEMENTATIONS)
    on_gpu: "Sweep | None" = None

    def on(self, device_type: str) -> "Sweep":
        """The sweep of a type of device."""
        return self.on_gpu if self.on_gpu is not None and device_type == "cuda" else self


# Those that run on a CPU, but for FlexAttention, which compiles for seconds per problem and has no backward there.
_ON_CPU = ("native", "compiled", "chunked", "unfold")
_GPU_NETWORK: Values = {**NETWORK, "depth": (50,), "hw": (224,), "memory_format": ("channels_last",)}
# The most telling first; with one value each, so that `-a batch=…` or `-a dtype=…` fixes it everywhere.
_GPU_NETWORKS: tuple[Values, ...] = tuple(
    {"dtype": (dtype,), "batch": (batch,), "torch_compile": (compiled,)}
    for dtype in ("bfloat16", "float32")
    for compiled in (False, True)
    for batch in (64, 256)
)

SWEEPS: Mapping[str, Sweep] = {
    "quick": Sweep(
        "small, one axis at a time: about two minutes on two CPU cores",
        {},
        (
            {"kernel_size": (3, 7, 11)},
            {"m": (1, 8)},
            {"channels": (64, 128)},
            {"hw": (14, 28)},
            {"stride": (1, 2)},
        ),
        # FlexAttention compiles for seconds per problem, and on a CPU has no backward: axes, stages and gpu have it.
        implementations=tuple(name for name in IMPLEMENTATIONS if name != "flex"),
    ),
    "cpu": Sweep(
        "maps and stages beside convolutions, LR-Net-26 and -50 beside ResNets: about ten minutes on two CPU cores",
        {},
        CPU_BLOCKS,
        yardsticks=True,
        implementations=_ON_CPU,
    ),
    "axes": Sweep(
        "one axis at a time around LR-Net-50's 28²×200 stage",
        {**_STAGE_28, "mode": ("forward", "backward", "forward_backward")},
        (
            {"kernel_size": (3, 5, 7, 9, 11, 13)},
            {"m": (1, 2, 4, 8, 16, 32)},
            {"channels": (64, 128, 200, 256, 512, 1024)},
            {"hw": (7, 14, 28, 56, 112, 224)},
            {"stride": (1, 2, 3, 4)},
        ),
        yardsticks=True,
    ),
    "stages": Sweep(
        "the local relation layers of LR-Net-50 at 224²",
        {**_GPU, "mode": ("forward", "backward", "forward_backward"), "scope": ("operator", "layer")},
        STAGES,
        yardsticks=True,
    ),
    "gpu": Sweep(
        "for the command `gpu`, the most telling first: stages and fewer points of axes, cold and hot",
        {**_STAGE_28, "mode": ("forward", "forward_backward"), "cache": ("cold", "hot")},
        (
            # A problem of a middling size first, whose cases also tell how long the others will take.
            *reversed(STAGES[:-1]),
            STAGES[-1],
            *({**stage, "scope": ("layer",), "cache": ("cold",)} for stage in STAGES),
            *({**stage, "mode": ("backward",), "cache": ("cold",)} for stage in STAGES),
            *({**stage, "dtype": ("float32",)} for stage in STAGES),
            *_EACH_AXIS,
            *({**axis, "dtype": ("float32",)} for axis in _FLOAT32_AXES),
        ),
        yardsticks=True,
    ),
    "grid": Sweep(
        "the product of k, m, channels, resolution and stride",
        _GPU,
        (
            {
                "kernel_size": (3, 5, 7, 9, 11, 13),
                "m": (1, 2, 4, 8, 16, 32),
                "channels": (64, 128, 256, 512),
                "hw": (7, 14, 28, 56, 112),
                "stride": (1, 2),
            },
        ),
    ),
    "networks": Sweep(
        "LR-Net-26 at 64², inference and training, beside ResNet-26; on a GPU depth 50 at 224², in many ways",
        {**NETWORK, "depth": (26,), "hw": (64,), "batch": (2,)},
        ({},),
        yardsticks=True,
        implementations=_ON_CPU,
        on_gpu=Sweep(
            "LR-Net-50 at 224², inference and training, beside ResNet-50: batch, dtype, with and without torch.compile",
            _GPU_NETWORK,
            _GPU_NETWORKS,
            yardsticks=True,
        ),
    ),
}


def require_sweep(name: str) -> Sweep:
    """The sweep of that name.

    Raises:
        UsageError: There is none.
    """
    if name not in SWEEPS:
        raise UsageError(f"there is no sweep {name!r}: sweeps are {', '.join(SWEEPS)}")
    return SWEEPS[name]


def expand(
    sweep: Sweep, overrides: Values, implementations: Iterable[str] = (), *, yardsticks: bool | None = None
) -> list[Case]:
    """Every case of a sweep once, the cases of one problem together, by the sweep's implementations and yardsticks.

    `implementations`, if there are any, and `yardsticks`, if it is not None, are taken instead of the sweep's own.

    An override with one value fixes its axis everywhere. One with several sweeps it: in the blocks that sweep that axis
    already or, where none does, throughout.

    Raises:
        UsageError: An implementation does not exist, or values contradict each other.
    """
    implementations = tuple(implementations) or sweep.implementations
    unknown = set(implementations) - set(IMPLEMENTATIONS)
    if unknown:
        raise UsageError(f"there is no implementation {min(unknown)!r}: there are {', '.join(IMPLEMENTATIONS)}")
    beside = YARDSTICKS if (sweep.yardsticks if yardsticks is None else yardsticks) else {}
    cases = dict.fromkeys(
        make_case(point, implementation)
        for block in _overridden(sweep, overrides)
        for point in _points(block)
        for implementation in (*implementations, *(name for name in beside if point["scope"] in beside[name].scopes))
    )
    return together(cases)


def case_count(sweep: Sweep) -> int:
    """How many cases a sweep has by itself; those of one implementation are made, as the others' are alike."""
    points = expand(sweep, {}, sweep.implementations[:1], yardsticks=False)
    beside = YARDSTICKS.values() if sweep.yardsticks else ()
    return len(points) * len(sweep.implementations) + sum(case.scope in one.scopes for case in points for one in beside)


def size_of(sweep: Sweep, overrides: Values, implementations: Iterable[str], *, yardsticks: bool | None) -> int:
    """How many cases `expand` would give at the most, without making any; those of several blocks count each time."""
    beside = len(YARDSTICKS) if (sweep.yardsticks if yardsticks is None else yardsticks) else 0
    measured = len(tuple(implementations) or sweep.implementations) + beside
    return measured * sum(prod(map(len, block.values())) for block in _overridden(sweep, overrides))


def ends_of(sweep: Sweep, overrides: Values, implementations: Iterable[str]) -> list[Case]:
    """The first and the last cases that `expand` would give, without making the others."""
    blocks = list(_overridden(sweep, overrides))
    ends = [{name: values[end : end + 1 or None] for name, values in blocks[end].items()} for end in (0, -1)]
    return [case for end in ends for case in expand(replace(sweep, base={}, blocks=(end,)), {}, implementations)]


def _overridden(sweep: Sweep, overrides: Values) -> Iterator[Values]:
    swept = {name for block in sweep.blocks for name, values in block.items() if len(values) > 1}
    in_place = {name: values for name, values in overrides.items() if len(values) > 1 and name in swept}
    everywhere = {name: values for name, values in overrides.items() if name not in in_place}
    for block in sweep.blocks:
        taken = {name: values for name, values in in_place.items() if len(block.get(name, ())) > 1}
        yield {**DEFAULTS, **sweep.base, **block, **taken, **everywhere}


def _points(block: Values) -> Iterator[dict[str, Value]]:
    """Each combination of a block's values, by the fields that they set; "hw" yields to height and width."""
    names = sorted(block, key=lambda name: len(AXES[name].fields), reverse=True)
    for values in product(*(block[name] for name in names)):
        point: dict[str, Value] = {}
        for name, value in zip(names, values, strict=True):
            point.update(dict.fromkeys(AXES[name].fields, value))
        yield point
