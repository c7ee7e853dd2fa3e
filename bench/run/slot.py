"""A station: one device, the worker on it, and the rotation of cases there, on this machine or on another."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Protocol

import torch

from ..case.case import Case
from ..device.calibration import bounding_chip, summary
from ..device.environment import describe
from ..locks import busy, busy_gpus, owned
from ..measure.steps import Step, Steps
from .messages import Setup
from .schedule import Done, Rotation, Schedule
from .worker import COMMAND, Worker

# The cases of one problem: they stay together, so that what is compared is measured on one device.
Group = Sequence[Case]


@dataclass(frozen=True)
class Plan:
    """How every station of a run measures.

    Args:
        setup: What its worker measures on, and how long a turn is.
        schedule: In which order cases are measured, and until when.
        case_timeout: Seconds for a case, checks and compilation included.
        argv: The command that runs.
        command: What starts a worker.
    """

    setup: Setup
    schedule: Schedule
    case_timeout: float
    argv: tuple[str, ...]
    command: tuple[str, ...] = COMMAND


@dataclass(frozen=True)
class Identity:
    """Where a station stands: what environment.json says of it, and what its doctor found, in a line."""

    environment: Mapping[str, Any]
    summary: str

    @property
    def device(self) -> str:
        """The device's name."""
        return str(self.environment["device"]["name"])

    def columns(self) -> dict[str, Any]:
        """The columns of a row that say where it was measured."""
        environment = self.environment
        return {"host": environment["host"]["name"], "gpu_uuid": environment["device"].get("uuid")}


class Station(Protocol):
    """Who measures groups of cases on one device, one group at a time."""

    def open(self) -> Identity:
        """Start it and take hold of the device.

        Raises:
            DeviceInUse: Another benchmark has the GPU.
            WorkerError: No worker can be started.
        """

    def remember(self, cases: Sequence[Case]) -> None:
        """Learn of cases that ran out of memory on the device before."""

    def measure(self, cases: Group) -> Iterator[Done]:
        """Every case as it ends.

        Raises:
            WorkerError: The station is lost; what did not end has to be measured elsewhere.
        """

    def revive(self) -> bool:
        """Start a lost station anew; whether that was possible."""

    def stop(self) -> None:
        """Make `measure` end early, in whatever thread it runs."""

    def close(self) -> None:
        """Give the device back."""


@dataclass
class _Attended:
    """Steps, and the most GPUs of the machine that were at work while they were taken."""

    steps: Steps
    most: int = 0

    def prepare(self, case: Case) -> Step:
        self.most = max(self.most, busy_gpus())
        return self.steps.prepare(case)

    def fits(self, case: Case) -> Step:
        return self.steps.fits(case)

    def turn(self, case: Case) -> Step:
        self.most = max(self.most, busy_gpus())
        return self.steps.turn(case)


@dataclass(eq=False)
class LocalStation:
    """A station on this machine. Its worker survives whatever a case does to it.

    Args:
        plan: How it measures.
        log: The file that its worker's output is added to.
    """

    plan: Plan
    log: Path
    _held: ExitStack = field(default_factory=ExitStack)

    def __post_init__(self) -> None:
        plan = self.plan
        self._worker = self._held.enter_context(Worker(plan.setup, self.log, plan.case_timeout, command=plan.command))

    def open(self) -> Identity:
        """Start the worker and lock the GPU."""
        device, ask = torch.device(self.plan.setup.device), self._worker.call
        identity = Identity(ask(describe, device, self.plan.argv), ask(summary, device))
        self._columns = identity.columns()
        if self._uuid is not None:
            self._held.enter_context(owned(self._uuid))
        chip, _ = ask(bounding_chip, device)
        self._attended = _Attended(self._worker)
        self._rotation = Rotation(self._attended, self.plan.schedule, identity.device, chip)
        return identity

    @property
    def _uuid(self) -> str | None:
        uuid: str | None = self._columns["gpu_uuid"]
        return uuid

    def remember(self, cases: Sequence[Case]) -> None:
        """Learn of cases that ran out of memory on the device before."""
        for case in cases:
            self._rotation.outgrown.add(case)

    def measure(self, cases: Group) -> Iterator[Done]:
        """Every case as it ends, with the columns that say where."""
        if self._uuid is None:
            yield from (self._placed(done, None) for done in self._rotation.run(cases))
            return
        with busy(self._uuid):
            self._attended.most = busy_gpus()
            yield from (self._placed(done, self._attended.most) for done in self._rotation.run(cases))

    def _placed(self, done: Done, gpus_busy: int | None) -> Done:
        return replace(done, row={**done.row, **self._columns, "gpus_busy": gpus_busy})

    def revive(self) -> bool:
        """Nothing is left to try: the worker has been started several times already."""
        return False

    def stop(self) -> None:
        """Kill the worker, for good."""
        self._worker.stop()

    def close(self) -> None:
        """End the worker and unlock the GPU."""
        self._held.close()
