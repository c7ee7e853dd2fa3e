"""The tables of schedules: all kernels side by side, and the loop of one by what it waited for."""

from collections.abc import Callable, Sequence
from itertools import groupby

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from ..examine import KernelReport
from ..sass import Instruction
from ..tables import WIDE, Columns, table_of
from .measured import Measured
from .report import Schedule

_WORST = 40
_CAUSES = ("stall", "scoreboard", "turn")
_CAUSES_MEAN = (
    "stall: of the instruction before; scoreboard: until the result of another is there; turn: a full pipe, or other "
    "warps' turns. More warps fill the first two; only fewer instructions shorten the last."
)
_LEGEND = """\
issued, stall: instructions of an iteration of the row loop, and the cycles of their own stalls. need: ready warps \
that hide these; have: warps that a scheduler holds. issue to fp64: cycles per tap and warp that the loop keeps each \
pipe. binds: the one kept longest. sim: cycles per tap and warp of the simulated launch, with what is outside the \
loop; busy%: how much of it the binding pipe is kept. GPUs: simulated µs at the highest clock, and what a run \
measured; of backward, query and key together, beside key. docs/offline.md says what the model leaves out."""


def binding(report: KernelReport) -> str:
    """The pipe that a kernel's loop keeps longest."""
    return max(report.cycles, key=lambda pipe: report.cycles[pipe])


def busy(report: KernelReport) -> float:
    """The share of the simulated time for which the loop keeps that pipe."""
    schedule = _simulated(report)
    return report.cycles[binding(report)] * schedule.walked / schedule.cycles_per_tap


_CYCLES: Columns = {
    "issued": lambda r: f"{len(_simulated(r).loop)}",
    "stall": lambda r: f"{r.measures['stall_cycles']}",
    "need": lambda r: f"{r.measures['ready_warps']:.2f}",
    "have": lambda r: f"{_simulated(r).slots}",
    "issue": lambda r: f"{r.cycles['issue']:.1f}",
    "fma": lambda r: f"{r.cycles['fma']:.1f}",
    "alu": lambda r: f"{r.cycles['alu']:.1f}",
    "mufu": lambda r: f"{r.cycles['mufu']:.1f}",
    "l1": lambda r: f"{r.cycles['l1']:.1f}",
    "fp64": lambda r: f"{r.cycles['fp64']:.1f}",
}
_TIMES: Columns = {
    "binds": binding,
    "sim": lambda r: f"{_simulated(r).cycles_per_tap:.1f}",
    "busy%": lambda r: f"{100 * busy(r):.0f}",
}


def print_schedules(reports: Sequence[KernelReport], measured: Measured | None, console: Console) -> None:
    """Show the schedule of each kernel, which was simulated, by architecture and problem."""
    for arch, of_arch in groupby(reports, key=lambda report: report.task.arch):
        group = list(of_arch)
        times = {**_TIMES, **_times(group[0], measured)}
        wide = console.width >= WIDE
        for title, columns in ({"": {**_CYCLES, **times}} if wide else {", cycles": _CYCLES, ", time": times}).items():
            console.print(table_of(f"{arch}: schedule{title}", columns, group))
            console.print()
    console.print(_LEGEND, highlight=False)


def print_why(report: KernelReport, console: Console) -> None:
    """Show what the loop of a kernel waited for, the worst instruction first, in cycles per iteration of a warp."""
    loop, waited = _simulated(report).loop, _simulated(report).waited
    table = Table(box=None, padding=(0, 1, 0, 0), title=f"{report.task.name}: waited for", title_justify="left")
    for name in ("place", "cycles", *_CAUSES):
        table.add_column(name, justify="right")
    table.add_column("instruction")
    table.add_column("of")
    for place in sorted(range(len(loop)), key=lambda place: -waited[place].cycles)[:_WORST]:
        one, lost = loop[place], waited[place]
        times = (lost.cycles, *(getattr(lost, cause) for cause in _CAUSES))
        text = f"@{one.guard} {one.opcode} {one.operands}" if one.guard else f"{one.opcode} {one.operands}"
        numbers = (f"{time / max(1, lost.issued):.1f}" for time in times)
        table.add_row(f"{place}", *numbers, escape(text), escape(_setters(loop, place)))
    console.print(table)
    sums = (sum(getattr(one, cause) / max(1, one.issued) for one in waited) for cause in _CAUSES)
    summary = ", ".join(f"{cause} {cycles:.0f}" for cause, cycles in zip(_CAUSES, sums, strict=True))
    console.print(
        f"all {len(loop)} instructions of an iteration, in cycles: {summary}\n{_CAUSES_MEAN}", highlight=False
    )


def _setters(loop: Sequence[Instruction], place: int) -> str:
    """The instructions that last set the scoreboards that the one at a place waits for, this iteration or the last."""
    found = []
    for number in loop[place].control.waits:
        for before in (*range(place - 1, -1, -1), *range(len(loop) - 1, place - 1, -1)):
            if number in (loop[before].control.write, loop[before].control.read):
                found.append(f"{loop[before].opcode} at {before}")
                break
    return ", ".join(found)


def _times(report: KernelReport, measured: Measured | None) -> Columns:
    """A column of simulated µs for each GPU of an architecture, and one of what was measured on it."""

    def simulated_on(chip: str) -> Callable[[KernelReport], str]:
        return lambda r: f"{_simulated(r).us[chip]:.1f}"

    def measured_on(chip: str) -> Callable[[KernelReport], str]:
        def show(r: KernelReport) -> str:
            time = measured.us(r.task.kernel, r.task.problem, chip) if measured else None
            return "–" if time is None else f"{time:.1f}"

        return show

    columns: dict[str, Callable[[KernelReport], str]] = {}
    for chip in _simulated(report).us:
        columns[f"{chip.partition(' ')[0]}\nµs"] = simulated_on(chip)
        columns[f"{chip.partition(' ')[0]}\nmeasured"] = measured_on(chip)
    return columns


def _simulated(report: KernelReport) -> Schedule:
    """The schedule of a report that must have one."""
    if report.schedule is None:
        raise ValueError(f"{report.task.name} was not simulated")
    return report.schedule
