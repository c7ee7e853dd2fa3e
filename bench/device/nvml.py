"""What NVML tells of one GPU while it is measured: clocks, temperature, power, throttling, energy, memory."""

import os
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import pynvml
import torch

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
class Reading:
    """The GPU at a moment: MHz, °C, W, and why its clocks are held back; None for what is not known."""

    sm_mhz: int | None = None
    memory_mhz: int | None = None
    temperature_c: int | None = None
    power_w: float | None = None
    throttle: tuple[str, ...] | None = None

    @property
    def throttled(self) -> bool:
        """Whether the clocks are known to be held back."""
        return bool(self.throttle)


@dataclass(frozen=True)
class Telemetry:
    """NVML's handle of a GPU, or why there is none; without one every answer is None."""

    handle: Any = None
    absent: str | None = None

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
        power, reasons = self.ask(pynvml.nvmlDeviceGetPowerUsage), self.throttle_bits()
        return Reading(
            sm_mhz=self.ask(pynvml.nvmlDeviceGetClockInfo, pynvml.NVML_CLOCK_SM),
            memory_mhz=self.ask(pynvml.nvmlDeviceGetClockInfo, pynvml.NVML_CLOCK_MEM),
            temperature_c=self.ask(pynvml.nvmlDeviceGetTemperature, pynvml.NVML_TEMPERATURE_GPU),
            power_w=None if power is None else power / 1e3,
            throttle=None if reasons is None else tuple(name for bit, name in THROTTLES.items() if reasons & bit),
        )

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


def summary(readings: Iterable[Reading]) -> dict[str, Any]:
    """The columns of a row: the lowest clocks, the highest temperature and power, every throttle reason."""
    known = list(readings)

    def all_of(name: str) -> list[Any]:
        return [value for reading in known if (value := getattr(reading, name)) is not None]

    reasons = all_of("throttle")
    return {
        "sm_mhz": min(all_of("sm_mhz"), default=None),
        "memory_mhz": min(all_of("memory_mhz"), default=None),
        "temperature_c": max(all_of("temperature_c"), default=None),
        "power_w": max(all_of("power_w"), default=None),
        "throttle": "+".join(sorted({one for names in reasons for one in names})) or "none" if reasons else None,
    }
