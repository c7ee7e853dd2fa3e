"""What one call takes beside its time: memory in a pass of its own, energy, and what only the first call costs."""

import ctypes
import gc
import sys
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

import psutil
import torch
from torch import Tensor

from .nvml import Telemetry, telemetry_of
from .timers import Call

_MIB = 2**20
_STATUS = Path("/proc/self/status")
_RESET = Path("/proc/self/clear_refs")


def unmeasurable(device: torch.device) -> str | None:
    """Return why peak memory cannot be measured on a device, or None."""
    if device.type == "cuda":
        return None
    try:
        _RESET.write_text("5", encoding="ascii")
    except OSError as error:
        return f"the kernel's peak of resident memory cannot be reset: {error}"
    return None


@dataclass(frozen=True)
class Memory:
    """Bytes of one call: its peak above what is resident; on a GPU torch's reserved peak, and the driver's figure."""

    peak: int
    reserved: int | None = None
    driver: int | None = None

    def columns(self) -> dict[str, float | None]:
        """The columns of a row, in MiB."""
        figures = {"peak_mib": self.peak, "reserved_mib": self.reserved, "driver_mib": self.driver}
        return {name: None if figure is None else figure / _MIB for name, figure in figures.items()}


def inputs_mib(tensors: Iterable[Tensor]) -> float:
    """MiB of tensors, such as share their storage counted once."""
    return sum({t.untyped_storage().data_ptr(): t.untyped_storage().nbytes() for t in tensors}.values()) / _MIB


def weigh(call: Callable[[], object], device: torch.device) -> Memory:
    """The memory of a call, its results included: of torch's allocator on a GPU, resident on a CPU."""
    if device.type == "cuda":
        return _weigh_on_gpu(call, device)
    release(device)
    before = psutil.Process().memory_info().rss
    _RESET.write_text("5", encoding="ascii")
    call()
    return Memory(max(0, _peak_resident() - before))


def _weigh_on_gpu(call: Callable[[], object], device: torch.device) -> Memory:
    release(device)
    torch.cuda.reset_peak_memory_stats(device)
    before = torch.cuda.memory_allocated(device)
    call()
    torch.cuda.synchronize(device)
    peak = torch.cuda.max_memory_allocated(device) - before
    return Memory(int(peak), int(torch.cuda.max_memory_reserved(device)), telemetry_of(device).process_bytes())


def release(device: torch.device) -> None:
    """Give back what earlier cases have left and nobody uses."""
    if device.type == "cuda":
        # Half a second for all generations once torch.compile is loaded; what the last case left is young.
        gc.collect(1)
        torch.cuda.synchronize(device)
        torch.cuda.empty_cache()
        return
    gc.collect()
    # What the C library has freed but kept would hide the growth of what is resident.
    ctypes.CDLL(None).malloc_trim(0)


def _peak_resident() -> int:
    line = next(line for line in _STATUS.read_text(encoding="ascii").splitlines() if line.startswith("VmHWM:"))
    return int(line.split()[1]) * 1024


# The counter moves every 10 to 100 ms: a window has to be long beside that.
WINDOW_SECONDS = 1.0

# Calls between two looks at the clock, so that the queue stays short.
_CALLS = 16


def energy_per_call_mj(call: Call, device: torch.device, telemetry: Telemetry) -> float | None:
    """mJ of the whole GPU for one of many calls in a row, idle power included; None where NVML has no counter."""
    torch.cuda.synchronize(device)
    before, start = telemetry.energy_mj(), time.perf_counter()
    if before is None:
        return None
    calls = 0
    while time.perf_counter() - start < WINDOW_SECONDS:
        for _ in range(_CALLS):
            call()
        calls += _CALLS
        torch.cuda.synchronize(device)
    after = telemetry.energy_mj()
    return None if after is None else (after - before) / calls


# Words in the names under which torch's compiler keeps the seconds of its autotuners.
_TUNING = ("autotuning", "benchmark_all_configs", "coordinate_descent", "sequential_autotune")


@dataclass(frozen=True)
class FirstCall:
    """Seconds of a case's first call in this process, and how many of them torch's autotuners took."""

    seconds: float
    tune_seconds: float

    def columns(self, latency_ms: float) -> dict[str, float]:
        """The columns of a row: what the first call took beyond tuning and a call like every other."""
        return {
            "compile_s": max(0.0, self.seconds - self.tune_seconds - latency_ms / 1e3),
            "tune_s": self.tune_seconds,
        }


def first_call(make: Callable[[], Callable[[], object]], device: torch.device) -> FirstCall:
    """Make what is timed, and call it, for the first time."""
    tuned, start = _tuning_seconds(), time.perf_counter()
    make()()
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    return FirstCall(time.perf_counter() - start, _tuning_seconds() - tuned)


def _tuning_seconds() -> float:
    """Seconds that torch's autotuners have taken in this process; none before its compiler is loaded."""
    compiler = sys.modules.get("torch._dynamo.utils")
    kept: dict[str, list[float]] = {} if compiler is None else compiler.compilation_time_metrics
    return float(sum(sum(seconds) for name, seconds in kept.items() if any(word in name for word in _TUNING)))
