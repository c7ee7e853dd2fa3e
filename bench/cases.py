"""A case: one problem, in one scope and mode, by one implementation."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from kernels import Problem, resolve_padding

from .axes import UsageError, Value


@dataclass(frozen=True)
class Case:
    """What one row of the results measures."""

    problem: Problem
    scope: str
    mode: str
    implementation: str

    @property
    def backward(self) -> bool:
        """Whether gradients are taken."""
        return self.mode != "forward"

    def parameters(self) -> dict[str, Any]:
        """The columns that say what was asked."""
        named = {"implementation": self.implementation, "mode": self.mode, "scope": self.scope}
        return {**named, **asdict(self.problem)}

    def label(self) -> str:
        """The case in a few words, for progress lines."""
        p = self.problem
        options = [
            f"N{p.batch} C{p.channels} {p.height}×{p.width} k{p.kernel_size} m{p.m} s{p.stride}",
            f"d{p.dilation}" if p.dilation != 1 else "",
            p.dtype if p.dtype != "float32" else "",
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
    scope, mode = fields.pop("scope"), fields.pop("mode")
    try:
        fields["padding"] = resolve_padding(fields["padding"], fields["kernel_size"], fields["dilation"])
        return Case(Problem(**fields), scope, mode, implementation)
    except (TypeError, ValueError) as error:
        raise UsageError(str(error)) from None
