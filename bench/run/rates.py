"""How long a case will take, by what cases like it took on the same device in the same run."""

import math
from collections.abc import Hashable, Iterator
from dataclasses import dataclass, field
from functools import lru_cache

from ..case.case import Case
from ..cost.metrics import counts

# Operations and bytes per second of a GPU by name only: of works in seconds, their ratios count.
_FLOPS, _BYTES = 20e12, 2e12
# Calls of a case beside its samples, over all rounds: check, memory, warm-up, estimates.
_BESIDE = 50
# Seconds of a case beside its samples of which nothing is known yet.
_UNKNOWN = 0.5


@dataclass(frozen=True)
class Seen:
    """A case that has ended: its work, the seconds of all its steps, and its latency if it has one."""

    work: float
    seconds: float
    latency_s: float | None


@dataclass
class Rates:
    """What is known of the seconds of cases.

    A latency grows as the work does, from that of the case nearest in work. Beside its samples a case takes as long as
    that one did, but the one that a problem begins with also waits for the results in float64, which grow likewise.

    Args:
        samples_s: Seconds for a case's samples, at the most, once there are enough.
        least: Samples of a case at the least.
    """

    samples_s: float
    least: int
    _seen: dict[Hashable, list[Seen]] = field(default_factory=dict)

    @property
    def known(self) -> bool:
        """Whether a case has ended."""
        return bool(self._seen)

    def learn(self, case: Case, seconds: float, latency_s: float | None, *, first: bool) -> None:
        """Remember a case that has ended; `first` is the one that a problem begins with."""
        one = Seen(work_s(case), seconds, latency_s)
        for key in _keys(case, first=first):
            self._seen.setdefault(key, []).append(one)

    def seconds(self, case: Case, *, first: bool) -> float:
        """The seconds that a case will take, all its rounds and its share of what its problem needs included."""
        alike = next((seen for key in _keys(case, first=first) if (seen := self._seen.get(key))), None)
        if alike is None:
            return self.samples_s + _UNKNOWN
        work = work_s(case)
        one = min(alike, key=lambda seen: abs(math.log(seen.work / work)))
        ratio = work / one.work
        if one.latency_s is None:
            return one.seconds * max(1.0, ratio)
        sampled = self._sampled(one.latency_s)
        beside = max(one.seconds - sampled, 0.0) * (max(1.0, ratio) if first else 1.0)
        known = beside + min(one.seconds, sampled)
        return max(known + self._sampled(one.latency_s * ratio) - sampled, one.seconds * min(1.0, ratio))

    def _sampled(self, latency_s: float) -> float:
        return max(self.samples_s, self.least * latency_s) + _BESIDE * latency_s


@lru_cache(maxsize=8192)
def work_s(case: Case) -> float:
    """What a case does, in seconds of a GPU by name only: its operations or the bytes that it must move."""
    known = counts(case)
    return max(known.get("flops", 0.0) / _FLOPS, known.get("min_bytes", 0.0) / _BYTES, 1e-9)


def _keys(case: Case, *, first: bool) -> Iterator[Hashable]:
    """What cases are alike in, the most alike first."""
    mode, scope, dtype = case.mode, case.scope, case.problem.dtype
    yield case.implementation, first, mode, case.cache, scope, dtype
    yield case.implementation, first, mode, scope, dtype
    yield case.implementation, first, mode, scope
    yield case.implementation, first, mode
    yield case.implementation, mode
    yield case.implementation
