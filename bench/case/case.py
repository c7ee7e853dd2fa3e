"""A case: one problem, in one scope and mode and from one state of the cache, by one implementation or yardstick."""

from collections.abc import Hashable, Iterable, Mapping
from dataclasses import asdict, dataclass
from itertools import groupby
from typing import Any

from kernels import Problem, resolve_padding

from ..cost.yardsticks import YARDSTICKS, Yardstick
from ..errors import UsageError
from .axes import MODES_OF, Value
from .networks import require_network

# Set for a network and for nothing else.
_OF_NETWORKS = ("depth", "torch_compile")


@dataclass(frozen=True)
class Case:
    """What one row of the results measures.

    In scope "network" the problem has the image's sizes, `channels` among them, and the options of every layer. `depth`
    is 0 elsewhere.
    """

    problem: Problem
    scope: str
    mode: str
    implementation: str
    cache: str = "hot"
    depth: int = 0
    torch_compile: bool = False

    @property
    def backward(self) -> bool:
        """Whether gradients are taken."""
        return self.mode != "forward"

    @property
    def posed(self) -> Hashable:
        """What its tensors follow from: cases with the same are measured together."""
        return self.problem, self.scope, self.depth

    @property
    def yardstick(self) -> Yardstick | None:
        """The yardstick that it measures, None where it is an implementation of the layer."""
        return YARDSTICKS.get(self.implementation)

    def parameters(self) -> dict[str, Any]:
        """The columns that say what was asked."""
        kind = "implementation" if self.yardstick is None else "yardstick"
        named = {"implementation": self.implementation, "kind": kind, "mode": self.mode, "scope": self.scope}
        of_networks = {"depth": self.depth or "", "torch_compile": self.torch_compile}
        return {**named, **asdict(self.problem), "cache": self.cache, **of_networks}

    def label(self) -> str:
        """The case in a few words, for progress lines."""
        p = self.problem
        options = [
            f"depth {self.depth}" if self.depth else "",
            f"N{p.batch} C{p.channels} {p.height}×{p.width} k{p.kernel_size} m{p.m}",
            "" if self.depth else f"s{p.stride}",
            f"d{p.dilation}" if p.dilation != 1 else "",
            p.dtype if p.dtype != "float32" else "",
            self.cache if self.cache == "cold" else "",
            "torch.compile" if self.torch_compile else "",
        ]
        return " ".join([self.implementation, self.scope, self.mode, *filter(None, options)])


def make_case(values: Mapping[str, Value], implementation: str) -> Case:
    """The case that a value for every field poses.

    Raises:
        UsageError: No window fits, or the values contradict each other.
    """
    fields: dict[str, Any] = dict(values)
    if fields["batch"] == 0:
        raise UsageError("batch must be at least 1 to be measured, got 0")
    of_networks = {name: fields.pop(name) for name in _OF_NETWORKS}
    of_networks["depth"] = of_networks["depth"] or 0  # a row has none
    scope, mode, cache = (fields.pop(name) for name in ("scope", "mode", "cache"))
    try:
        fields["padding"] = resolve_padding(fields["padding"], fields["kernel_size"], fields["dilation"])
        case = Case(Problem(**fields), scope, mode, implementation, cache, **of_networks)
        _require_sense(case)
    except (TypeError, ValueError) as error:
        raise UsageError(str(error)) from None
    return case


def _require_sense(case: Case) -> None:
    """Refuse values that contradict each other.

    Raises:
        ValueError: They do; the message names them.
    """
    modes = MODES_OF[case.scope]
    if case.mode not in modes:
        raise ValueError(f"scope {case.scope} has the modes {', '.join(modes)}, got mode {case.mode}")
    if case.scope != "network":
        for name in _OF_NETWORKS:
            if getattr(case, name):
                raise ValueError(f"{name} is of scope network, got {name} {getattr(case, name)} in scope {case.scope}")
        return
    require_network(case.problem, case.depth, case.mode)


def grouped(cases: Iterable[Case]) -> list[list[Case]]:
    """The cases that are measured together, which have to stand together already."""
    return [list(group) for _, group in groupby(cases, key=lambda case: case.posed)]
