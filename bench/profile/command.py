"""`python -m bench profile`: from the words of the command to a folder with a profile of one case."""

import json
import shutil
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import torch
import typer

from ..case.request import Chosen, Request, choose
from ..cost.metrics import counts
from ..device.calibration import bounding_chip
from ..device.device import device_name, uuid_of
from ..device.timing import Timing
from ..errors import Unavailable, UsageError, WorkerError
from ..locks import locked, owned
from ..results.folder import new_run_path
from ..run.messages import Setup
from ..run.worker import Worker
from .expected import Expected, expected_counters
from .memory_plot import draw_memory
from .nsight import Counted, Target, count
from .page import NSIGHT, OPERATIONS, PAGE, PICTURE, PROTON, SUMMARY, TRACE, Profile, page, write_operations
from .proton import Ran, read_proton, record_proton, require_proton
from .recording import name_compiled_loops, record_trace
from .trace import read_trace

LOG = "worker.log"

T = TypeVar("T")


def run_profile(text: str, request: Request, out: Path | None, calls: int, timeout: float) -> None:
    """Profile one case into a folder.

    Args:
        text: RUN:LINE, or words of a case's label.
        request: What else names the case, in the command's own words.
        out: The folder; the run's, or a new one under `RUNS` if None.
        calls: How many calls are profiled.
        timeout: Seconds for an instrument.

    Raises:
        SuiteError: No case is named, it does not run, or its folder cannot be made.
    """
    with ExitStack() as held:
        device = request.torch_device()
        chosen = choose(text, request, device)
        if chosen.run is not None:
            held.enter_context(locked(chosen.run))  # a run that is being measured is left alone
        folder = out or _place(chosen)
        _require_new(folder)
        typer.echo(f"profiling {chosen.case.label()} on {device}", err=True)
        try:
            profile = _Session(chosen, device, folder, calls, timeout, held).profile()
        except UsageError:
            shutil.rmtree(folder)
            raise
        except WorkerError as error:
            raise WorkerError(f"{error}; see {folder / LOG}") from None
    for name, reason in profile.missing.items():
        typer.echo(f"{name}: {reason}")
    typer.echo(f"the profile is in {folder / PAGE}")


def _place(chosen: Chosen) -> Path:
    if chosen.run is not None:
        return chosen.run / "profiles" / str(chosen.line)
    return new_run_path("profile")


def _require_new(folder: Path) -> None:
    """Make a folder for the profile.

    Raises:
        UsageError: It is there already, and not empty, or cannot be made.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        taken = next(folder.iterdir(), None)
    except OSError as error:
        raise UsageError(f"{folder} cannot be a profile's folder: {error.strerror}") from None
    if taken is not None:
        raise UsageError(f"{folder} is not empty ({taken.name}): give another folder with --out")


@dataclass(frozen=True)
class _Session:
    """The instruments that look at one case, each in a process of its own: two profilers in one disturb each other."""

    chosen: Chosen
    device: torch.device
    folder: Path
    calls: int
    timeout: float
    held: ExitStack

    def profile(self) -> Profile:
        """Look at the case with every instrument, and write the folder."""
        case, folder = self.chosen.case, self.folder
        (folder / SUMMARY).write_text(json.dumps(case.parameters(), indent=1) + "\n", encoding="utf-8")
        known, machine, expected = self._trace()
        trace = read_trace(folder / TRACE)
        missing: dict[str, str] = {}
        if self.device.type == "cuda" and trace.device is None:
            missing["GPU trace"] = "torch.profiler saw no kernel: CUPTI, which it asks, may not be permitted"
        proton = _tried("Proton", self._proton, missing)
        counted = _tried("Nsight Compute", lambda: self._nsight(missing), missing)
        profile = Profile(case.label(), machine, known, trace, proton, counted, expected, missing)
        write_operations(trace, folder / OPERATIONS)
        draw_memory(trace, case.label(), known.get("predicted_mib"), folder / PICTURE)
        (folder / PAGE).write_text(page(profile), encoding="utf-8")
        summary = {**case.parameters(), "line": self.chosen.line, "machine": machine, **profile.summary()}
        (folder / SUMMARY).write_text(json.dumps(summary, indent=1) + "\n", encoding="utf-8")
        return profile

    def _worker(self) -> Worker:
        return Worker(Setup(str(self.device), Timing()), self.folder / LOG, self.timeout)

    def _trace(self) -> tuple[dict[str, Any], str, Expected]:
        """Check the case and weigh its memory, then trace it; what is known of it, the machine, and expected."""
        case, device = self.chosen.case, self.device
        with self._worker() as worker:
            if device.type == "cpu":
                worker.call(name_compiled_loops)
            else:
                self.held.enter_context(owned(worker.call(uuid_of, device)))
            step = worker.prepare(case)
            if step.status is not None:
                raise UsageError(f"{case.label()} is not profiled: {step.status}, {step.reason}")
            worker.call(record_trace, case, device, (self.folder / TRACE).resolve(), self.calls)
            name, (chip, _) = worker.call(device_name, device), worker.call(bounding_chip, device)
        # Only here, where the worker has ended, as compiling on all cores would disturb what it times.
        expected = expected_counters(case, chip) if device.type == "cuda" else Expected({})
        return {**counts(case), **step.columns}, f"{name}, torch {torch.__version__}", expected

    def _proton(self) -> list[Ran]:
        require_proton(self.device)
        path = (self.folder / PROTON).resolve()
        with self._worker() as worker:
            worker.call(record_proton, self.chosen.case, self.device, path, self.calls)
        return read_proton(path)

    def _nsight(self, missing: dict[str, str]) -> list[Counted]:
        if self.device.type != "cuda":
            raise Unavailable("it counts in GPUs, and this is a CPU")
        cold = self.chosen.case.cache == "cold"
        target = Target(self.folder / SUMMARY, str(self.device), self.folder / NSIGHT, cold)
        counted, unknown = count(target, self.timeout)
        if unknown:
            missing["Nsight Compute's counters"] = f"it does not know {', '.join(unknown)}"
        return counted


def _tried(name: str, look: Callable[[], list[T]], missing: dict[str, str]) -> list[T]:
    """What an instrument finds; where it cannot look, nothing, and the reason joins what is missing."""
    try:
        return look()
    except (Unavailable, WorkerError) as error:
        missing[name] = str(error)
        return []
