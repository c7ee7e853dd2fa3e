"""torch.profiler around a few calls of a case, in the process that runs them: leaves a trace file."""

from pathlib import Path

import torch
from torch.profiler import ProfilerActivity, profile, record_function, schedule

from ..case.case import Case
from ..device.device import forbid_tf32
from ..device.flush import Flush
from ..measure.prepared import callable_of
from .trace import CALL

_WARMUP_CALLS = 3


def name_compiled_loops() -> None:
    """Let what torch.compile makes for a CPU appear in traces under names; to be set before it compiles."""
    import torch._inductor.config as inductor  # noqa: PLC0415  heavy, and of use in this process alone

    inductor.cpp.enable_kernel_profile = True


def record_trace(case: Case, device: torch.device, path: Path, calls: int) -> None:
    """Profile so many calls, one after another, each from an idle device, into a trace file.

    Each call is an annotation `CALL` in it, which ends when the device is done. From a cold L2, it is flushed before.
    """
    steady = Steady(case, device)
    for _ in range(_WARMUP_CALLS):
        steady.run()
    activities = [ProfilerActivity.CPU, *([ProfilerActivity.CUDA] if device.type == "cuda" else [])]
    # The profiler's own first step is slower than the others, so it is thrown away.
    steps = schedule(wait=0, warmup=1, active=calls, repeat=1)
    with profile(activities=activities, schedule=steps, profile_memory=True, record_shapes=True) as profiler:
        for _ in range(1 + calls):
            steady.prepare()
            with record_function(CALL):
                steady.run()
            profiler.step()
    profiler.export_chrome_trace(str(path))


class Steady:
    """Calls of a case that begin and end with an idle device, their L2 as the case asks for; float32 means float32.

    Args:
        case: What is called.
        device: Where.
    """

    def __init__(self, case: Case, device: torch.device) -> None:
        forbid_tf32()
        self._call, self._device = callable_of(case, device), device
        self._flush = Flush(device) if device.type == "cuda" and case.cache == "cold" else None

    def prepare(self) -> None:
        """Flush the L2, if the case asks for that, and wait for the device."""
        if self._flush is not None:
            self._flush()
        self._wait()

    def run(self) -> None:
        """Make one call and wait for it."""
        self._call()
        self._wait()

    def _wait(self) -> None:
        if self._device.type == "cuda":
            torch.cuda.synchronize(self._device)
