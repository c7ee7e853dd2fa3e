"""Reports made up for the tests of what `python -m bench offline` shows."""

from typing import Any

from bench.cost.bounds import bounds_us, kernel_work
from bench.cost.chips import CHIPS
from bench.offline.examine import KernelReport, Task
from bench.offline.sass import UNITS
from kernels import Problem

STAGE_28 = Problem(
    batch=64,
    channels=200,
    height=28,
    width=28,
    kernel_size=7,
    m=8,
    padding=3,
    dtype="bfloat16",
    memory_format="channels_last",
)
FORWARD = Task("forward", STAGE_28, "sm_90")


def report(task: Task, **measured: Any) -> KernelReport:
    """A report made up for a task, but for what is to be different."""
    measures = {
        "registers": 128,
        "spill_bytes": 0,
        "shared_bytes": 0,
        "shared_bytes_needed": 0,
        "occupancy": 0.25,
        "idle_lanes": 0.125,
        "row_loops": 1,
        "rows_per_iteration": 1,
        "instructions_per_tap": 23.25,
        "executed_per_tap": 25.5,
        "l1_bytes_per_tap": 7.5,
        "compile_seconds": 1.5,
        **measured,
    }
    of_arch = {name: chip for name, chip in CHIPS.items() if chip.architecture == task.arch}
    bounds = {name: bounds_us(kernel_work(task.problem, task.kernel), chip) for name, chip in of_arch.items()}
    settings = {"columns": 4, "warps": 4, "m": 8}
    return KernelReport(
        task, settings, measures, dict.fromkeys(UNITS, 1.25), bounds, {"ptx": "text", "cubin": b"\x7fELF"}
    )
