"""A slot: one device, the worker on it, and the schedule of cases there, on this machine or on another."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

import torch

from ..case.case import Case
from ..device.calibration import bounding_chip, summary
from ..device.environment import describe
from ..locks import busy, busy_gpus, owned
from .conduct import Conduct
from .messages import Setup
from .schedule import CaseResult, Schedule
from .worker import COMMAND, Worker

# After the run's deadline a step that was begun before it may take so long.
_GRACE_SECONDS = 10.0
# The cases of one problem: they stay together, so that what is compared is measured on one device.
Group = Sequence[Case]


@dataclass(frozen=True)
class Identity:
    """Where a slot stands: what environment.json says of it, and what its doctor found, in a line."""

    environment: Mapping[str, Any]
    summary: str

    def columns(self) -> dict[str, Any]:
        """The columns of a row that say where it was measured."""
        device, host = self.environment["device"], self.environment["host"]
        return {"device": device["name"], "host": host["name"], "gpu_uuid": device.get("uuid")}


class Slot(Protocol):
    """Who measures groups of cases on one device, one group at a time."""

    def open(self) -> Identity:
        """Start it and take hold of the device.

        Raises:
            DeviceInUse: Another benchmark has the GPU.
            WorkerError: No worker can be started.
        """

    def remember(self, cases: Sequence[Case]) -> None:
        """Learn of cases that ran out of memory on the device before."""

    def measure(self, cases: Group) -> Iterator[CaseResult]:
        """Every case as it ends.

        Raises:
            WorkerError: The slot is lost; what did not end has to be measured elsewhere.
        """

    def revive(self) -> bool:
        """Start a lost slot anew; whether that was possible."""

    def stop(self) -> None:
        """Make `measure` end early, in whatever thread it runs."""

    def close(self) -> None:
        """Give the device back."""


@dataclass(eq=False)
class LocalSlot:
    """A slot on this machine. Its worker survives whatever a case does to it.

    Args:
        setup: What its worker measures on, and how long a round is.
        conduct: How it measures.
        argv: The command that runs.
        log: The file that its worker's output is added to.
        command: What starts a worker.
    """

    setup: Setup
    conduct: Conduct
    argv: tuple[str, ...]
    log: Path
    command: Sequence[str] = COMMAND
    _held: ExitStack = field(default_factory=ExitStack)
    _busy: int | None = None

    def __post_init__(self) -> None:
        deadline = self.conduct.deadline + _GRACE_SECONDS
        worker = Worker(self.setup, self.log, self.conduct.case_timeout, deadline, command=self.command)
        self._worker = self._held.enter_context(worker)

    def open(self) -> Identity:
        """Start the worker and lock the GPU."""
        device, ask = torch.device(self.setup.device), self._worker.call
        identity = Identity(ask(describe, device, self.argv), ask(summary, device))
        self._place = identity.columns()
        if self._uuid is not None:
            self._held.enter_context(owned(self._uuid))
        chip, _ = ask(bounding_chip, device)
        self._schedule = Schedule(self._worker, self.conduct, chip, self._attend)
        return identity

    @property
    def _uuid(self) -> str | None:
        uuid: str | None = self._place["gpu_uuid"]
        return uuid

    def _attend(self) -> None:
        """Keep the most GPUs of the machine that were busy while this one was."""
        if self._busy is not None:
            self._busy = max(self._busy, busy_gpus())

    def remember(self, cases: Sequence[Case]) -> None:
        """Learn of cases that ran out of memory on the device before."""
        for case in cases:
            self._schedule.outgrown.add(case)

    def measure(self, cases: Group) -> Iterator[CaseResult]:
        """Every case as it ends, with the columns that say where."""
        with ExitStack() as counted:
            if self._uuid is not None:
                counted.enter_context(busy(self._uuid))
                self._busy = busy_gpus()
            for result in self._schedule.run(cases):
                yield result.told("place", {**self._place, "gpus_busy": self._busy})

    def revive(self) -> bool:
        """Nothing is left to try: the worker has been started several times already."""
        return False

    def stop(self) -> None:
        """Kill the worker, for good."""
        self._worker.stop()

    def close(self) -> None:
        """End the worker and unlock the GPU."""
        self._held.close()
