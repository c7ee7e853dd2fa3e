"""An NVML of one GPU that says what a test wants."""

import os
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

from bench.device.nvml import Telemetry

UUID = "GPU-8f3c"


class NVMLError(Exception):
    """What NVML raises."""


class Nvml:
    """NVML's functions that the suite asks; `bits` are the throttle reasons of one reading after the other."""

    NVML_CLOCK_SM, NVML_CLOCK_MEM, NVML_TEMPERATURE_GPU = 1, 2, 0
    NVML_FI_DEV_POWER_INSTANT, NVML_SUCCESS, NVML_ERROR_NOT_SUPPORTED = 186, 0, 3
    NVML_COMPUTEMODE_PROHIBITED, NVML_COMPUTEMODE_EXCLUSIVE_PROCESS = 2, 3
    NVMLError = NVMLError

    def __init__(self, bits: Iterator[int] | None = None, **answers: Any) -> None:
        self.bits, self.answers, self.energy = bits, answers, 1000.0
        self.handles: list[str] = []

    def answer(self, name: str, usual: Any) -> Any:
        """A test's own answer, an error where that is None."""
        value = self.answers.get(name, usual)
        if value is None:
            raise NVMLError("Not Supported")
        return value

    def nvmlInit(self) -> None:  # noqa: N802
        self.answer("init", usual=True)

    def nvmlDeviceGetHandleByUUID(self, uuid: str) -> str:  # noqa: N802
        if uuid != self.answers.get("uuid", UUID):
            raise NVMLError("Not Found")
        self.handles.append(uuid)
        return "handle"

    def nvmlDeviceGetHandleByIndex(self, index: int) -> str:  # noqa: N802
        self.handles.append(f"index {index}")
        return "handle"

    def fields(self, _: object, names: list[int]) -> list[SimpleNamespace]:
        """The power of this instant, which older GPUs do not tell."""
        assert names == [self.NVML_FI_DEV_POWER_INSTANT]
        power = self.answers.get("instant_power")
        said = self.NVML_ERROR_NOT_SUPPORTED if power is None else self.NVML_SUCCESS
        return [SimpleNamespace(nvmlReturn=said, value=SimpleNamespace(uiVal=power or 0))]

    def __getattr__(self, name: str) -> Any:
        usual: dict[str, Any] = {
            "nvmlSystemGetDriverVersion": lambda: "580.1",
            "nvmlDeviceGetClockInfo": lambda _, kind: self.answer("clocks", {1: 1980, 2: 3201})[kind],
            "nvmlDeviceGetMaxClockInfo": lambda _, kind: {1: 1980, 2: 3201}[kind],
            "nvmlDeviceGetApplicationsClock": lambda *_: self.answer("set_clocks", None),
            "nvmlDeviceGetTemperature": lambda *_: self.answer("temperature", 40),
            "nvmlDeviceGetPowerUsage": lambda _: self.answer("power", 350_500),
            "nvmlDeviceGetFieldValues": self.fields,
            "nvmlDeviceGetCurrentClocksEventReasons": lambda _: (
                next(self.bits) if self.bits else self.answer("new_bits", 0)
            ),
            "nvmlDeviceGetCurrentClocksThrottleReasons": lambda _: self.answer("old_bits", 0),
            "nvmlDeviceGetTotalEnergyConsumption": lambda _: self.answer("energy", self.energy),
            "nvmlDeviceGetComputeRunningProcesses": lambda _: self.answer("processes", []),
            "nvmlDeviceGetGraphicsRunningProcesses": lambda _: [],
            "nvmlDeviceGetPowerManagementLimitConstraints": lambda _: [200_000, 700_000],
            "nvmlDeviceGetEnforcedPowerLimit": lambda _: 700_000,
            "nvmlDeviceGetPersistenceMode": lambda _: 1,
            "nvmlDeviceGetEccMode": lambda _: [1, 1],
            "nvmlDeviceGetMigMode": lambda _: self.answer("mig", [0, 0]),
            "nvmlDeviceGetCount": lambda: self.answer("gpus", 2),
            "nvmlSystemGetCudaDriverVersion": lambda: self.answer("cuda", 13000),
            "nvmlDeviceGetCudaComputeCapability": lambda _: self.answer("capability", (9, 0)),
            "nvmlDeviceGetComputeMode": lambda _: self.answer("mode", 0),
            "nvmlDeviceGetMemoryInfo": lambda _: SimpleNamespace(free=self.answer("free", 80 * 2**30)),
        }
        return usual[name]


def process(pid: int | None = None, mib: float | None = 512) -> SimpleNamespace:
    """A process on the GPU, this one if no number is given."""
    return SimpleNamespace(
        pid=os.getpid() if pid is None else pid, usedGpuMemory=None if mib is None else int(mib * 2**20)
    )


HANDLED = Telemetry("handle")


def handled() -> Telemetry:
    """The same for one test, whose patience no other has tried."""
    return Telemetry("handle")
