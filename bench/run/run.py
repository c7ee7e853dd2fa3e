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

from ..case.case import Case, grouped
from ..commands.progress import reporting
from ..device.environment import checkout, command_line
from ..device.timing import Timing
from ..errors import UsageError
from ..locks import locked
from ..results.fingerprint import code_version, fingerprint
from ..results.folder import STATUSES, RunFolder
from ..results.recovery import fingerprints_of, finished, key_of, recover, require_resumable, same_software
from .anchor import anchor, how_alike, told
from .dispatch import Crew
from .executors import Executor
from .largest_batch import MOST
from .messages import Setup
from .schedule import Schedule
from .slot import Plan, Station

FAILED_EXIT, INTERRUPTED_EXIT = 1, 130


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
    cases: Sequence[Case], executor: Executor, path: Path, conduct: Conduct, about: Mapping[str, Any]
) -> int:
    """Measure the cases into a folder; return the exit code: 0 where each has its row, whatever it says.

    Raises:
        RunFolderError: The folder is in use, or holds a run and is not to be resumed.
        DeviceInUse: A GPU belongs to another benchmark.
        WorkerError: No worker can be started on the devices.
    """
    folder = RunFolder(path)
    resumed = conduct.resume and folder.environment_path.exists()
    if not resumed:
        folder.require_new()
    setup = Setup(str(executor.device), conduct.turn(executor.device), conduct.memory_mib)
    plan = Plan(setup, conduct.schedule, conduct.case_timeout, tuple(command_line()))
    with locked(path), Crew(executor.stations(plan, path)) as crew:
        environment, marks = _open(crew, executor, about)
        environment |= {"cases": len(cases), "method": conduct.method()}
        try:
            left: Sequence[Case] = cases
            if resumed:
                left, outgrown = _resume(folder, environment, cases, conduct, executor)
                crew.each(lambda station: station.remember(outgrown.get(marks[station], [])))
            else:
                RunFolder.create(path, environment)
            done = _measure(left, crew, folder, marks)
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


def _open(crew: Crew, executor: Executor, about: Mapping[str, Any]) -> tuple[dict[str, Any], dict[Station, str]]:
    """Start the stations; environment.json's content, the first station's but for `devices`, and all fingerprints.

    Where devices are to be compared, those of this run or of other shards, each measures the anchor.
    """
    code = {**checkout(), "version": code_version()}
    opened = {
        station: replace(identity, environment={**identity.environment, "code": code})
        for station, identity in crew.open().items()
    }
    marks = {station: fingerprint(identity.environment) for station, identity in opened.items()}
    devices = {
        station: {**identity.columns(), "name": identity.device, "fingerprint": marks[station]}
        for station, identity in opened.items()
    }
    for line in dict.fromkeys(identity.summary for identity in opened.values()):
        typer.echo(line)
    if len(devices) > 1 or "shard" in about:
        case = anchor(executor.device)
        for station, (done,) in crew.each(lambda station: list(station.measure([case]))).items():
            devices[station]["anchor"] = told(done)
        typer.echo(how_alike(device for device in devices.values() if "anchor" in device))
    first = next(iter(opened))
    environment = {**opened[first].environment, "fingerprint": marks[first], "devices": list(devices.values())}
    return {**environment, **about}, marks


def _resume(
    folder: RunFolder, environment: dict[str, Any], cases: Sequence[Case], conduct: Conduct, executor: Executor
) -> tuple[list[Case], dict[str, list[Case]]]:
    """Make a folder whole and its environment that of now.

    Returns:
        The cases that are still to be measured, and those that ran out of memory by the fingerprint of their device.
    """
    earlier = require_resumable(folder)
    recovered = recover(folder)
    for warning in recovered.warnings:
        typer.echo(f"warning: {warning}", err=True)
    former = [*earlier.pop("earlier", []), earlier]
    known = fingerprints_of(environment)
    if executor.mixed:
        known |= {mark for one in former if same_software(environment, one) for mark in fingerprints_of(one)}
    stale = sum(row["fingerprint"] not in known for row in recovered.rows.values())
    if stale:
        typer.echo(f"warning: {stale} cases were measured with other code or on another machine", err=True)
    folder.write_environment({"schema_version": earlier["schema_version"], **environment, "earlier": former})
    ready = finished(recovered.rows.values(), known, conduct.retried)
    outgrown: dict[str, list[Case]] = {}
    left = []
    for case in cases:
        key = key_of(case.parameters())
        if key not in ready:
            left.append(case)
        elif recovered.rows[key]["status"] == "out_of_memory":
            outgrown.setdefault(recovered.rows[key]["fingerprint"], []).append(case)
    typer.echo(f"resumed: {len(cases) - len(left)} of {len(cases)} cases are done already")
    return left, outgrown


def _measure(cases: Sequence[Case], crew: Crew, folder: RunFolder, marks: Mapping[Station, str]) -> int:
    """Run the cases; how many were done before an interrupt."""
    done = 0
    with reporting(cases, Console()) as report:
        try:
            for station, one in crew.run(grouped(cases)):
                row = {**one.row, "fingerprint": marks[station]}
                with _interrupts_held_back():
                    folder.append(row, one.latency.samples_ms, one.latency.details())
                    done += 1
                report(one.case, row)
        except KeyboardInterrupt:
            return done
    return done


@contextmanager
def _interrupts_held_back() -> Iterator[None]:
    """Let a Ctrl-C wait until a case is written whole; one that is ignored, as in a shell's background, stays so."""
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        yield
        return
    held: list[int] = []
    usual = signal.signal(signal.SIGINT, lambda number, _: held.append(number))
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, usual)
    if held:
        raise KeyboardInterrupt
