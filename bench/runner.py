"""The steps of cases, in the process that measures: each leaves columns of a row, whatever comes of it."""

import math
from collections.abc import Callable
from dataclasses import dataclass, field

import torch

from kernels import Problem, describe_settings

from .cases import Case
from .check import TOLERANCES, Expected, error_of, expect
from .energy import energy_per_call_mj
from .first_call import FirstCall, first_call
from .forecast import predicted_mib, refusal
from .memory import free_bytes, inputs_mib, unmeasurable, weigh
from .results import Row
from .sources import capture_failures
from .steps import Step
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
    errors: dict[tuple[str, bool], float] = field(default_factory=dict)
    _expected: Expected | None = None

    @property
    def expected(self) -> Expected:
        """What the tensors give in float64."""
        if self._expected is None:
            self._expected = expect(self.problem, self.scope, self.tensors)
        return self._expected


@dataclass
class Runner:
    """Takes the steps of cases on one device, in this process, and keeps the last problem's tensors for the next case.

    What a case times is built anew for every turn: a kept graph of `unfold` may fill the memory that the others need.

    Args:
        device: Where the cases run.
        timing: How long a turn is measured.
    """

    device: torch.device
    timing: Timing
    _prepared: _Prepared | None = None

    def prepare(self, case: Case) -> Step:
        """Refuse a case, or check its results and weigh its memory."""
        return self._guarded(self._weigh, case)

    def turn(self, case: Case, *, capture: bool = True) -> Step:
        """Take the samples of one turn; with `capture`, a short call may be replayed from a CUDA graph."""
        # A kept graph is of another stream, and cannot be captured.
        capture = capture and case.mode != "backward"
        return self._guarded(lambda *known: self._sample(*known, capture=capture), case)

    def _guarded(self, step: Callable[[Case, Row], Step], case: Case) -> Step:
        """Take a step; every failure becomes columns of the row, so that the sweep goes on."""
        row: Row = {}
        try:
            taken = step(case, row)
            if self.device.type == "cuda":
                torch.cuda.synchronize(self.device)  # so that an error of a kernel is this case's
        except _Refused as refused:
            return Step({**row, "status": refused.status, "reason": str(refused)})
        except Exception as error:  # noqa: BLE001  every case leaves a row, and the sweep goes on
            self._prepared = None
            failed = {**row, **_failure(error)}
        else:
            return taken
        usable = still_usable(self.device)
        return Step(failed if usable else {**failed, "status": "crashed"}, usable=usable)

    def _weigh(self, case: Case, row: Row) -> Step:
        """Fill in what is known of a case before it is timed."""
        reason, first = refusal(case, self.device), None
        if reason is not None:
            raise _Refused("unsupported", reason)
        if case.yardstick is None:
            row["predicted_mib"] = predicted_mib(case, self.device)
            row["settings"] = describe_settings(case.implementation, case.problem, self.device, backward=case.backward)
            self._require_memory(row["predicted_mib"])
            first = self._require_correct(case, row)
            row["inputs_mib"] = inputs_mib(self._drawn(case).tensors.values())
        timed = self._timed(case)
        timed()
        if unmeasurable(self.device) is None:
            row |= weigh(timed, self.device).columns()
        # Once, and not in every turn, as its window is long.
        if self.timing.energy and self.device.type == "cuda" and case.cache == "hot":
            row["energy_mj"] = energy_per_call_mj(timed, self.device, telemetry_of(self.device))
        return Step(row, first=first)

    def _sample(self, case: Case, row: Row, *, capture: bool) -> Step:
        timed = self._timed(case)
        timed()  # in a worker that took over, what was compiled has to be loaded first
        latency = measure(timed, self.device, self.timing, case.cache, capture=capture)
        return Step(row, latency, capture_failed=bool(capture_failures))

    def _timed(self, case: Case) -> Call:
        """What is timed: a yardstick or an implementation."""
        if case.yardstick is not None:
            return case.yardstick.timed(case.problem, case.scope, case.mode, self.device)
        return call(build(case.problem, case.scope, self._drawn(case).tensors, case.implementation), case.mode)

    def _require_correct(self, case: Case, row: Row) -> FirstCall | None:
        """Compare a case's results with those in float64; its first call, unless an earlier case has made it."""
        prepared, first = self._drawn(case), None
        checked = (case.implementation, case.backward)
        if checked not in prepared.errors:
            workload = build(case.problem, case.scope, prepared.tensors, case.implementation)
            first = first_call(lambda: call(workload, case.mode), self.device)
            prepared.errors[checked] = error_of(workload, prepared.expected, backward=case.backward)
        error, tolerance = prepared.errors[checked], TOLERANCES[case.problem.dtype]
        row["error"] = None if math.isnan(error) else error
        if not error <= tolerance:
            raise _Refused("incorrect", f"relative error {error:.2e} against float64, at most {tolerance:.0e}")
        return first

    def _drawn(self, case: Case) -> _Prepared:
        kept = self._prepared
        if kept is None or (kept.problem, kept.scope) != (case.problem, case.scope):
            self._prepared = None  # frees the last problem's tensors first
            kept = _Prepared(case.problem, case.scope, draw(case.problem, case.scope, self.device))
            self._prepared = kept
        return kept

    def _require_memory(self, needed_mib: float) -> None:
        """Refuse what a CPU would be killed for: there, an allocation fails only after the fact."""
        free_mib = free_bytes(self.device) / _MIB
        if self.device.type == "cpu" and needed_mib > free_mib:
            raise _Refused("out_of_memory", f"predicted {needed_mib:.0f} MiB, {free_mib:.0f} MiB are free: not tried")


def still_usable(device: torch.device) -> bool:
    """Whether a device answers after a failure; an illegal access makes CUDA refuse this process for good."""
    if device.type != "cuda":
        return True
    try:
        torch.cuda.empty_cache()
        torch.ones(1, device=device).item()
    except Exception:  # noqa: BLE001  whatever it raises, it does not answer
        return False
    return True


def _failure(error: Exception) -> dict[str, str]:
    text = (str(error).strip() or repr(error)).splitlines()[0]
    memory = isinstance(error, (MemoryError, torch.OutOfMemoryError)) or any(
        sign in str(error) for sign in _OUT_OF_MEMORY
    )
    return {"status": "out_of_memory" if memory else "error", "reason": f"{type(error).__name__}: {text}"}
