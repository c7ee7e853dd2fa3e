"""The steps of cases, in the process that measures: each leaves columns of a row, whatever comes of it."""

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch

from kernels import describe_settings

from ..case.case import Case
from ..device.energy import energy_per_call_mj
from ..device.first_call import FirstCall, first_call
from ..device.memory import free_bytes, inputs_mib, release, unmeasurable, weigh
from ..device.nvml import telemetry_of
from ..device.timers import capture_failures
from ..device.timing import Call, Latency, Timing, measure
from ..results.folder import Row
from .preflight import predicted_mib, refusal
from .prepared import Prepared, prepare
from .steps import Step

_MIB = 2**20
_OUT_OF_MEMORY = ("out of memory", "can't allocate memory", "not enough memory")


class _Refused(Exception):  # noqa: N818
    """A case ends without a latency: its status, and the reason as the message."""

    def __init__(self, status: str, reason: str) -> None:
        super().__init__(reason)
        self.status = status


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
    _prepared: Prepared | None = None
    _posed: object = None

    def prepare(self, case: Case) -> Step:
        """Refuse a case, or check its results and weigh its memory."""
        return self._guarded(self._weigh, case)

    def turn(self, case: Case, *, capture: bool = True) -> Step:
        """Take the samples of one turn; with `capture`, a short call may be replayed from a CUDA graph."""
        # A kept graph is of another stream, and cannot be captured; a network is timed with its launches, as it is run.
        capture = capture and case.mode != "backward" and case.scope != "network"
        return self._guarded(lambda *known: self._sample(*known, capture=capture), case)

    def fits(self, case: Case) -> Step:
        """Call a case once: "out_of_memory" is in the row where the memory is not enough."""
        return self._guarded(self._try, case)

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
            if case.scope != "network":  # whose layers have each their own
                row["settings"] = describe_settings(
                    case.implementation, case.problem, self.device, backward=case.backward
                )
            self._require_memory(row["predicted_mib"])
            first = self._require_correct(case, row)
            row["inputs_mib"] = inputs_mib(self._drawn(case).inputs(case))
        timed = self._timed(case)
        timed()
        if unmeasurable(self.device) is None:
            row |= weigh(timed, self.device).columns()
        # Once, and not in every turn, as its window is long.
        if self.timing.energy and self.device.type == "cuda" and case.cache == "hot":
            row["energy_mj"] = energy_per_call_mj(timed, self.device, telemetry_of(self.device))
        return Step(row, first=first)

    def _sample(self, case: Case, row: Row, *, capture: bool) -> Step:
        parts = self._drawn(case).parts(case) if case.yardstick is None else {}
        whole, *of_parts = (
            self._measured(timed, case, capture=capture) for timed in (self._timed(case), *parts.values())
        )
        return Step(row, whole, capture_failed=bool(capture_failures), parts=dict(zip(parts, of_parts, strict=True)))

    def _measured(self, timed: Call, case: Case, *, capture: bool) -> Latency:
        timed()  # in a worker that took over, what was compiled has to be loaded first
        return measure(timed, self.device, self.timing, case.cache, capture=capture)

    def _try(self, case: Case, row: Row) -> Step:
        # Nothing of the case before may take memory, nor of this one for the next.
        self._prepared = None
        release(self.device)
        try:
            self._timed(case)()
        finally:
            self._prepared = None
        return Step(row)

    def _timed(self, case: Case) -> Call:
        """What is timed: a yardstick or an implementation."""
        if case.yardstick is not None and case.yardstick.timed is not None:
            return case.yardstick.timed(case, self.device)
        return self._drawn(case).timed(case)

    def _require_correct(self, case: Case, row: Row) -> FirstCall | None:
        """Compare a case's results with those in float64; its first call, unless an earlier case has made it."""
        prepared, first = self._drawn(case), None
        checked = (case.implementation, case.torch_compile, case.backward)
        if checked not in prepared.errors:
            first = first_call(lambda: prepared.timed(case), self.device)
            prepared.errors[checked] = prepared.error(case)
        error = prepared.errors[checked]
        row["error"] = None if math.isnan(error.value) else error.value
        if not error.value <= error.tolerance:
            reason = f"relative error {error.value:.2e} against float64, at most {error.tolerance:.0e}"
            raise _Refused("incorrect", reason)
        return first

    def _drawn(self, case: Case) -> Prepared:
        if self._prepared is None or self._posed != case.posed:
            self._prepared = None  # frees the last problem's tensors first
            self._prepared, self._posed = prepare(case, self.device), case.posed
        return self._prepared

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
