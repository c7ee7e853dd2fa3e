"""Slots that measure nothing: what a dispatch does with them is seen from who ended which case."""

import threading
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from bench.case.case import Case
from bench.errors import WorkerError
from bench.run.schedule import CaseResult
from bench.run.slot import Group, Identity
from tests.support.bench_cases import case


def groups(count: int) -> list[list[Case]]:
    """Problems that two implementations measure."""
    return [[case(name, batch=batch) for name in ("unfold", "chunked")] for batch in range(1, count + 1)]


def identity(name: str) -> Identity:
    """Where a pretended slot stands."""
    environment: dict[str, Any] = {"host": {"name": name}, "device": {"name": "a CPU", "type": "cpu"}}
    return Identity(environment, "doctor: not run")


@dataclass(eq=False)
class Pretended:
    """A slot that is lost at the cases of some batches, after it has ended the first case of the group.

    Args:
        name: Its host.
        deadly: The batches.
        revivals: How often it comes back.
        together: Met before each group, so that slots take their groups at the same time.
    """

    name: str
    deadly: frozenset[int] = frozenset()
    revivals: int = 0
    together: threading.Barrier | None = None
    measured: list[Case] = field(default_factory=list)
    closed: bool = False
    _stopped: threading.Event = field(default_factory=threading.Event)

    def open(self) -> Identity:
        return identity(self.name)

    def remember(self, cases: Sequence[Case]) -> None:
        raise NotImplementedError

    def measure(self, cases: Group) -> Iterator[CaseResult]:
        if self.together is not None:
            self.together.wait(10.0)
            self.together = None
        for one in cases:
            if one.implementation == "chunked" and one.problem.batch in self.deadly:
                raise WorkerError(f"{self.name} is no more")
            self.measured.append(one)
            yield CaseResult(one, "ok", parts={"place": {"host": self.name}})
        time.sleep(0.001)

    def revive(self) -> bool:
        self.revivals -= 1
        return self.revivals >= 0

    def stop(self) -> None:
        self._stopped.set()

    def close(self) -> None:
        self.closed = True


class Hanging(Pretended):
    """A slot that does not end a case before it is stopped."""

    def measure(self, cases: Group) -> Iterator[CaseResult]:
        yield CaseResult(cases[0], "ok", parts={"place": {"host": self.name}})
        assert self._stopped.wait(30.0)
        raise WorkerError("stopped")
