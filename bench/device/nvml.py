"""What NVML tells of one GPU: clocks, temperature, power, throttling, energy, memory, modes, and who else uses it."""

import os
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

import pynvml
import torch

from ..samples import Reading
from .patience import Patience

# Why a GPU lowers its clocks under load, by NVML's bits (nvmlClocksEventReasons in nvml.h). Being idle, or set to
# certain clocks, is no throttling.
THROTTLES = {
    0x04: "power_cap",
    0x08: "hw_slowdown",
    0x20: "sw_thermal",
    0x40: "hw_thermal",
    0x80: "power_brake",
}


@dataclass(frozen=True)
class Telemetry:
    """NVML's handle of a GPU, or why there is none; without one every answer is None. And how long it is waited for."""

    handle: Any = None
    absent: str | None = None
    patience: Patience = field(default_factory=Patience, compare=False)

    def ask(self, question: Callable[..., Any], *arguments: object) -> Any:
        """What NVML answers about the GPU; None where it cannot, as for what a model does not support."""
        if self.handle is None:
            return None
        try:
            return question(self.handle, *arguments)
        except pynvml.NVMLError:
            return None

    def read(self) -> Reading:
        """The state of the GPU now."""
        if self.handle is None:
            return Reading()
        reasons = self.throttle_bits()
        return Reading(
            sm_mhz=self.sm_mhz(),
            memory_mhz=self.ask(pynvml.nvmlDeviceGetClockInfo, pynvml.NVML_CLOCK_MEM),
            temperature_c=self.ask(pynvml.nvmlDeviceGetTemperature, pynvml.NVML_TEMPERATURE_GPU),
            power_w=self.power()[0],
            throttle=None if reasons is None else tuple(name for bit, name in THROTTLES.items() if reasons & bit),
        )

    def sm_mhz(self) -> int | None:
        """The clock of the multiprocessors now."""
        return None if (mhz := self.ask(pynvml.nvmlDeviceGetClockInfo, pynvml.NVML_CLOCK_SM)) is None else int(mhz)

    def most_sm_mhz(self) -> int | None:
        """The highest clock that the multiprocessors can have."""
        return None if (mhz := self.ask(pynvml.nvmlDeviceGetMaxClockInfo, pynvml.NVML_CLOCK_SM)) is None else int(mhz)

    def power(self) -> tuple[float | None, str | None]:
        """W, and whether that is of this "instant", or the driver's own figure: on many GPUs the "mean of a second"."""
        fields = self.ask(pynvml.nvmlDeviceGetFieldValues, [pynvml.NVML_FI_DEV_POWER_INSTANT])
        if fields is not None and fields[0].nvmlReturn == pynvml.NVML_SUCCESS:
            return fields[0].value.uiVal / 1e3, "instant"
        milliwatts = self.ask(pynvml.nvmlDeviceGetPowerUsage)
        return (None, None) if milliwatts is None else (milliwatts / 1e3, "mean of a second")

    def throttle_bits(self) -> int | None:
        """NVML's bits of why clocks are what they are; older drivers know them by an older name."""
        bits = self.ask(pynvml.nvmlDeviceGetCurrentClocksEventReasons)
        if bits is None:
            bits = self.ask(pynvml.nvmlDeviceGetCurrentClocksThrottleReasons)
        return None if bits is None else int(bits)

    def energy_mj(self) -> float | None:
        """Energy that the GPU has taken since its driver was loaded, in mJ."""
        answer = self.ask(pynvml.nvmlDeviceGetTotalEnergyConsumption)
        return None if answer is None else float(answer)

    def processes(self) -> list[Any]:
        """The processes that the driver counts on the GPU, each once."""
        questions = (pynvml.nvmlDeviceGetComputeRunningProcesses, pynvml.nvmlDeviceGetGraphicsRunningProcesses)
        return list({process.pid: process for question in questions for process in self.ask(question) or []}.values())

    def process_bytes(self) -> int | None:
        """GPU memory of this process, its context included, as the driver counts it.

        None where the driver lists no such process, as in a container that has process numbers of its own.
        """
        return next((one.usedGpuMemory for one in self.processes() if one.pid == os.getpid()), None)


