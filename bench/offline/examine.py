"""What the compiler makes of each fused kernel: its resources, its instructions per tap, and the time they bound."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, fields, replace
from importlib.metadata import version
from typing import Any

from kernels import CompiledKernel, Problem, compile_fused

from ..case.axes import AXES, parse_axis
from ..case.sweeps import SWEEPS, Sweep, expand
from ..cost.bounds import KERNELS, bounds_us, kernel_work
from ..cost.chips import CHIPS, MULTIPROCESSORS, occupancy
from ..errors import UsageError
from .binaries import disassemble, resource_usage
from .sass import Code, Instruction, by_unit, bytes_of, parse_code, parse_resources, spill_bytes
from .schedule.report import Schedule, pipe_cycles, ready_warps, schedule_of

ARCHITECTURES: Mapping[str, tuple[int, int]] = {
    f"sm_{major}{minor}": (major, minor) for major, minor in MULTIPROCESSORS
}
OFFLINE = Sweep(
    "LR-Net-50's stages, and k, m and the dtype around its 28²×200 stage",
    {**SWEEPS["axes"].base, "mode": ("forward",)},
    (
        *SWEEPS["stages"].blocks,
        {"kernel_size": (3, 5, 7, 9, 11, 13)},
        {"m": (1, 2, 4, 8, 16, 32)},
        {"dtype": ("bfloat16", "float16", "float32", "float64")},
    ),
)
# What is not as usual is part of a name.
_UNUSUAL: Sequence[Callable[[Problem], str]] = (
    lambda p: "" if p.batch == 64 else f"n{p.batch}",
    lambda p: "" if p.stride == 1 else f"s{p.stride}",
    lambda p: "" if p.dilation == 1 else f"d{p.dilation}",
    lambda p: "" if 2 * p.padding == p.dilation * (p.kernel_size - 1) else f"p{p.padding}",
    lambda p: "" if p.composability == "multiplication" else p.composability,
    lambda p: "" if p.padding_mode == "mask" else p.padding_mode,
    lambda p: "" if p.channel_order == "consecutive" else p.channel_order,
    lambda p: "" if p.prior else "noprior",
    lambda p: "" if p.memory_format == "channels_last" else p.memory_format,
)


@dataclass(frozen=True)
class Task:
    """One kernel to compile for one architecture."""

    kernel: str
    problem: Problem
    arch: str

    @property
    def unusual(self) -> str:
        """The options that are not as usual, as in "s2-noprior"."""
        return "-".join(filter(None, (text(self.problem) for text in _UNUSUAL)))

    @property
    def name(self) -> str:
        """A name that no other task has: KERNEL-HxWxC-kK-mM-DTYPE-ARCH, what is unusual before the dtype."""
        p = self.problem
        sizes = f"{p.height}x{p.width}x{p.channels}-k{p.kernel_size}-m{p.m}"
        return "-".join(filter(None, (self.kernel, sizes, self.unusual, p.dtype, self.arch)))


@dataclass(frozen=True)
class KernelReport:
    """What became of a task: settings, measures, per tap instructions by unit and cycles by pipe, bounds by GPU.

    Texts and binary; and its schedule where it was simulated.
    """

    task: Task
    settings: Mapping[str, Any]
    measures: Mapping[str, Any]
    units: Mapping[str, float]
    cycles: Mapping[str, float]
    bounds_us: Mapping[str, Mapping[str, float]]
    files: Mapping[str, str | bytes]
    schedule: Schedule | None = None

    def row(self) -> dict[str, Any]:
        """All numbers by column; a setting that repeats a field of the problem is left out."""
        problem = asdict(self.task.problem)
        bounds = {f"{bound}_us {chip}": time for chip, times in self.bounds_us.items() for bound, time in times.items()}
        return {
            **self._head(),
            **problem,
            **{name: value for name, value in self.settings.items() if name not in problem},
            **self.measures,
            **{f"{unit}_per_tap": count for unit, count in self.units.items()},
            **{f"{pipe}_cycles_per_tap": count for pipe, count in self.cycles.items()},
            **bounds,
            **self._simulated(),
        }

    def document(self) -> dict[str, Any]:
        """The same in sections, with every setting."""
        return {
            **self._head(),
            "kernel_size": self.task.problem.kernel_size,
            "columns": self.settings["columns"],
            **self.measures,
            "units_per_tap": dict(self.units),
            "cycles_per_tap": dict(self.cycles),
            "bounds_us": {chip: dict(times) for chip, times in self.bounds_us.items()},
            "problem": asdict(self.task.problem),
            "settings": dict(self.settings),
            **self._simulated(),
        }

    def _simulated(self) -> dict[str, Any]:
        if self.schedule is None:
            return {}
        times = {f"simulated_us {chip}": time for chip, time in self.schedule.us.items()}
        return {"simulated_cycles_per_tap": self.schedule.cycles_per_tap, **times}

    def _head(self) -> dict[str, Any]:
        return {
            "name": self.task.name,
            "kernel": self.task.kernel,
            "arch": self.task.arch,
            "triton": version("triton"),
        }


def tasks_of(archs: str, kernels: Iterable[str], axes: Iterable[str]) -> list[Task]:
    """What was asked for in the command's words: architectures, kernels (all of them if none), overridden axes.

    Raises:
        UsageError: Something does not exist or makes no sense.
    """
    chosen_archs = _chosen("architecture", archs.split(","), ARCHITECTURES)
    chosen_kernels = _chosen("kernel", [name for text in kernels for name in text.split(",")], KERNELS)
    parsed = [parse_axis(text) for text in axes]
    names = [name for name, _ in parsed]
    for name in names:
        if not {field.name for field in fields(Problem)}.issuperset(AXES[name].fields):
            raise UsageError(f"{name} is no axis of a kernel: choose kernels with --kernel {','.join(KERNELS)}")
        if names.count(name) > 1:
            raise UsageError(f"axis {name} is given more than once: give its values together, {name}=VALUE,VALUE")
    problems = dict.fromkeys(case.problem for case in expand(OFFLINE, dict(parsed), ["triton"]))
    return [
        Task(kernel, problem, arch)
        for arch in chosen_archs
        for problem in problems
        for kernel in chosen_kernels or KERNELS
    ]


def examine(task: Task) -> KernelReport:
    """Compile a task's kernel and read its binary."""
    return _examined(task, simulated=False)


