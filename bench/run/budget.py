"""The minutes of a run: which cases still fit into them, said before they are measured."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from ..case.case import Case, grouped
from ..results.columns import NOT_RUN
from .rates import Rates

# How much longer a case may take than it is expected to.
_MARGIN = 1.1


class Fitting(Protocol):
    """Who decides which cases of a problem still fit into a run's time."""

    def left_out(self, group: Sequence[Case]) -> Mapping[Case, str]:
        """The cases of a problem that are not to be measured, with the reason."""

    def learn(self, case: Case, seconds: float, latency_s: float | None, *, first: bool) -> None:
        """Learn how long a case took."""


@dataclass
class Budget:
    """The time that is left for measuring.

    Args:
        parts: The cases in their order, by the name of the part that they belong to.
        rates: How long cases take.
        deadline: When measuring has to end, on `clock`.
        case_timeout: Seconds that a case has; one that is expected to take longer is not begun.
        clock: The time, in seconds.
        tell: Where the forecast goes.
    """

    parts: Mapping[str, Sequence[Case]]
    rates: Rates
    deadline: float
    case_timeout: float
    clock: Callable[[], float]
    tell: Callable[[str], None]

    def __post_init__(self) -> None:
        self._part = {case: name for name, cases in self.parts.items() for case in cases}
        self._told: set[str] = set()

    def left_out(self, group: Sequence[Case]) -> Mapping[Case, str]:
        """The cases of a problem that do not fit; before the first of each part, tell what will, if rates are known."""
        name = self._part[group[0]]
        if self.rates.known and name not in self._told:
            self.tell(self.forecast(group[0]))
            self._told.add(name)
        return self._refused(group, self.deadline - self.clock())[0]

    def learn(self, case: Case, seconds: float, latency_s: float | None, *, first: bool) -> None:
        """Learn how long a case took."""
        self.rates.learn(case, seconds, latency_s, first=first)

    def forecast(self, start: Case) -> str:
        """How many cases of each part will fit, from one case on, in a line."""
        left, counts, begun = self.deadline - self.clock(), [], False
        fitting = ahead = 0
        for name, cases in self.parts.items():
            begun = begun or start in cases
            if not begun or not cases:
                continue
            part = cases[cases.index(start) :] if start in cases else cases
            refused = 0
            for group in grouped(part):
                out, seconds = self._refused(group, left)
                left, refused = left - seconds, refused + len(out)
            counts.append(f"{name} {len(part) - refused} of {len(part)}")
            fitting, ahead = fitting + len(part) - refused, ahead + len(part)
        minutes = max(self.deadline - self.clock(), 0) / 60
        return (
            f"by the rates of this GPU so far, {fitting} of the {ahead} cases ahead fit into {minutes:.1f} minutes: "
            + ", ".join(counts)
        )

    def _refused(self, group: Sequence[Case], left: float) -> tuple[dict[Case, str], float]:
        """Who of a problem does not fit into so many seconds, and the seconds that the others take."""
        refused: dict[Case, str] = {}
        taken = 0.0
        for case in group:
            seconds = _MARGIN * self.rates.seconds(case, first=len(refused) == group.index(case))
            if seconds > self.case_timeout:
                refused[case] = f"{NOT_RUN}: it needs some {seconds:.0f} s, and a case has {self.case_timeout:g} s"
            elif taken + seconds > left:
                room = max(left - taken, 0.0)
                refused[case] = (
                    f"{NOT_RUN}: it needs some {seconds:.1f} s, and {room:.1f} s of the run's time were left"
                )
            else:
                taken += seconds
        return refused, taken