@lru_cache(maxsize=16)
def telemetry_of(device: torch.device) -> Telemetry:
    """The telemetry of a torch device, found by the GPU's UUID: NVML counts GPUs otherwise than CUDA."""
    if device.type != "cuda":
        return Telemetry(absent="NVML tells of GPUs alone")
    uuid = str(torch.cuda.get_device_properties(device).uuid)
    reasons = []
    try:
        pynvml.nvmlInit()
    except pynvml.NVMLError as error:
        return Telemetry(absent=f"NVML cannot be loaded: {error}")
    for name in [uuid] if uuid.startswith(("GPU-", "MIG-")) else [f"GPU-{uuid}", f"MIG-{uuid}"]:
        try:
            return Telemetry(pynvml.nvmlDeviceGetHandleByUUID(name))
        except pynvml.NVMLError as error:
            reasons.append(f"{name}: {error}")
    return Telemetry(absent=f"NVML does not know the GPU ({'; '.join(reasons)})")


def gpu_state(telemetry: Telemetry) -> dict[str, Any]:
    """Driver, clocks and limits, modes and neighbours; None for what NVML does not tell, and why it tells nothing."""
    if telemetry.handle is None:
        return {"driver": None, "telemetry_absent": telemetry.absent}
    ask = telemetry.ask
    clocks = {"sm": pynvml.NVML_CLOCK_SM, "memory": pynvml.NVML_CLOCK_MEM}
    limits = ask(pynvml.nvmlDeviceGetPowerManagementLimitConstraints)
    mig, ecc, bits = ask(pynvml.nvmlDeviceGetMigMode), ask(pynvml.nvmlDeviceGetEccMode), telemetry.throttle_bits()
    own = telemetry.process_bytes()
    return {
        "driver": _driver(),
        "telemetry_absent": None,
        "clocks_mhz": {name: ask(pynvml.nvmlDeviceGetClockInfo, kind) for name, kind in clocks.items()},
        "max_clocks_mhz": {name: ask(pynvml.nvmlDeviceGetMaxClockInfo, kind) for name, kind in clocks.items()},
        "set_clocks_mhz": {name: ask(pynvml.nvmlDeviceGetApplicationsClock, kind) for name, kind in clocks.items()},
        "clocks_held_by": None if bits is None else [name for bit, name in THROTTLES.items() if bits & bit],
        "power_limit_w": _watts(ask(pynvml.nvmlDeviceGetEnforcedPowerLimit)),
        "power_limits_w": None if limits is None else [_watts(limit) for limit in limits],
        "power_reading": telemetry.power()[1],
        "persistence_mode": _flag(ask(pynvml.nvmlDeviceGetPersistenceMode)),
        "ecc": None if ecc is None else _flag(ecc[0]),
        "mig": None if mig is None else _flag(mig[0]),
        "neighbours": neighbours(telemetry),
        "driver_mib_unknown": None if own is not None else "the driver lists this process under no number of ours",
    }


def neighbours(telemetry: Telemetry) -> list[dict[str, Any]]:
    """Other processes on the GPU: their numbers and MiB. In a container, one of them may be this process itself."""
    return [
        {"pid": process.pid, "mib": None if process.usedGpuMemory is None else process.usedGpuMemory / 2**20}
        for process in telemetry.processes()
        if process.pid != os.getpid()
    ]


def _driver() -> str | None:
    try:
        return str(pynvml.nvmlSystemGetDriverVersion())
    except pynvml.NVMLError:
        return None


def _watts(milliwatts: int | None) -> float | None:
    return None if milliwatts is None else milliwatts / 1e3


def _flag(answer: int | None) -> bool | None:
    return None if answer is None else bool(answer)
