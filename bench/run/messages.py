"""What a worker is told and what it answers."""

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from ..device.timing import Timing


@dataclass(frozen=True)
class Setup:
    """What a worker measures on, and how.

    Args:
        device: The device, as the worker counts.
        timing: How long a round is.
        memory_mib: MiB that it may take, if they are limited.
        visible: The only GPU that it sees, as CUDA_VISIBLE_DEVICES names it; all that are here if None.
        sharing: How many workers of the run share the machine's memory.
    """

    device: str
    timing: Timing
    memory_mib: float | None = None
    visible: str | None = None
    sharing: int = 1

    def variables(self) -> dict[str, str]:
        """The environment that a worker starts with: CUDA looks at it once, when it is loaded."""
        return {**os.environ} if self.visible is None else {**os.environ, "CUDA_VISIBLE_DEVICES": self.visible}


@dataclass(frozen=True)
class Question:
    """A step of a case ("prepare", "round"), or a function of a module to "call", with its arguments."""

    what: str
    arguments: tuple[Any, ...]
    options: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Answer:
    """What a request gave, or the exception in a line."""

    value: Any = None
    failure: str | None = None
