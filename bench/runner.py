"""Running cases: each leaves a row, whatever comes of it."""

import math
import time
from dataclasses import dataclass, field
from typing import Any

import torch

from kernels import Problem, describe_settings, predicted_bytes, unsupported

from .bounds import Work, mode_work
from .cases import Case
from .check import TOLERANCES, Expected, error_of, expect
from .chips import Chip
from .complexity import ITEMSIZE
from .devices import device_name
from .diagnosis import bounding_chip
from .energy import energy_per_call_mj
from .first_call import FirstCall, first_call
from .memory import free_bytes, inputs_mib, unmeasurable, weigh
from .metrics import counts, limits, rates
from .results import Row
from .telemetry import telemetry_of
from .timing import Call, Timing, measure
from .workloads import Tensors, build, call, draw

_MIB = 2**20
_OUT_OF_MEMORY = ("out of memory", "can't allocate memory", "not enough memory")


class _Refused(Exception):  # noqa: N818
    """A case ends without a latency: its status, and the reason as the message."""

    def __init__(self, status: str, reason: str) -> None:
        super().__init__(reason)
        self.status = status


@dataclass
class _Prepared:
    """The tensors of a problem in a scope, what they give in float64, and the errors found so far."""

    problem: Problem
    scope: str
    tensors: Tensors
    expected: Expected
    errors: dict[tuple[str, bool], float] = field(default_factory=dict)


@dataclass
class Runner:
    """Runs cases on one device, and keeps the last problem's tensors for the next case.

    Args:
        device: Where the cases run.
        timing: How long each is measured.
        deadline: When to stop measuring, on the clock of `time.monotonic`; later cases end as "timeout".
        samples_ms: The latencies of the last case.
    """

    device: torch.device
    timing: Timing
    deadline: float = math.inf
    samples_ms: list[float] = field(default_factory=list)
    _first: FirstCall | None = None
    _prepared: _Prepared | None = None
    _chip: Chip | None = None

    def __post_init__(self) -> None:
        self._chip, _ = bounding_chip(self.device)

    def run(self, case: Case) -> Row:
        """The row of a case."""
        self.samples_ms, self._first = [], None
        row: Row = {**case.parameters(), **counts(case), "device": device_name(self.device)}
        try:
            self._require_time()
            self._require_support(case)
            if case.yardstick is None:
                row["predicted_mib"] = predicted_mib(case, self.device)
                row["settings"] = describe_settings(
                    case.implementation, case.problem, self.device, backward=case.backward
                )
                self._require_memory(row["predicted_mib"])
            row |= self._measured(case, row, self._timed(case, row))
        except _Refused as refused:
            row |= {"status": refused.status, "reason": str(refused)}
        except Exception as error:  # noqa: BLE001  every case leaves a row, and the sweep goes on
            self._prepared = None
            row |= _failure(error)
        return row

    def _timed(self, case: Case, row: Row) -> Call:
        """What is timed: a yardstick, or an implementation once its results are right."""
        if case.yardstick is not None:
            return case.yardstick.timed(case.problem, case.scope, case.mode, self.device)
        prepared = self._prepare(case)
        workload = build(case.problem, case.scope, prepared.tensors, case.implementation)
        checked = (case.implementation, case.backward)
        if checked not in prepared.errors:
            self._first = first_call(lambda: call(workload, case.mode), self.device)
            prepared.errors[checked] = error_of(workload, prepared.expected, backward=case.backward)
        error, tolerance = prepared.errors[checked], TOLERANCES[case.problem.dtype]
        row["error"] = None if math.isnan(error) else error
        if not error <= tolerance:
            raise _Refused("incorrect", f"relative error {error:.2e} against float64, at most {tolerance:.0e}")
        return call(workload, case.mode)

    def _measured(self, case: Case, row: Row, timed: Call) -> dict[str, Any]:
        """Time and weigh what a case times."""
        latency = measure(timed, self.device, self.timing, case.cache, capture=case.mode != "backward")
        self.samples_ms = latency.samples_ms
        columns = latency.columns()
        if self._first is not None:
            columns |= self._first.columns(columns["latency_ms"])
        if self._prepared is not None and case.yardstick is None:
            columns["inputs_mib"] = inputs_mib(self._prepared.tensors.values())
        if unmeasurable(self.device) is None:
            columns |= weigh(timed, self.device).columns()
        if self.timing.energy and self.device.type == "cuda" and case.cache == "hot":
            columns["energy_mj"] = energy_per_call_mj(timed, self.device, telemetry_of(self.device))
        limited = limits(work_of(case), self._chip, case.cache, columns["latency_ms"])
        return {"status": "ok", **columns, **rates(row, columns["latency_ms"]), **limited}

    def _prepare(self, case: Case) -> _Prepared:
        kept = self._prepared
        if kept is None or (kept.problem, kept.scope) != (case.problem, case.scope):
            self._prepared = None  # frees the last problem's tensors first
            tensors = draw(case.problem, case.scope, self.device)
            kept = _Prepared(case.problem, case.scope, tensors, expect(case.problem, case.scope, tensors))
            self._prepared = kept
        return kept

    def _require_time(self) -> None:
        if time.monotonic() >= self.deadline:
            raise _Refused("timeout", "not run: the time for the whole run was over")

    def _require_support(self, case: Case) -> None:
        reason = refusal(case, self.device)
        if reason is not None:
            raise _Refused("unsupported", reason)

    def _require_memory(self, needed_mib: float) -> None:
        """Refuse what a CPU would be killed for: there, an allocation fails only after the fact."""
        free_mib = free_bytes(self.device) / _MIB
        if self.device.type == "cpu" and needed_mib > free_mib:
            raise _Refused("out_of_memory", f"predicted {needed_mib:.0f} MiB, {free_mib:.0f} MiB are free: not tried")


def refusal(case: Case, device: torch.device) -> str | None:
    """Return why a case cannot run on a device, or None."""
    if case.cache == "cold" and device.type != "cuda":
        return "the caches of a CPU are not flushed: there, cache is hot"
    if case.yardstick is not None:
        return None
    return unsupported(case.implementation, case.problem, device, backward=case.backward)


def work_of(case: Case) -> Work | None:
    """What a GPU has to do for a case; None where no bound is known: for a layer, and for most yardsticks."""
    if case.yardstick is not None:
        return case.yardstick.work(case.problem, case.scope, case.mode)
    return mode_work(case.problem, case.mode) if case.scope == "operator" else None


def predicted_mib(case: Case, device: torch.device) -> float:
    """The peak of memory above the inputs that the implementation predicts; a layer adds its convolutions' tensors."""
    problem = case.problem
    needed = predicted_bytes(case.implementation, problem, device, backward=case.backward)
    if case.scope == "layer":
        out_pixels = problem.batch * problem.out_height * problem.out_width
        in_pixels = problem.batch * problem.height * problem.width
        maps = out_pixels * (problem.groups + problem.channels) + in_pixels * problem.groups
        needed += maps * ITEMSIZE[problem.dtype] * (2 if case.backward else 1)
    return needed / _MIB


def _failure(error: Exception) -> dict[str, str]:
    text = (str(error).strip() or repr(error)).splitlines()[0]
    memory = isinstance(error, (MemoryError, torch.OutOfMemoryError)) or any(
        sign in str(error) for sign in _OUT_OF_MEMORY
    )
    return {"status": "out_of_memory" if memory else "error", "reason": f"{type(error).__name__}: {text}"}
