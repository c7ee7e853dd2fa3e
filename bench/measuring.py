"""From cases to a run folder: a new run or the rest of one, each row on disk before the next case starts."""

import signal
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import torch
import typer
from rich.console import Console

from .axes import UsageError
from .cases import Case
from .diagnosis import bounding_chip, summary
from .environment import command_line, describe
from .fingerprint import code_version, fingerprint
from .largest_batch import MOST
from .lock import locked
from .messages import Setup
from .outgrown import Outgrown
from .pool import Worker
from .progress import reporting
from .results import STATUSES, RunFolder
from .resume import finished, key_of, recover, require_resumable
from .rotation import Rotation, Schedule
from .timing import Timing

FAILED_EXIT, INTERRUPTED_EXIT = 1, 130
LOG = "worker.log"


@dataclass(frozen=True)
class Conduct:
    """How a run is conducted, whatever its cases.

    Args:
        timing: How long a case is measured, all its turns together.
        schedule: In which order cases are measured, and until when.
        case_timeout: Seconds for a case, checks and compilation included.
        resume: Continue the run that is in the folder, if there is one.
        retry: Statuses, comma-separated, that are measured again on resuming.
        memory_mib: MiB of the device's memory that a worker may take, if they are limited.
    """

    timing: Timing
    schedule: Schedule = field(default_factory=Schedule)
    case_timeout: float = 600.0
    resume: bool = False
    retry: tuple[str, ...] = ()
    memory_mib: float | None = None

    def turn(self, device: torch.device) -> Timing:
        """How long a turn is measured on a device."""
        rounds, whole = self.schedule.rounds, self.timing
        return replace(
            whole,
            seconds=whole.seconds / rounds,
            warmup_seconds=whole.warmup_seconds / rounds,
            min_samples=-(-whole.least(device) // rounds),
        )

    @property
    def retried(self) -> frozenset[str]:
        """The statuses that are measured again."""
        return frozenset(name for text in self.retry for name in text.split(","))

    def require_sense(self) -> None:
        """Refuse what contradicts itself.

        Raises:
            UsageError: A status to retry does not exist, or nothing is resumed that could be retried.
        """
        unknown = self.retried - set(STATUSES)
        if unknown:
            raise UsageError(f"there is no status {min(unknown)!r}: there are {', '.join(STATUSES)}")
        if self.retry and not self.resume:
            raise UsageError("--retry needs --resume: it is about the cases that a run has already")

    def method(self) -> dict[str, Any]:
        """What environment.json says of it."""
        plan = {"order": self.schedule.order, "rounds": self.schedule.rounds, "seed": self.schedule.seed}
        plan |= {"largest_batch": MOST if self.schedule.largest_batch else None, "memory_limit_mib": self.memory_mib}
        return {**plan, "seconds": self.timing.seconds, "target": self.timing.target, "case_timeout": self.case_timeout}


def measure_run(
    cases: Sequence[Case], device: torch.device, path: Path, conduct: Conduct, about: Mapping[str, Any]
) -> int:
    """Measure the cases into a folder; return the exit code: 0 where each has its row, whatever it says.

    Raises:
        RunFolderError: The folder is in use, or holds a run and is not to be resumed.
        WorkerError: No worker can be started on the device.
    """
    folder = RunFolder(path)
    resumed = conduct.resume and folder.environment_path.exists()
    if not resumed:
        folder.require_new()
    setup = Setup(str(device), conduct.turn(device), conduct.memory_mib)
    with locked(path), Worker(setup, path / LOG, conduct.case_timeout) as worker:
        environment = {**worker.call(describe, device, command_line()), "cases": len(cases), **about}
        environment["code"] = {**environment["code"], "version": code_version()}
        environment |= {"method": conduct.method(), "fingerprint": fingerprint(environment)}
        console, outgrown = Console(), Outgrown()
        try:
            left: Sequence[Case] = cases
            if resumed:
                left = _resume(folder, environment, cases, conduct.retried, outgrown)
            else:
                RunFolder.create(path, environment)
            name, (chip, _) = environment["device"]["name"], worker.call(bounding_chip, device)
            typer.echo(worker.call(summary, device))
            rotation = Rotation(worker, conduct.schedule, name, chip, outgrown)
            done = _measure(left, rotation, folder, environment["fingerprint"], console)
            if resumed:
                recover(folder)
        except OSError as error:
            typer.echo(f"error: {path} cannot be written: {error.strerror}; go on with --resume", err=True)
            return FAILED_EXIT
    if done < len(left):
        typer.echo(
            f"interrupted: {len(cases) - len(left) + done} of {len(cases)} cases are done, in {path}; "
            "go on with --resume",
            err=True,
        )
        return INTERRUPTED_EXIT
    return 0


def _resume(
    folder: RunFolder, environment: dict[str, Any], cases: Sequence[Case], retry: frozenset[str], outgrown: Outgrown
) -> list[Case]:
    """Make a folder whole and its environment that of now; the cases that are still to be measured."""
    earlier = require_resumable(folder)
    recovered = recover(folder)
    for warning in recovered.warnings:
        typer.echo(f"warning: {warning}", err=True)
    now = environment["fingerprint"]
    stale = sum(row["fingerprint"] != now for row in recovered.rows.values())
    if stale:
        typer.echo(f"warning: {stale} cases were measured with other code or on another machine", err=True)
    former = earlier.pop("earlier", [])
    folder.write_environment(
        {"schema_version": earlier["schema_version"], **environment, "earlier": [*former, earlier]}
    )
    ready = finished(recovered.rows.values(), now, retry)
    for case in cases:
        key = key_of(case.parameters())
        if key in ready and recovered.rows[key]["status"] == "out_of_memory":
            outgrown.add(case)
    left = [case for case in cases if key_of(case.parameters()) not in ready]
    typer.echo(f"resumed: {len(cases) - len(left)} of {len(cases)} cases are done already")
    return left


def _measure(cases: Sequence[Case], rotation: Rotation, folder: RunFolder, mark: str, console: Console) -> int:
    """Run the cases; how many were done before an interrupt."""
    done = 0
    with reporting(cases, console) as report:
        try:
            for one in rotation.run(cases):
                row = {**one.row, "fingerprint": mark}
                with _interrupts_held_back():
                    folder.append(row, one.latency.samples_ms, one.latency.details())
                    done += 1
                report(one.case, row)
        except KeyboardInterrupt:
            return done
    return done


@contextmanager
def _interrupts_held_back() -> Iterator[None]:
    """Let a Ctrl-C wait until a case is written whole."""
    held: list[int] = []
    usual = signal.signal(signal.SIGINT, lambda number, _: held.append(number))
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, usual)
    if held:
        raise KeyboardInterrupt
