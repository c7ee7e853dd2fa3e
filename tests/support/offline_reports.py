"""Reports made up for the tests of what `python -m bench offline` shows."""

from dataclasses import replace
from typing import Any

from bench.cost.bounds import bounds_us, kernel_work
from bench.cost.chips import CHIPS
from bench.offline.examine import KernelReport, Task
from bench.offline.sass import UNITS
from bench.offline.schedule.report import Schedule
from bench.offline.schedule.simulation import Waited
from kernels import Problem
from tests.support.made_up_code import instruction

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


LOOP = (
    instruction("LDG.E.128 R4, desc[UR4][R2.64]", write=2),
    instruction("FFMA R0, R0, R1, R2", stall=4),
    instruction("SHF.L.U32 R5, R4, 0x10, RZ", waits=[2]),
)
WAITED = (Waited(turn=30, issued=10), Waited(issued=10), Waited(stall=30, scoreboard=3330, issued=10))


def simulated(task: Task) -> KernelReport:
    """A report made up for a task, with a schedule that loses 333 cycles at one scoreboard."""
    us = {name: 52.5 for name, chip in CHIPS.items() if chip.architecture == task.arch}
    return replace(report(task), schedule=Schedule(LOOP, WAITED, 3, 31.0, 0.8, us))


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
        "instructions_per_tap": 21.25,
        "executed_per_tap": 25.5,
        "l1_bytes_per_tap": 7.5,
        "stall_cycles": 1050,
        "ready_warps": 1.75,
        "compile_seconds": 1.5,
        **measured,
    }
    of_arch = {name: chip for name, chip in CHIPS.items() if chip.architecture == task.arch}
    bounds = {name: bounds_us(kernel_work(task.problem, task.kernel), chip) for name, chip in of_arch.items()}
    settings = {"columns": 4, "warps": 4, "m": 8}
    cycles = {"issue": 21.25, "fma": 12.5, "alu": 13.25, "mufu": 9.25, "l1": 8.0, "fp64": 0.0}
    files: dict[str, str | bytes] = {"ptx": "text", "cubin": b"\x7fELF"}
    return KernelReport(task, settings, measures, dict.fromkeys(UNITS, 1.25), cycles, bounds, files)
