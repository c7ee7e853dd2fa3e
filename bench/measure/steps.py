"""The steps that measuring a case is made of, and what each gives: what a worker offers and a rotation asks for."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Protocol

from ..case.case import Case
from ..device.first_call import FirstCall
from ..device.timing import Latency
from ..results.folder import Row


@dataclass(frozen=True)
class Step:
    """What a step gave.

    Args:
        row: Columns of the case's row; `status` and `reason` are among them only where the case ends here.
        latency: The samples of a turn.
        usable: Whether the process can go on; a sticky error of CUDA leaves it unable to.
        first: The case's first call, where this step made it.
        capture_failed: Whether the process captures no more CUDA graphs: what comes next belongs in another one.
        parts: The samples of the case's parts, under the names that their columns begin with.
    """

    row: Row
    latency: Latency | None = None
    usable: bool = True
    first: FirstCall | None = None
    capture_failed: bool = False
    parts: Mapping[str, Latency] = field(default_factory=dict)


class Steps(Protocol):
    """Somebody who can measure cases, here or in another process. Failures are rows, not exceptions."""

    def prepare(self, case: Case) -> Step:
        """Refuse a case, or check its results and weigh its memory; nothing is timed."""

    def turn(self, case: Case) -> Step:
        """Take the samples of one turn of a prepared case."""

    def fits(self, case: Case) -> Step:
        """Call a case once, prepared or not, neither checked nor timed: whether the memory is enough for it."""
