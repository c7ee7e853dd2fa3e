"""Which cases need not be tried, because a smaller one of the same implementation ran out of memory."""

from dataclasses import asdict, dataclass, field
from typing import Any

from ..case.case import Case

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
