"""What the memory is enough for: cases that need not be tried after a smaller one failed, and the largest batch."""

from collections.abc import Callable
from dataclasses import asdict, dataclass, field, replace
from typing import Any

from ..case.case import Case
from ..measure.steps import CaseRunner
from ..results.columns import Row

_SIZES = ("batch", "channels", "height", "width", "kernel_size", "out_height", "out_width")
_ALIKE = ("implementation", "scope", "depth", "torch_compile")
# The padding follows the window; what it does to the memory is in the size of the output.
_FREE = frozenset({*_SIZES, "padding"})


@dataclass
class Outgrown:
    """The cases that ran out of memory so far."""

    failed: list[Case] = field(default_factory=list)

    def add(self, case: Case) -> None:
        """Remember a case that ran out of memory."""
        self.failed.append(case)

    def reason(self, case: Case) -> str | None:
        """Why a case will run out of memory too, or None where that is not known."""
        smaller = next((one for one in self.failed if _is_smaller(one, case)), None)
        return None if smaller is None else f"predicted: out of memory already at {smaller.label()}: not tried"


def _is_smaller(one: Case, other: Case) -> bool:
    """Whether they are alike but for sizes, none of which is larger in `one` and some smaller.

    What is out of memory forward is so with gradients; the cache's state makes no difference.
    """
    if any(getattr(one, name) != getattr(other, name) for name in _ALIKE):
        return False
    if one.mode not in (other.mode, "forward") or _options(one) != _options(other):
        return False
    sizes, others = _sizes(one), _sizes(other)
    return sizes != others and all(a <= b for a, b in zip(sizes, others, strict=True))


def _options(case: Case) -> dict[str, Any]:
    return {name: value for name, value in asdict(case.problem).items() if name not in _FREE}


def _sizes(case: Case) -> tuple[int, ...]:
    return tuple(getattr(case.problem, name) for name in _SIZES)


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
        runner: Who tries a case.
    """

    runner: CaseRunner
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
            status = self.runner.fits(replace(case, problem=replace(case.problem, batch=batch))).status
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
