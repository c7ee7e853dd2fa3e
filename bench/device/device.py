"""The device of a name, its model and its chip, and how its float32 is meant."""

import platform
import sys
from pathlib import Path

import torch

from ..cost.chips import MULTIPROCESSORS, Chip, find_chip
from ..errors import UsageError
from .fitness import nothing_visible, require_fit


def chip_of(device: torch.device) -> Chip | None:
    """The chip of a GPU: that of its name, or one of what its driver tells; None for a CPU and where it tells nothing.

    The memory moves two bits per pin and clock, as all of them have done since DDR.
    """
    if device.type != "cuda":
        return None
    found = torch.cuda.get_device_properties(device)
    known = find_chip(found.name)
    told = (found.major, found.minor) in MULTIPROCESSORS and min(
        found.clock_rate, found.memory_clock_rate, found.memory_bus_width
    ) > 0
    if known is not None or not told:
        return known
    return Chip(
        name=found.name,
        device_name=found.name,
        capability=(found.major, found.minor),
        multiprocessors=found.multi_processor_count,
        clock_ghz=found.clock_rate / 1e6,
        dram_tbps=2 * found.memory_clock_rate * 1e3 * found.memory_bus_width / 8 / 1e12,
        l2_bytes=found.L2_cache_size,
    )


def device_name(device: torch.device) -> str:
    """The model of the device: a GPU's name, or the CPU's."""
    return torch.cuda.get_device_name(device) if device.type == "cuda" else cpu_model()


def uuid_of(gpu: torch.device) -> str:
    """A GPU's UUID, by which it is locked."""
    return str(torch.cuda.get_device_properties(gpu).uuid)


def cpu_model() -> str:
    """The CPU's model as the system names it."""
    path = Path("/proc/cpuinfo")
    lines = path.read_text(encoding="utf-8").splitlines() if path.exists() else []
    named = (line.split(":", 1)[1].strip() for line in lines if line.startswith("model name"))
    return next(named, platform.processor() or platform.machine())


def forbid_tf32() -> None:
    """Make float32 mean float32: cuDNN would otherwise round convolutions to TF32, and cuBLAS where a user asks it."""
    torch.backends.cudnn.allow_tf32 = False
    torch.backends.cuda.matmul.allow_tf32 = False


def tf32() -> bool:
    """Whether something may round float32 to TF32."""
    return bool(torch.backends.cudnn.allow_tf32 or torch.backends.cuda.matmul.allow_tf32)


def require_device(name: str) -> torch.device:
    """The device of a name, the first GPU or else the CPU for "auto".

    Raises:
        UsageError: There is no such device here, or it cannot be measured.
    """
    # Counted through the driver's library, without CUDA: this process must not be ended by what happens there.
    count = torch.cuda.device_count()
    if name == "auto":
        name = "cuda" if count else "cpu"
    try:
        device = torch.device(name)
    except RuntimeError:
        raise UsageError(f"there is no device {name!r}: expected auto, cpu, cuda or cuda:N") from None
    if device.type == "cuda" and not count and (reason := nothing_visible()) is not None:
        raise UsageError(reason)
    if device.type not in ("cpu", "cuda") or (device.type == "cuda" and (device.index or 0) >= count):
        raise UsageError(f"device {name!r} is not here: there are cpu and {count} cuda devices")
    if device.type == "cuda":
        warn_of(require_fit([device.index or 0]))
    return device


def warn_of(warning: str | None) -> None:
    """Say on stderr what may be wrong with a device, if there is something."""
    if warning is not None:
        print(f"warning: {warning}", file=sys.stderr)  # noqa: T201  for whoever started the command
