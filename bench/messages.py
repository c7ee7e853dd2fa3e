"""What a worker is told and what it answers."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from .timing import Timing


@dataclass(frozen=True)
class Setup:
    """What a worker measures on, how long a turn is, and the MiB that it may take, if they are limited."""

    device: str
    timing: Timing
    memory_mib: float | None = None


@dataclass(frozen=True)
class Request:
    """A step of a case ("prepare", "turn"), or a function of a module to "call", with its arguments."""

    what: str
    arguments: tuple[Any, ...]
    options: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Answer:
    """What a request gave, or the exception in a line."""

    value: Any = None
    failure: str | None = None
