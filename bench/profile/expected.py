"""What is known of a case's kernels before they run: the bounds of the mathematics, and what the compiler made of them.

Under the names of Nsight's counters, so that both stand side by side.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from ..case.case import Case
from ..cost.bounds import MODES, Work, bounds_us, kernel_work
from ..cost.chips import CHIPS, Chip
from ..errors import UsageError
from ..offline.binaries import require_tools
from ..offline.examine import ARCHITECTURES, KernelReport, Task, examine
from ..processes import spread

_THREADS = 32
# Those in which each fused kernel is launched for the case's problem and no other.
_SCOPES = ("operator", "layer")


@dataclass(frozen=True)
class Prediction:
    """A kernel's counters by the mathematics (`bound`) and by its binary (`offline`); bounds are in µs by name."""

    kernel: str
    bounds_us: Mapping[str, float]
    bound: Mapping[str, float]
    offline: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class Expected:
    """The expected of a case's kernels by the name that profilers give them, and what could not be predicted."""

    kernels: Mapping[str, Prediction]
    notes: tuple[str, ...] = ()


def symbol(kernel: str) -> str:
    """The name of a fused kernel in a profile."""
    return f"local_relation_{kernel}_kernel"


def expected_counters(case: Case, chip: Chip | None) -> Expected:
    """The expected of the fused kernels of a case on a chip; none for other implementations and scopes."""
    if case.implementation != "triton" or case.scope not in _SCOPES:
        return Expected({}, (f"only kernels of triton in the scopes {' and '.join(_SCOPES)} are predicted",))
    if chip is None:
        return Expected({}, ("the GPU's rates are not known (bench/cost/chips.py), so there are no bounds",))
    bounds = {}
    for kernel in MODES[case.mode]:
        work = kernel_work(case.problem, kernel)
        bounds[symbol(kernel)] = Prediction(kernel, bounds_us(work, chip), _bound(work, chip))
    compiled, notes = _compiled(case, chip)
    offline = {name: offline_counters(report, chip) for name, report in compiled.items()}
    return Expected({name: replace(one, offline=offline.get(name, {})) for name, one in bounds.items()}, notes)


def _compiled(case: Case, chip: Chip) -> tuple[dict[str, KernelReport], tuple[str, ...]]:
    """What the compiler makes of each kernel by its name in a profile, in processes of their own."""
    if chip.architecture not in ARCHITECTURES:
        return {}, (f"offline compiles for {', '.join(ARCHITECTURES)}, not for {chip.architecture}",)
    try:
        require_tools()
    except UsageError as error:
        return {}, (f"offline: {error}",)
    tasks = [Task(kernel, case.problem, chip.architecture) for kernel in MODES[case.mode]]
    reports, notes = {}, []
    for index, result in spread(examine, tasks):
        if isinstance(result, Exception):
            notes.append(f"offline: {tasks[index].name}: {result}")
        else:
            reports[symbol(tasks[index].kernel)] = result
    return reports, tuple(notes)


def _bound(work: Work, chip: Chip) -> dict[str, float]:
    times = bounds_us(work, chip)
    return {
        "time, ns": 1e3 * max(times.values()),
        "instructions of warps": work.instructions / _THREADS,
        "FP32 operations of threads": 0.0 if work.double else work.fp32,
        "MUFU (XU) instructions of warps": work.exps / _THREADS,
        "L2 bytes": work.bytes,
        "DRAM bytes": work.bytes,
    }


def offline_counters(report: KernelReport, chip: Chip) -> dict[str, float]:
    """What a kernel's binary will count, over the whole grid; the time is that of issuing its instructions."""
    found = {"occupancy, %": 100 * report.measures["occupancy"], "registers of a thread": report.measures["registers"]}
    if not report.bounds_us:
        return found
    name, times = next(iter(report.bounds_us.items()))
    issued = times["issue"] * _per_us(name)
    lanes = issued / report.measures["executed_instructions"]
    taps = lanes * report.measures["iterations"] * report.measures["counted_taps"]
    return {
        "time, ns": 1e3 * issued / chip.per_us(chip.units.issue),
        "instructions of warps": issued / _THREADS,
        "FP32 operations of threads": taps * report.units["fp32"],
        "MUFU (XU) instructions of warps": taps * report.units["mufu"] / _THREADS,
        "L1 bytes": taps * report.measures["l1_bytes_per_tap"],
        **found,
    }


def _per_us(chip: str) -> float:
    return CHIPS[chip].per_us(CHIPS[chip].units.issue)
