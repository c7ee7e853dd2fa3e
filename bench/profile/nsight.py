"""Nsight Compute (`ncu`) around one call of a case: its counters, kernel by kernel."""

import csv
import shutil
import subprocess
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from .. import ROOT, module_command
from ..errors import Unavailable

_STALL = "smsp__average_warps_issue_stalled_{}_per_issue_active.ratio"
STALLS = (
    *("long_scoreboard", "short_scoreboard", "math_pipe_throttle", "mio_throttle", "lg_throttle", "tex_throttle"),
    *("wait", "not_selected", "no_instruction", "dispatch_stall", "branch_resolving", "barrier", "imc_miss", "drain"),
)
# The names that tables have for sums of metrics, in the unit that the name ends with.
COUNTERS: Mapping[str, tuple[str, ...]] = {
    "time, ns": ("gpu__time_duration.sum",),
    "issue slots busy, %": ("sm__inst_issued.avg.pct_of_peak_sustained_active",),
    "instructions of warps": ("smsp__inst_executed.sum",),
    "FMA pipe busy, %": ("sm__inst_executed_pipe_fma.avg.pct_of_peak_sustained_active",),
    "FP32 operations of threads": (
        "smsp__sass_thread_inst_executed_op_ffma_pred_on.sum",
        "smsp__sass_thread_inst_executed_op_fadd_pred_on.sum",
        "smsp__sass_thread_inst_executed_op_fmul_pred_on.sum",
    ),
    "MUFU pipe (XU) busy, %": ("sm__inst_executed_pipe_xu.avg.pct_of_peak_sustained_active",),
    "MUFU (XU) instructions of warps": ("sm__inst_executed_pipe_xu.sum",),
    "L1 bytes": ("l1tex__t_bytes.sum",),
    "L2 bytes": ("lts__t_bytes.sum",),
    "DRAM bytes": ("dram__bytes_read.sum", "dram__bytes_write.sum"),
    "DRAM busy, %": ("dram__throughput.avg.pct_of_peak_sustained_elapsed",),
    "occupancy, %": ("sm__warps_active.avg.pct_of_peak_sustained_active",),
    "registers of a thread": ("launch__registers_per_thread",),
    **{f"warps stalled, {reason}": (_STALL.format(reason),) for reason in STALLS},
}
NCU_METRICS = tuple(metric for metrics in COUNTERS.values() for metric in metrics)
_KERNEL, _MISSING = "Kernel Name", frozenset({"", "n/a", "nan"})
_SCALES = {"second": 1e9, "s": 1e9, "msecond": 1e6, "ms": 1e6, "usecond": 1e3, "us": 1e3} | {
    f"{letter}byte": 10**power for letter, power in {"K": 3, "M": 6, "G": 9, "T": 12}.items()
}
_PERMISSION, _ERROR = "ERR_NVGPUCTRPERM", "==ERROR== "


@dataclass(frozen=True)
class Counted:
    """A kernel's counters, the mean over its launches; one that ncu does not have on the GPU is absent."""

    kernel: str
    launches: int
    counters: Mapping[str, float]


@dataclass(frozen=True)
class Target:
    """The call that ncu looks into: the file that holds its case, the device, the log, and whether caches are cold."""

    case: Path
    device: str
    log: Path
    cold: bool


def command(ncu: str, target: Target, metrics: Sequence[str] = NCU_METRICS) -> list[str]:
    """What counts in the kernels of `bench.profile.nsight_target`, between Start and Stop, at the GPU's own clocks.

    From a cold cache, ncu flushes all of them before each kernel; else it leaves them as they are.
    """
    options = {
        "--profile-from-start": "off",
        "--clock-control": "none",
        "--cache-control": "all" if target.cold else "none",
        "--page": "raw",
        "--print-units": "base",
        "--metrics": ",".join(metrics),
        "--log-file": str(target.log.resolve()),
    }
    module = [*module_command("bench.profile.nsight_target"), str(target.case.resolve()), target.device]
    return [ncu, "--csv", *(word for option in options.items() for word in option), *module]


