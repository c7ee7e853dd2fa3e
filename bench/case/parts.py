"""What sweeps are put together from: LR-Net's stages, the blocks of `cpu`, and the parts of `gpu` in their order."""

from collections.abc import Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from .axes import AXES, Value
from .case import Case

Values = Mapping[str, tuple[Value, ...]]

STAGES: tuple[Values, ...] = (
    {"channels": (64,), "hw": (224,), "stride": (2,)},
    {"channels": (100,), "hw": (56,)},
    {"channels": (200,), "hw": (28,)},
    {"channels": (400,), "hw": (14,)},
    {"channels": (800,), "hw": (7,)},
)
# Channels and resolution: wide and narrow maps, of few and of many channels.
_MAPS = ((96, 56), (64, 28), (64, 14), (400, 14), (256, 7))
NETWORK: Values = {"scope": ("network",), "channels": (3,), "mode": ("forward", "training"), "cache": ("hot",)}


def stages_at(size: int, batch: int) -> tuple[Values, ...]:
    """The stages of an LR-Net at another resolution than 224², one that 32 divides."""
    return tuple(
        {**stage, "hw": tuple(int(hw) * size // 224 for hw in stage["hw"]), "batch": (batch,)} for stage in STAGES
    )


# Operators first, those of LR-Net-26 and LR-Net-50 among them, then the two networks.
CPU_BLOCKS: tuple[Values, ...] = (
    *({"channels": (channels,), "hw": (hw,)} for channels, hw in _MAPS),
    *stages_at(64, batch=2),
    *stages_at(224, batch=1),
    {**NETWORK, "depth": (26,), "hw": (64,), "batch": (2,)},
    {**NETWORK, "depth": (50,), "hw": (224,), "batch": (1,)},
)
_OPERATOR: Values = {"scope": ("operator",), "cache": ("cold",), "mode": ("forward", "forward_backward")}
_OF_A_STAGE: Values = {"kernel_size": (7,), "m": (8,), "stride": (1,)}


@dataclass(frozen=True)
class Part:
    """Cases that say one thing: those that have all values of one of the blocks."""

    name: str
    blocks: tuple[Values, ...]

    def holds(self, asked: Mapping[str, Any]) -> bool:
        """Whether the part has a case of these parameters."""
        return any(
            all(asked[field] in values for name, values in block.items() for field in _fields(name))
            for block in self.blocks
        )


def _fields(name: str) -> tuple[str, ...]:
    """The parameters that an axis sets; what is no axis is a parameter itself."""
    return AXES[name].fields if name in AXES else (name,)


GPU_PARTS: tuple[Part, ...] = (
    Part(
        "stages in bfloat16",
        tuple({**_OF_A_STAGE, **_OPERATOR, "dtype": ("bfloat16",), **stage} for stage in STAGES),
    ),
    Part("axes of triton", ({**_OPERATOR, "dtype": ("bfloat16",), "implementation": ("triton",)},)),
    Part("layers", ({"scope": ("layer",)},)),
    Part("axes of the others", ({**_OPERATOR, "dtype": ("bfloat16",)},)),
    Part("stages in float32", tuple({**_OF_A_STAGE, **_OPERATOR, **stage} for stage in STAGES)),
    Part("axes in float32", (_OPERATOR,)),
    Part("backward alone", ({"mode": ("backward",)},)),
    Part("a hot L2", ({},)),
)


def by_part(cases: Iterable[Case], parts: Sequence[Part]) -> dict[str, list[Case]]:
    """Each case under the name of the first part that has it, the cases of a problem together.

    Raises:
        ValueError: No part has a case.
    """
    found: dict[str, list[Case]] = {part.name: [] for part in parts}
    for case in cases:
        found[part_of(case, parts).name].append(case)
    return {name: together(of_part) for name, of_part in found.items()}


def part_of(case: Case, parts: Sequence[Part]) -> Part:
    """The first part that has a case.

    Raises:
        ValueError: None has it.
    """
    asked = case.parameters()
    found = next((part for part in parts if part.holds(asked)), None)
    if found is None:
        raise ValueError(f"a case must be in one of the parts {', '.join(part.name for part in parts)}: {case.label()}")
    return found


def together(cases: Iterable[Case]) -> list[Case]:
    """Cases with those of the same problem next to one another, problems in the order of their first case."""
    groups: dict[Hashable, list[Case]] = {}
    for case in cases:
        groups.setdefault(case.posed, []).append(case)
    return [case for group in groups.values() for case in group]
