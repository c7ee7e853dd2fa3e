"""A case: one problem, in one scope and mode and from one state of the cache, by one implementation or yardstick."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from kernels import Problem, resolve_padding

from .axes import UsageError, Value
from .yardsticks import YARDSTICKS, Yardstick


@dataclass(frozen=True)
class Case:
    """What one row of the results measures."""

    problem: Problem
    scope: str
    mode: str
    implementation: str
    cache: str = "hot"

    @property
    def backward(self) -> bool:
        """Whether gradients are taken."""
        return self.mode != "forward"

    @property
    def yardstick(self) -> Yardstick | None:
        """The yardstick that it measures, None where it is an implementation of the layer."""
        return YARDSTICKS.get(self.implementation)

    def parameters(self) -> dict[str, Any]:
        """The columns that say what was asked."""
        kind = "implementation" if self.yardstick is None else "yardstick"
        named = {"implementation": self.implementation, "kind": kind, "mode": self.mode, "scope": self.scope}
        return {**named, **asdict(self.problem), "cache": self.cache}

    def label(self) -> str:
        """The case in a few words, for progress lines."""
        p = self.problem
        options = [
            f"N{p.batch} C{p.channels} {p.height}×{p.width} k{p.kernel_size} m{p.m} s{p.stride}",
            f"d{p.dilation}" if p.dilation != 1 else "",
            p.dtype if p.dtype != "float32" else "",
            self.cache if self.cache == "cold" else "",
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
    scope, mode, cache = (fields.pop(name) for name in ("scope", "mode", "cache"))
    try:
        fields["padding"] = resolve_padding(fields["padding"], fields["kernel_size"], fields["dilation"])
        return Case(Problem(**fields), scope, mode, implementation, cache)
    except (TypeError, ValueError) as error:
        raise UsageError(str(error)) from None
