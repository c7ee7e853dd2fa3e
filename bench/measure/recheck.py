"""Results after timing: what is timed is called once more, by its timer, on inputs drawn anew within that very call.

So what was right only while it was checked is found, be it kept from an earlier call, computed when somebody looks at
it, or still being computed when the call returns.
"""

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial

import torch
from torch import Tensor

from ..case.case import Case
from ..device.clocks import Interval, replaced
from ..device.timers import Call, Way, timer_of
from .prepared import Prepared
from .workloads import Tensors

# What a call may leave to threads of its own is done by then.
_SETTLE_SECONDS = 0.2


@dataclass
class Witness:
    """Calls what is timed, copies the results as soon as the call returns, and notes what gives a cheat away.

    Args:
        call: What is timed.
        copied: The results to check, copied in the order of the device's work.
        renew: Called once before the next call; there it is within what the timer times, behind what it queued.
    """

    call: Call
    copied: Callable[[object], Tensors]
    renew: Callable[[], None] | None = None
    returned: object = None
    copies: Tensors = field(default_factory=dict)
    faults: list[str] = field(default_factory=list)

    def __call__(self) -> object:
        """One call."""
        renew, self.renew = self.renew, None
        if renew is not None:
            renew()
        before = set(threading.enumerate())
        self.returned = returned = self.call()
        started = [thread.name for thread in threading.enumerate() if thread not in before]
        tampered, strange = replaced(), _strange(returned)
        if tampered is not None:
            self.faults.append(tampered)
        if strange is not None:
            self.faults.append(strange)
        else:
            self.copies = self.copied(returned)
        if started:
            self.faults.append(f"a thread goes on after the call has returned: {' and '.join(started)}")
        return returned


def recheck(
    case: Case, prepared: Prepared, timed: Callable[[], Call], device: torch.device, *, capture: bool
) -> str | None:
    """Why the results of what was timed are not believed, in a sentence, or None.

    Args:
        case: A case that had its rounds.
        prepared: Its tensors.
        timed: Makes what is timed over these.
        device: Where it runs.
        capture: Whether it may have been replayed from a CUDA graph.
    """
    interval, changed = Interval.begin(), prepared.changed()
    if changed is not None:
        return changed
    witness = Witness(timed(), partial(prepared.checked, case))
    timer = timer_of(witness, device, Way(0.0, cold=case.cache == "cold", capture=capture))
    before = {name: copy.clone() for name, copy in witness.copies.items()}

    def renew() -> None:
        prepared.renew(case)
        if case.mode == "backward":  # whose kept graph is of the inputs before
            witness.call = timed()

    try:
        if timer.name == "graph":  # whose replay calls nothing, and writes where the captured results are
            renew()
        else:
            witness.renew = renew
        timer.sample()
        fault = next(iter(witness.faults), None)
        return fault or _wrong(case, prepared, witness, before) or replaced() or interval.disagreement()
    finally:
        prepared.restore()


def _strange(returned: object) -> str | None:
    """Why results are no plain tensors, in a sentence, or None."""
    kinds = (type(one) for one in (returned if isinstance(returned, tuple) else (returned,)) if one is not None)
    strange = sorted({kind.__name__ for kind in kinds if kind is not Tensor})
    return f"a result is of the type {strange[0]}, which may leave work to whoever looks at it" if strange else None


def _wrong(case: Case, prepared: Prepared, witness: Witness, before: Tensors) -> str | None:
    """What is wrong with the results on the inputs drawn anew, in a sentence, or None."""
    error = prepared.judge(case, witness.copies)
    if error.value <= error.tolerance:
        return None
    said = f"relative error {error.value:.2e} against float64 on inputs drawn anew after timing"
    time.sleep(_SETTLE_SECONDS)
    late = prepared.judge(case, prepared.checked(case, witness.returned))
    if late.value <= late.tolerance:
        return f"{said}: the results were not there yet when the call returned, a thread or another stream went on"
    if before and all(torch.equal(copy, before[name]) for name, copy in witness.copies.items()):
        return f"{said}: the results are those of the inputs before, kept"
    return f"{said}, at most {error.tolerance:.0e}"