def count(target: Target, seconds: float) -> tuple[list[Counted], list[str]]:
    """Run ncu on a call, and the metrics that it does not know on this GPU; what it wrote last stays in the log.

    A name that it does not know makes ncu refuse all of them: it is run once more without those that it names.

    Raises:
        Unavailable: It is not installed, not permitted, or fails.
    """
    ncu = shutil.which("ncu")
    if ncu is None:
        raise Unavailable("ncu is not on the path")
    wanted, end = list(NCU_METRICS), time.monotonic() + seconds
    while True:
        text, output, code = _run(command(ncu, target, wanted), target.log, end)
        reason = failure(output, code)
        if reason is None:
            return parse(text), [metric for metric in NCU_METRICS if metric not in wanted]
        refused = unknown(output, wanted)
        wanted = [metric for metric in wanted if metric not in refused]
        if not refused or not wanted:
            raise Unavailable(reason)


def _run(line: Sequence[str], log: Path, end: float) -> tuple[str, str, int]:
    """What the log holds after a run of ncu, all that was written, and the exit code."""
    log.unlink(missing_ok=True)
    try:
        left = max(0.0, end - time.monotonic())
        done = subprocess.run(line, cwd=ROOT, capture_output=True, text=True, timeout=left, check=False)
    except subprocess.TimeoutExpired:
        raise Unavailable("ncu took more than the time for an instrument (--case-timeout)") from None
    text = log.read_text(encoding="utf-8") if log.exists() else ""
    return text, f"{text}\n{done.stdout}\n{done.stderr}", done.returncode


def unknown(output: str, wanted: Sequence[str]) -> set[str]:
    """The metrics that ncu's errors name."""
    named = {
        word.strip("'\".,;:()") for line in output.splitlines() if line.startswith(_ERROR) for word in line.split()
    }
    return named & set(wanted)


def failure(output: str, code: int) -> str | None:
    """Why ncu gave nothing, in a line, from what it wrote and its exit code; None where it worked."""
    if _PERMISSION in output:
        return f"the driver lets no user but root read counters ({_PERMISSION}, developer.nvidia.com/{_PERMISSION})"
    said = [line.removeprefix(_ERROR) for line in output.splitlines() if line.startswith(_ERROR)]
    if said:
        return f"ncu says: {said[0]}"
    if "No kernels were profiled" in output:
        return "ncu met no kernel"
    if code:
        last = ([line for line in output.splitlines() if line.strip()] or ["nothing"])[-1]
        return f"ncu ended with exit code {code} and said last: {last.strip()}"
    return None


def parse(text: str) -> list[Counted]:
    """The counters in what `ncu --csv --page raw` writes, kernel by kernel in the order of their first launch.

    Raises:
        Unavailable: There is no table, or no launch in it.
    """
    lines = [line for line in text.splitlines() if line.startswith('"')]
    rows = list(csv.DictReader(lines))
    if len(rows) < 2 or _KERNEL not in rows[0]:  # the first one holds the units
        raise Unavailable("ncu wrote no table of counters")
    units, launches = rows[0], rows[1:]
    kernels = dict.fromkeys(row[_KERNEL] for row in launches)
    return [_counted(kernel, [row for row in launches if row[_KERNEL] == kernel], units) for kernel in kernels]


def _counted(kernel: str, launches: Sequence[Mapping[str, str]], units: Mapping[str, str]) -> Counted:
    counters = {}
    for name, metrics in COUNTERS.items():
        values = [_value(row.get(metric, ""), units.get(metric, "")) for row in launches for metric in metrics]
        known = [value for value in values if value is not None]
        if len(known) == len(values):
            counters[name] = sum(known) / len(launches)
    return Counted(kernel, len(launches), counters)


def _value(cell: str, unit: str) -> float | None:
    """A number as ncu prints it, with commas between thousands, in nanoseconds, bytes or the unit itself."""
    if cell.strip().lower() in _MISSING:
        return None
    return float(cell.replace(",", "")) * float(_SCALES.get(unit, 1))
