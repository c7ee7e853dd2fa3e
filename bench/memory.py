"""Peak memory of one call above what is resident before it, in a pass of its own."""

import ctypes
import gc
from collections.abc import Callable
from pathlib import Path

import psutil
import torch

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


def peak_bytes(call: Callable[[], object], device: torch.device) -> int:
    """Bytes that a call takes at its peak, its results included: of torch's allocator on a GPU, resident on a CPU."""
    if device.type == "cuda":
        # Half a second for all generations once torch.compile is loaded; what the last case left is young.
        gc.collect(1)
        torch.cuda.synchronize(device)
        torch.cuda.reset_peak_memory_stats(device)
        before = torch.cuda.memory_allocated(device)
        call()
        torch.cuda.synchronize(device)
        return int(torch.cuda.max_memory_allocated(device) - before)
    gc.collect()
    # What the C library has freed but kept would hide the growth.
    ctypes.CDLL(None).malloc_trim(0)
    before = psutil.Process().memory_info().rss
    _RESET.write_text("5", encoding="ascii")
    call()
    return max(0, _peak_resident() - before)


def _peak_resident() -> int:
    line = next(line for line in _STATUS.read_text(encoding="ascii").splitlines() if line.startswith("VmHWM:"))
    return int(line.split()[1]) * 1024


def free_bytes(device: torch.device) -> int:
    """Memory that is free on the device (for a CPU, available on the machine)."""
    if device.type == "cuda":
        return int(torch.cuda.mem_get_info(device)[0])
    return int(psutil.virtual_memory().available)
