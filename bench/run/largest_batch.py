"""The largest batch that the memory is enough for, by doubling and bisection."""

from collections.abc import Callable
from dataclasses import dataclass, field, replace

from ..case.case import Case
from ..measure.steps import Steps
from ..results.folder import Row

# Where the search ends though more would fit, and the share of the answer that it may fall short by.
MOST, SHARE = 4096, 16
# What ends a case that a larger batch is at fault for; after anything else nothing is known.
_TOO_LARGE = ("out_of_memory", "error")


class _Unknown(Exception):  # noqa: N818
    """A batch was too long under way, or ended its process: whether it fits is not known."""


@dataclass
class BatchSearch:
    """Finds the largest batch of cases, once for all that differ in nothing but the batch.

    Args:
        steps: Who tries a case.
    """

    steps: Steps
    _found: dict[Case, int | None] = field(default_factory=dict)

    def columns(self, case: Case, status: str) -> Row:
        """The column of a case that ended so: empty where it is another function's, or what ended it was no memory."""
        if status not in ("ok", "out_of_memory") or (case.yardstick is not None and case.scope != "network"):
            return {}
        key = replace(case, problem=replace(case.problem, batch=1), cache="hot")
        if key not in self._found:
            self._found[key] = self._search(case)
        return {"largest_batch": self._found[key]}

    def _search(self, case: Case) -> int | None:
        def fits(batch: int) -> bool:
            status = self.steps.fits(replace(case, problem=replace(case.problem, batch=batch))).row.get("status")
            if status is not None and status not in _TOO_LARGE:
                raise _Unknown(status)
            return status is None

        try:
            return largest(fits, case.problem.batch)
        except _Unknown:
            return None


def largest(fits: Callable[[int], bool], start: int, most: int = MOST) -> int:
    """The largest number that fits, or one at most a sixteenth smaller; `most` if that fits, 0 if not even 1 does.

    Args:
        fits: Whether a number does; whatever is smaller than one that does, does too.
        start: Where the search begins.
        most: Where it ends.
    """
    low, high, tried = 0, most + 1, min(start, most)
    while high - low > max(1, low // SHARE):
        if fits(tried):
            low = tried
        else:
            high = tried
        tried = min(2 * low, most) if high > most else (low + high) // 2
    return low
