"""Whether a GPU can be measured, asked of its driver (NVML) alone: before any work, without CUDA in this process."""

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pynvml
import torch

from ..errors import UsageError

_LEAST_CAPABILITY = (8, 0)
# A context of CUDA alone takes about so much.
_LEAST_MIB = 512
_MIB = 2**20


@dataclass(frozen=True)
class Facts:
    """What NVML tells of one GPU; None for what it does not tell.

    Args:
        name: The GPU as the user named it.
        capability: Its compute capability.
        compute_mode: NVML's number of its compute mode.
        cuda: The newest major version of CUDA that the driver runs.
        driver: The driver's version.
        torch_cuda: The version of CUDA that torch is built with.
        mig: Whether it is a MIG instance, or a GPU that is divided into such.
        free_bytes: Memory that nobody has.
    """

    name: str
    capability: tuple[int, int] | None = None
    compute_mode: int | None = None
    cuda: int | None = None
    driver: str | None = None
    torch_cuda: str | None = None
    mig: bool | None = None
    free_bytes: int | None = None


def _capability(facts: Facts) -> str | None:
    if facts.capability is None or facts.capability >= _LEAST_CAPABILITY:
        return None
    return f"has compute capability {facts.capability[0]}.{facts.capability[1]}: the kernels need 8.0 (A100) or newer"


def _mode(facts: Facts) -> str | None:
    named = {
        pynvml.NVML_COMPUTEMODE_EXCLUSIVE_PROCESS: "exclusive",
        pynvml.NVML_COMPUTEMODE_PROHIBITED: "prohibited",
    }
    if facts.compute_mode not in named:
        return None
    return (
        f"is in {named[facts.compute_mode]} compute mode: several processes measure; nvidia-smi -c 0 sets the default"
    )


def _driver(facts: Facts) -> str | None:
    if facts.torch_cuda is None:
        return "is here, and this torch is built without CUDA: install one that is"
    if facts.cuda is None or facts.cuda >= int(facts.torch_cuda.split(".")[0]):
        return None
    return (
        f"has driver {facts.driver}, which runs CUDA {facts.cuda}, too old for this torch with CUDA "
        f"{facts.torch_cuda}: update the driver, or install a torch for its CUDA"
    )


def _mig(facts: Facts) -> str | None:
    return (
        "is divided into MIG instances, and bounds and clocks are a whole GPU's: switch MIG off" if facts.mig else None
    )


def _memory(facts: Facts) -> str | None:
    if facts.free_bytes is None or facts.free_bytes >= _LEAST_MIB * _MIB:
        return None
    free = facts.free_bytes // _MIB
    return f"has {free} MiB free, and a process needs {_LEAST_MIB} to begin with: stop who has it (nvidia-smi)"


# Why a GPU is refused, in the order in which it is asked.
CHECKS: Mapping[str, Callable[[Facts], str | None]] = {
    "driver": _driver,
    "capability": _capability,
    "MIG": _mig,
    "compute mode": _mode,
    "memory": _memory,
}


def require_fit(numbers: Sequence[int]) -> str | None:
    """Refuse GPUs, by their numbers among those that are visible, that cannot be measured; a warning without NVML.

    Raises:
        UsageError: Why one of them cannot be.
    """
    try:
        pynvml.nvmlInit()
    except pynvml.NVMLError as error:
        return f"NVML cannot be loaded ({error}): clocks, power and throttling are not seen, and the GPU is not checked"
    for number in numbers:
        facts = facts_of(number)
        for check in CHECKS.values():
            reason = check(facts)
            if reason is not None:
                raise UsageError(f"{facts.name} {reason}")
    return None


def nothing_visible() -> str | None:
    """Why no GPU is visible though the driver has some; None where it has none, or tells nothing."""
    visible = os.environ.get("CUDA_VISIBLE_DEVICES")
    try:
        pynvml.nvmlInit()
        count = pynvml.nvmlDeviceGetCount()
    except pynvml.NVMLError:
        return None
    if not count:
        return None
    if torch.version.cuda is None:
        return f"this torch is built without CUDA, and there are {count} GPUs here: install one that is"
    if visible is None:
        return f"the driver has {count} GPUs, and CUDA sees none of them: python -c 'import torch; torch.cuda.init()'"
    return f"CUDA_VISIBLE_DEVICES={visible!r} names none of the {count} GPUs here"


def facts_of(number: int) -> Facts:
    """What NVML tells of the GPU of a number among those that are visible."""
    visible = os.environ.get("CUDA_VISIBLE_DEVICES")
    word = str(number) if visible is None else visible.split(",")[number].strip()
    name = f"GPU {number}" if visible is None else f"GPU {number} (CUDA_VISIBLE_DEVICES={visible})"
    told = Facts(name, torch_cuda=torch.version.cuda, cuda=_major(), driver=_asked(pynvml.nvmlSystemGetDriverVersion))
    handle = _asked(_handle, word)
    if handle is None:
        return told
    mode, memory = _asked(pynvml.nvmlDeviceGetMigMode, handle), _asked(pynvml.nvmlDeviceGetMemoryInfo, handle)
    capability = _asked(pynvml.nvmlDeviceGetCudaComputeCapability, handle)
    return Facts(
        name,
        None if capability is None else (int(capability[0]), int(capability[1])),
        _asked(pynvml.nvmlDeviceGetComputeMode, handle),
        told.cuda,
        told.driver,
        told.torch_cuda,
        word.startswith("MIG-") or bool(mode and mode[0]),
        None if memory is None else int(memory.free),
    )


def _handle(word: str) -> Any:
    """NVML's handle of what CUDA_VISIBLE_DEVICES names: a number, in the order of PCI, or a UUID."""
    return pynvml.nvmlDeviceGetHandleByIndex(int(word)) if word.isdecimal() else pynvml.nvmlDeviceGetHandleByUUID(word)


def _major() -> int | None:
    version = _asked(pynvml.nvmlSystemGetCudaDriverVersion)
    return None if version is None else int(version) // 1000


def _asked(question: Callable[..., Any], *arguments: object) -> Any:
    """What NVML answers, None where it cannot."""
    try:
        return question(*arguments)
    except pynvml.NVMLError:
        return None
