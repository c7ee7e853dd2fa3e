"""From cases to a run folder: a new run or the rest of one, each row on disk before the next case starts."""

import signal
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
import typer

from ..case.case import Case, grouped, make_case
from ..case.sweeps import DEFAULTS, SWEEPS
from ..device.environment import checkout, command_line
from ..errors import Interrupted, RunError
from ..locks import locked
from ..results.columns import Row
from ..results.folder import RunFolder
from ..results.reading import key_of
from ..results.recovery import code_version, fingerprint, fingerprints_of, finished, recover, same_software
from .conduct import Conduct
from .dispatch import Dispatch
from .executors import Executor
from .slot import Slot

# Told of every case as it ends, and of all cases before the first.
Reporter = Callable[[Case, Row], None]
Reporting = Callable[[Sequence[Case]], AbstractContextManager[Reporter]]
_ANCHORED = ("status", "latency_ms", "latency_low_ms", "latency_high_ms")


@dataclass(frozen=True)
class Target:
    """Where a run goes.

    Args:
        path: Its folder.
        about: What environment.json says beside how and where it is measured.
        retry: To go on with the run that is in the folder, if there is one: statuses that are measured again. None for
            a new run.
    """

    path: Path
    about: Mapping[str, Any]
    retry: frozenset[str] | None = None


def measure_run(
    cases: Sequence[Case], executor: Executor, target: Target, conduct: Conduct, reporting: Reporting
) -> None:
    """Measure the cases into a folder, where each has its row then, whatever it says.

    Raises:
        RunFolderError: The folder is in use, or holds a run and is not to be resumed.
        DeviceInUse: A GPU belongs to another benchmark.
        WorkerError: No worker can be started on the devices.
        RunError: The folder can no longer be written.
        Interrupted: Somebody pressed Ctrl-C.
    """
    path, folder = target.path, RunFolder(target.path)
    resumed = target.retry is not None and folder.environment_path.exists()
    if resumed:
        folder.environment()
    else:
        folder.require_new()
    slots = executor.slots(conduct, tuple(command_line()), path)
    with locked(path), Dispatch(slots) as dispatch:
        environment, marks = _open(dispatch, executor, target.about)
        environment |= {"cases": len(cases), "method": conduct.method()}
        try:
            left: Sequence[Case] = cases
            if resumed:
                left, outgrown = _resume(environment, cases, target, mixed=executor.mixed)
                dispatch.each(lambda slot: slot.remember(outgrown.get(marks[slot], [])))
            else:
                RunFolder.create(path, environment)
            done = _measure(left, dispatch, folder, marks, reporting)
            if resumed:
                recover(path)
        except OSError as error:
            raise RunError(f"{path} cannot be written: {error.strerror}; go on with --resume") from None
    if done < len(left):
        ended = len(cases) - len(left) + done
        raise Interrupted(f"{ended} of {len(cases)} cases are done, in {path}; go on with --resume")


def _open(dispatch: Dispatch, executor: Executor, about: Mapping[str, Any]) -> tuple[dict[str, Any], dict[Slot, str]]:
    """Start the slots; environment.json's content, the first slot's but for `devices`, and all fingerprints.

    Where devices are to be compared, those of this run or of other shards, each measures the anchor.
    """
    code = {**checkout(), "version": code_version()}
    opened = {
        slot: replace(identity, environment={**identity.environment, "code": code})
        for slot, identity in dispatch.open().items()
    }
    marks = {slot: fingerprint(identity.environment) for slot, identity in opened.items()}
    devices: dict[Slot, dict[str, Any]] = {}
    for slot, identity in opened.items():
        place = identity.columns()
        devices[slot] = {"host": place["host"], "gpu_uuid": place["gpu_uuid"], "name": place["device"]}
        devices[slot]["fingerprint"] = marks[slot]
    for line in dict.fromkeys(identity.summary for identity in opened.values()):
        typer.echo(line)
    if len(devices) > 1 or "shard" in about:
        case = anchor(executor.device)
        for slot, (result,) in dispatch.each(lambda slot: list(slot.measure([case]))).items():
            row = result.row
            devices[slot]["anchor"] = {"case": case.label(), **{name: row.get(name) for name in _ANCHORED}}
        typer.echo(how_alike(device for device in devices.values() if "anchor" in device))
    first = next(iter(opened))
    environment = {**opened[first].environment, "fingerprint": marks[first], "devices": list(devices.values())}
    return {**environment, **about}, marks


def anchor(device: torch.device) -> Case:
    """One small case that every device of a run measures, which shows how alike they are: plain PyTorch, forward.

    On a GPU at the 28²×200 stage, from a hot L2; on a CPU at the default problem.
    """
    base = {**DEFAULTS, **(SWEEPS["axes"].base if device.type == "cuda" else {})}
    point = {name: values[0] for name, values in base.items()}
    sizes = {"height": point["hw"], "width": point.pop("hw")}
    return make_case({**point, **sizes, "mode": "forward", "cache": "hot"}, "unfold")


def how_alike(devices: Iterable[Mapping[str, Any]]) -> str:
    """One line on how far the devices are apart, by what `environment.json` says of them."""
    known = list(devices)
    times = [one["anchor"]["latency_ms"] for one in known if one["anchor"]["status"] == "ok"]
    failed = "" if len(times) == len(known) else f", {len(known) - len(times)} could not measure it"
    if not times:
        return f"anchor: none of {len(known)} devices could measure it: {known[0]['anchor']['case']}"
    low, high = min(times), max(times)
    return (
        f"anchor: {known[0]['anchor']['case']} takes {low:.3f} to {high:.3f} ms on {len(times)} devices, "
        f"{high / low - 1:.1%} apart{failed}"
    )


def _resume(
    environment: dict[str, Any], cases: Sequence[Case], target: Target, *, mixed: bool
) -> tuple[list[Case], dict[str, list[Case]]]:
    """Make a folder whole and its environment that of now.

    Returns:
        The cases that are still to be measured, and those that ran out of memory by the fingerprint of their device.
    """
    recovered = recover(target.path)
    earlier = dict(recovered.environment)
    for warning in recovered.warnings:
        typer.echo(f"warning: {warning}", err=True)
    former = [*earlier.pop("earlier", []), earlier]
    known = fingerprints_of(environment)
    if mixed:
        known |= {mark for one in former if same_software(environment, one) for mark in fingerprints_of(one)}
    stale = sum(row["fingerprint"] not in known for row in recovered.rows.values())
    if stale:
        typer.echo(f"warning: {stale} cases were measured with other code or on another machine", err=True)
    current = {"schema_version": earlier["schema_version"], **environment, "earlier": former}
    RunFolder(target.path).write_environment(current)
    ready = finished(recovered.rows.values(), known, target.retry or frozenset())
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


def _measure(
    cases: Sequence[Case], dispatch: Dispatch, folder: RunFolder, marks: Mapping[Slot, str], reporting: Reporting
) -> int:
    """Run the cases; how many were done before an interrupt."""
    done = 0
    with reporting(cases) as report:
        try:
            for slot, result in dispatch.run(grouped(cases)):
                row = result.told("run", {"fingerprint": marks[slot]}).row
                with _interrupts_held_back():
                    folder.append(row, result.latency.samples_ms, result.latency.details())
                    done += 1
                report(result.case, row)
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