def examine_schedule(task: Task) -> KernelReport:
    """The same, and let its warps run through a model of the GPU."""
    return _examined(task, simulated=True)


def _examined(task: Task, *, simulated: bool) -> KernelReport:
    compiled = compile_fused(task.kernel, task.problem, ARCHITECTURES[task.arch])
    text = disassemble(compiled.cubin)
    code, resources = parse_code(text), parse_resources(resource_usage(compiled.cubin))
    body, counts = _counted(compiled, code)
    taps = counts["counted_taps"]
    units = {unit: count / taps for unit, count in by_unit(body).items()}
    cycles = {pipe: count / taps for pipe, count in pipe_cycles(body, compiled.capability).items()}
    measures = {
        "registers": resources["REG"],
        "stack_bytes": resources["STACK"],
        "spill_bytes": spill_bytes(code.instructions),
        "loop_spill_bytes": spill_bytes(body),
        "shared_bytes": compiled.shared_bytes,
        "shared_bytes_needed": compiled.shared_bytes_needed,
        "occupancy": occupancy(compiled.capability, compiled.warps, resources["REG"], compiled.shared_bytes),
        "idle_lanes": 1 - compiled.taps / (compiled.lanes * compiled.taps_per_lane),
        **counts,
        "l1_bytes_per_tap": bytes_of(body, "LDG") / taps,
        "stall_cycles": sum(one.control.stall for one in body),
        "ready_warps": ready_warps(body),
        "compile_seconds": round(compiled.compile_seconds, 3),
    }
    issued = compiled.lanes * counts["executed_instructions"]
    work = replace(kernel_work(task.problem, task.kernel), instructions=issued)
    bounds = {name: bounds_us(work, chip) for name, chip in CHIPS.items() if chip.capability == compiled.capability}
    settings = {**asdict(compiled.geometry), "warps": compiled.warps}
    files: dict[str, str | bytes] = {"ptx": compiled.ptx, "cubin": compiled.cubin, "sass": text}
    schedule = None
    if simulated:
        schedule = schedule_of(compiled, code, body, counts["rows_per_iteration"], measures["occupancy"])
    return KernelReport(task, settings, measures, units, cycles, bounds, files, schedule)


def _counted(compiled: CompiledKernel, code: Code) -> tuple[Sequence[Instruction], dict[str, Any]]:
    """The instructions that are counted per tap, and over how many taps.

    These are the loop over the window's rows: the largest of `row_loops` loops that load, with `rows_per_iteration` > 1
    where the compiler has unrolled it. Where there is none (`row_loops` is 0), it is the whole kernel.
    """
    loops = [loop for loop in code.loops if bytes_of(loop, "LDG")]
    body, taps, rows, times = code.instructions, compiled.taps_per_lane, compiled.problem.kernel_size, 1.0
    if loops:
        body = loops[0]
        exponentials = sum(one.opcode == "MUFU.EX2" for one in body)
        rows = max(1, int(exponentials / compiled.weights_per_iteration))
        taps, times = compiled.taps_per_iteration * rows, compiled.iterations / rows
    outside = len(code.instructions) - sum(map(len, loops)) if loops else 0
    executed = outside + times * len(body)
    return body, {
        "instructions": len(code.instructions),
        "row_loops": len(loops),
        "rows_per_iteration": rows,
        "counted_instructions": len(body),
        "counted_taps": taps,
        "iterations": times,
        "executed_instructions": executed,
        "instructions_per_tap": len(body) / taps,
        "executed_per_tap": executed / compiled.taps_per_lane,
    }


def _chosen(what: str, names: Sequence[str], known: Iterable[str]) -> list[str]:
    """The names, each once.

    Raises:
        UsageError: One of them is not known.
    """
    for name in names:
        if name not in known:
            raise UsageError(f"there is no {what} {name!r}: there are {', '.join(known)}")
    return list(dict.fromkeys(names))
