"""What the steps of measuring a case are called, and what each of them gives."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Protocol

from ..case.case import Case
from ..device.resources import FirstCall
from ..results.columns import Row
from ..samples import Latency


@dataclass(frozen=True)
class StepResult:
    """What a step gave.

    Args:
        columns: Columns of the case's row.
        status: Set where the case ends here: what became of it.
        reason: Why, in a line.
        latency: The samples of a round.
        usable: Whether the process can go on; a sticky error of CUDA leaves it unable to.
        first: The case's first call, where this step made it.
        capture_failed: Whether the process captures no more CUDA graphs: what comes next belongs in another one.
        parts: The samples of the case's parts, under the names that their columns begin with.
    """

    columns: Row = field(default_factory=dict)
    status: str | None = None
    reason: str | None = None
    latency: Latency | None = None
    usable: bool = True
    first: FirstCall | None = None
    capture_failed: bool = False
    parts: Mapping[str, Latency] = field(default_factory=dict)


class CaseRunner(Protocol):
    """Somebody who takes the steps of cases, here or in another process."""

    def prepare(self, case: Case) -> StepResult:
        """Refuse a case, or check its results and weigh its memory; nothing is timed."""

    def round(self, case: Case) -> StepResult:
        """Take the samples of one round of a prepared case."""

    def recheck(self, case: Case) -> StepResult:
        """Check the results of what was timed, once all rounds are over, on inputs drawn anew."""

    def fits(self, case: Case) -> StepResult:
        """Call a case once, prepared or not, neither checked nor timed: whether the memory is enough for it."""
