"""The steps that measuring a case is made of, in the process that measures. A failure is a result, no exception."""

import math
from collections.abc import Callable
from dataclasses import dataclass, field

import torch

from kernels import describe_binary, describe_settings, free_bytes

from ..case.case import Case
from ..device.device import forbid_tf32
from ..device.nvml import telemetry_of
from ..device.resources import (
    FirstCall,
    energy_per_call_mj,
    first_call,
    inputs_mib,
    release,
    unmeasurable,
    weigh,
)
from ..device.timers import Call, Known, capture_failures
from ..device.timing import Sampler, Timing
from ..errors import in_a_line
from ..results.columns import Row
from ..samples import Latency
from .preflight import predicted_mib, refusal, taken_by_auto
from .prepared import Prepared, callable_of, prepare
from .recheck import recheck
from .steps import StepResult

_MIB = 2**20
# The name of a case as a whole beside those of its parts.
_WHOLE = ""
_OUT_OF_MEMORY = ("out of memory", "can't allocate memory", "not enough memory")


class _Refused(Exception):  # noqa: N818
    """A case ends without a latency: its status, and the reason as the message."""

    def __init__(self, status: str, reason: str) -> None:
        super().__init__(reason)
        self.status = status


@dataclass
class Runner:
    """Takes the steps of cases on one device, in this process, and keeps the last problem's tensors for the next case.

    What a case times is built anew for every round: a kept graph of `unfold` may fill the memory that the others need.
    What a round finds of a call, as how long the GPU has to be held for it, is kept with the problem. float32 means
    float32 in the process from the start.

    Args:
        device: Where the cases run.
        timing: How long a round is measured.
    """

    device: torch.device
    timing: Timing
    _prepared: Prepared | None = None
    _posed: object = None
    _known: dict[tuple[Case, str], Known] = field(default_factory=dict)

    def __post_init__(self) -> None:
        forbid_tf32()

    def prepare(self, case: Case) -> StepResult:
        """Refuse a case, or check its results and weigh its memory."""
        return self._guarded(self._weigh, case)

    def round(self, case: Case, *, capture: bool = True) -> StepResult:
        """Take the samples of one round; with `capture`, a short call may be replayed from a CUDA graph."""
        capture = capture and _may_be_captured(case)
        return self._guarded(lambda *known: self._sample(*known, capture=capture), case)

    def recheck(self, case: Case, *, capture: bool = True) -> StepResult:
        """Check what was timed on inputs drawn anew: "incorrect" is the status where its results are not believed."""
        capture = capture and _may_be_captured(case)
        return self._guarded(lambda *known: self._confirm(*known, capture=capture), case)

    def fits(self, case: Case) -> StepResult:
        """Call a case once: "out_of_memory" is the status where the memory is not enough."""
        return self._guarded(self._try, case)

    def _guarded(self, step: Callable[[Case, Row], StepResult], case: Case) -> StepResult:
        """Take a step; every failure becomes a status, so that the sweep goes on."""
        columns: Row = {}
        try:
            taken = step(case, columns)
            if self.device.type == "cuda":
                torch.cuda.synchronize(self.device)  # so that an error of a kernel is this case's
        except _Refused as refused:
            return StepResult(columns, refused.status, str(refused))
        except Exception as error:  # noqa: BLE001  every case leaves a row, and the sweep goes on
            status, reason = _failure(error)
        else:
            return taken
        if status == "out_of_memory":
            self._prepared = None
        usable = still_usable(self.device)
        if not usable:  # else the tensors, and what they give in float64, are still good
            self._prepared = None
        return StepResult(columns, status if usable else "crashed", reason, usable=usable)

    def _weigh(self, case: Case, columns: Row) -> StepResult:
        """Fill in what is known of a case before it is timed."""
        reason, first = refusal(case, self.device), None
        if reason is not None:
            raise _Refused("unsupported", reason)
        if case.yardstick is None:
            columns["auto"] = taken_by_auto(case, self.device)
            columns["predicted_mib"] = predicted_mib(case, self.device)
            if case.scope != "network":  # whose layers have each their own
                columns["settings"] = describe_settings(
                    case.implementation, case.problem, self.device, backward=case.backward
                )
            self._require_memory(columns["predicted_mib"])
            first = self._require_correct(case, columns)
            columns["inputs_mib"] = inputs_mib(self._drawn(case).inputs(case))
        timed = self._timed(case)
        timed()
        if case.yardstick is None and case.scope != "network":
            columns["binary"] = describe_binary(case.implementation, case.problem, self.device, backward=case.backward)
        if unmeasurable(self.device) is None:
            columns |= weigh(timed, self.device).columns()
        # Once, and not in every round, as its window is long.
        if self.timing.energy and self.device.type == "cuda" and case.cache == "hot":
            columns["energy_mj"] = energy_per_call_mj(timed, self.device, telemetry_of(self.device))
        return StepResult(columns, first=first)

    def _sample(self, case: Case, columns: Row, *, capture: bool) -> StepResult:
        parts = self._drawn(case).parts(case) if case.yardstick is None else {}
        of_name = {
            name: self._measured(timed, (case, name), capture=capture)
            for name, timed in {_WHOLE: self._timed(case), **parts}.items()
        }
        whole = of_name.pop(_WHOLE)
        return StepResult(columns, latency=whole, capture_failed=bool(capture_failures), parts=of_name)

    def _measured(self, timed: Call, of: tuple[Case, str], *, capture: bool) -> Latency:
        case, known = of[0], self._known.setdefault(of, Known())
        if self.device.type != "cuda":
            timed()  # in a worker that took over, what was compiled has to be loaded first; a GPU's sampler does it
        sampler = Sampler(timed, self.device, self.timing, case.cache, capture=capture, known=known)
        sampler.round()
        return sampler.latency()

    def _confirm(self, case: Case, columns: Row, *, capture: bool) -> StepResult:
        if case.yardstick is None:
            prepared = self._drawn(case)
            reason = recheck(case, prepared, lambda: prepared.timed(case), self.device, capture=capture)
            if reason is not None:
                self._prepared = None  # whose inputs may be what was tampered with
                raise _Refused("incorrect", reason)
        return StepResult(columns, capture_failed=bool(capture_failures))

    def _try(self, case: Case, columns: Row) -> StepResult:
        # Nothing of the case before may take memory, nor of this one for the next.
        self._prepared = None
        release(self.device)
        try:
            self._timed(case)()
        finally:
            self._prepared = None
        return StepResult(columns)

    def _timed(self, case: Case) -> Call:
        return callable_of(case, self.device, self._drawn)

    def _require_correct(self, case: Case, columns: Row) -> FirstCall | None:
        """Compare a case's results with those in float64; its first call, unless an earlier case has made it."""
        prepared, first = self._drawn(case), None
        checked = (case.implementation, case.torch_compile, case.backward)
        if checked not in prepared.errors:
            first = first_call(lambda: prepared.timed(case), self.device)
            prepared.errors[checked] = prepared.error(case)
            changed = prepared.changed()
            if changed is not None:
                self._prepared = None
                raise _Refused("incorrect", changed)
        error = prepared.errors[checked]
        columns["error"] = None if math.isnan(error.value) else error.value
        if not error.value <= error.tolerance:
            reason = f"relative error {error.value:.2e} against float64, at most {error.tolerance:.0e}"
            raise _Refused("incorrect", reason)
        return first

    def _drawn(self, case: Case) -> Prepared:
        if self._prepared is None or self._posed != case.posed:
            self._prepared = None  # frees the last problem's tensors first
            self._known.clear()
            self._prepared, self._posed = prepare(case, self.device), case.posed
        return self._prepared

    def _require_memory(self, needed_mib: float) -> None:
        """Refuse what a CPU would be killed for: there, an allocation fails only after the fact."""
        free_mib = free_bytes(self.device) / _MIB
        if self.device.type == "cpu" and needed_mib > free_mib:
            raise _Refused("out_of_memory", f"predicted {needed_mib:.0f} MiB, {free_mib:.0f} MiB are free: not tried")


def _may_be_captured(case: Case) -> bool:
    """Not a kept graph, which is of another stream, nor a network, which is timed with its launches, as it is run."""
    return case.mode != "backward" and case.scope != "network"


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


def _failure(error: Exception) -> tuple[str, str]:
    """The status and the reason that an exception gives a case."""
    memory = isinstance(error, (MemoryError, torch.OutOfMemoryError)) or any(
        sign in str(error) for sign in _OUT_OF_MEMORY
    )
    return "out_of_memory" if memory else "error", in_a_line(error)
