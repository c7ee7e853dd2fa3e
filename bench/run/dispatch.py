"""Slots at work side by side: each group goes to one that is free, and elsewhere if that one is lost."""

import threading
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from dataclasses import dataclass
from queue import SimpleQueue
from typing import Any, Self, TypeVar

import typer

from ..case.case import Case
from ..errors import WorkerError
from .schedule import CaseResult
from .slot import Group, Identity, Slot

# A group that has lost so many slots is not given to another.
ATTEMPTS = 3
_PATIENCE_SECONDS = 1.0

T = TypeVar("T")


@dataclass
class _Pending:
    """What is left of a group, and how often it was begun."""

    left: list[Case]
    attempts: int = 0


class Dispatch:
    """Some slots. A context: they are closed on the way out.

    One slot alone is asked from the caller's thread, so that a row can be on disk before the next case begins.
    Several have a thread each, which lives as long as the slot: a worker dies with the thread that started it.

    Args:
        slots: At least one.
    """

    def __init__(self, slots: Sequence[Slot]) -> None:
        self._all = list(slots)
        self._lanes = {slot: ThreadPoolExecutor(1) for slot in slots} if len(self._all) > 1 else {}
        self._at_work = self._all
        self._identities: dict[Slot, Identity] = {}
        self._tasks: deque[_Pending] = deque()
        self._unfinished = 0
        self._changed = threading.Condition()
        self._stopped = False
        self._asked: dict[Slot, Future[Any]] = {}
        self._loss: WorkerError | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        with self._changed:
            self._stopped = True
            self._changed.notify_all()
        for slot in self._late():
            slot.stop()
        for lane in self._lanes.values():
            lane.shutdown()
        for slot in self._all:
            slot.close()

    def open(self) -> dict[Slot, Identity]:
        """Start every slot.

        Raises:
            DeviceInUse: A GPU belongs to another benchmark.
            WorkerError: None can be started.
        """
        self._identities = self.each(lambda slot: slot.open())
        return self._identities

    def each(self, ask: Callable[[Slot], T]) -> dict[Slot, T]:
        """What every slot answers, all at once; one that is lost then is left out from now on.

        Raises:
            WorkerError: None is left.
        """
        if not self._lanes:
            return {slot: ask(slot) for slot in self._all}
        asked = {slot: self._lanes[slot].submit(ask, slot) for slot in self._at_work}
        self._asked.update(asked)
        answers = {}
        for slot, answer in asked.items():
            try:
                answers[slot] = answer.result()
            except WorkerError as error:
                self._lose(error)
        self._at_work = list(answers)
        if self._loss is not None and not answers:
            raise self._loss
        return answers

    def run(self, groups: Sequence[Group]) -> Iterator[tuple[Slot, CaseResult]]:
        """Every case as it ends, and the slot that measured it.

        Raises:
            WorkerError: All slots were lost before the last group was measured.
        """
        self._tasks = deque(_Pending(list(group)) for group in groups)
        self._unfinished = len(self._tasks)
        yield from self._side_by_side() if self._lanes else self._measured(self._all[0])
        if self._loss is not None and self._unfinished:
            raise self._loss

    def _side_by_side(self) -> Iterator[tuple[Slot, CaseResult]]:
        """The slots' cases as they come."""
        ended: SimpleQueue[tuple[Slot, CaseResult] | BaseException | None] = SimpleQueue()

        def work(slot: Slot) -> None:
            try:
                for one in self._measured(slot):
                    ended.put(one)
                ended.put(None)
            except BaseException as error:  # noqa: BLE001  the caller's thread raises it
                ended.put(error)

        self._asked.update({slot: self._lanes[slot].submit(work, slot) for slot in self._at_work})
        working = len(self._at_work)
        while working:
            one = ended.get()
            if isinstance(one, BaseException):
                raise one
            if one is not None:
                yield one
            elif self._unfinished:
                working -= 1
            else:
                return  # whoever has not ended yet is about to, or tries to come back for nothing

    def _measured(self, slot: Slot) -> Iterator[tuple[Slot, CaseResult]]:
        """What a slot measures of the tasks, until none is left or it is lost."""
        while (task := self._next()) is not None:
            task.attempts += 1
            try:
                for result in slot.measure(tuple(task.left)):
                    task.left.remove(result.case)
                    yield slot, result
            except WorkerError as error:
                if self._stopped:
                    return
                self._lose(error)
                if task.attempts == ATTEMPTS:
                    yield from ((slot, self._given_up(case, slot, error)) for case in task.left)
                    self._finish()
                else:
                    self._give_back(task)
                if not slot.revive():
                    return
            else:
                self._finish()

    def _next(self) -> _Pending | None:
        """A task that nobody has; None if there will be none."""
        with self._changed:
            self._changed.wait_for(lambda: self._tasks or not self._unfinished or self._stopped)
            return self._tasks.popleft() if self._tasks and not self._stopped else None

    def _finish(self) -> None:
        with self._changed:
            self._unfinished -= 1
            self._changed.notify_all()

    def _give_back(self, task: _Pending) -> None:
        with self._changed:
            self._tasks.appendleft(task)
            self._changed.notify_all()

    def _late(self) -> list[Slot]:
        """Those that do not end on their own, as they are in the midst of something."""
        wait(self._asked.values(), _PATIENCE_SECONDS)
        return [slot for slot, answer in self._asked.items() if not answer.done()]

    def _lose(self, error: WorkerError) -> None:
        self._loss = error
        if len(self._all) > 1 and not self._stopped:
            typer.echo(f"warning: a device is lost: {error}", err=True)

    def _given_up(self, case: Case, last: Slot, error: WorkerError) -> CaseResult:
        reason = f"not measured: {ATTEMPTS} devices were lost over its problem, at last: {error}"
        return CaseResult(case, "crashed", reason, {"place": self._identities[last].columns()})
