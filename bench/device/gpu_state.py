"""How a GPU is set up, and who else uses it: what environment.json says beside the model."""

import os
from typing import Any

import pynvml

from .nvml import THROTTLES, Telemetry


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
