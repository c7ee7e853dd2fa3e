"""The tables of `python -m bench offline`: what the compiler made of each kernel, and the bounds in µs."""

from collections.abc import Callable, Mapping, Sequence
from itertools import groupby

from rich.console import Console
from rich.table import Table

from ..cost.bounds import KERNELS
from .examine import KernelReport

Columns = Mapping[str, Callable[[KernelReport], str]]

_RESOURCES: Columns = {
    "regs": lambda r: f"{r.measures['registers']}",
    "spill": lambda r: f"{r.measures['spill_bytes']}",
    "smem": lambda r: f"{r.measures['shared_bytes']}",
    "warps": lambda r: f"{r.settings['warps']}",
    "occ%": lambda r: f"{100 * r.measures['occupancy']:.0f}",
    "idle%": lambda r: f"{100 * r.measures['idle_lanes']:.0f}",
    "compile s": lambda r: f"{r.measures['compile_seconds']:.1f}",
}
_INSTRUCTIONS: Columns = {
    "cols": lambda r: f"{r.settings['columns']}",
    "/tap": lambda r: f"{r.measures['instructions_per_tap']:.1f}{_mark(r)}",
    "fp": lambda r: f"{r.units['fp32'] + r.units['fp64']:.1f}",
    "mufu": lambda r: f"{r.units['mufu']:.1f}",
    "mem": lambda r: f"{r.units['memory']:.1f}",
    "int": lambda r: f"{r.units['integer']:.1f}",
    "conv": lambda r: f"{r.units['conversion']:.1f}",
    "pred": lambda r: f"{r.units['predicate']:.1f}",
    "rest": lambda r: f"{r.units['other']:.1f}",
    "all": lambda r: f"{r.measures['executed_per_tap']:.1f}",
    "L1 B": lambda r: f"{r.measures['l1_bytes_per_tap']:.1f}",
}
WIDE = 118
_LEGEND = """\
regs, spill: registers and bytes spilled, per thread. smem: bytes of shared memory, per program of so many warps. \
occ%: warps that a multiprocessor holds, of those that it could. idle%: lanes without a pixel or a group. compile s: \
processor seconds, no cache. cols: pixels per lane. /tap: instructions per tap (output pixel, group, neighbour) in the \
loop over window rows, and by unit: fp float, mufu exponentials, mem loads and stores, int integers and addresses, \
conv conversions, pred predicates and branches. all: with what is outside the loop. L1 B: bytes loaded per tap in the \
loop. Bounds: memory, fp and exp of the mathematics, issue of all that these binaries execute, idle lanes included."""
_MARKS: Mapping[str, str] = {
    "*": "* no loop over window rows is left: the whole kernel is counted",
    "+": "+ several such loops, or several rows in an iteration: the largest loop is counted, over all its taps",
}
_DTYPES: Mapping[str, str] = {"bfloat16": "bf16", "float16": "fp16", "float32": "fp32", "float64": "fp64"}


def print_reports(reports: Sequence[KernelReport], console: Console) -> None:
    """Show what became of each kernel, by architecture and problem."""
    wide = console.width >= WIDE
    halves = (
        {"compiled": {**_RESOURCES, **_INSTRUCTIONS}}
        if wide
        else {"resources": _RESOURCES, "instructions": _INSTRUCTIONS}
    )
    for arch, of_arch in groupby(reports, key=lambda report: report.task.arch):
        group = list(of_arch)
        bounds = {"bounds in µs": _bounds(group)} if group[0].bounds_us else {}
        for title, columns in {**halves, **bounds}.items():
            console.print(table_of(f"{arch}: {title}", columns, group))
            console.print()
        if not bounds:
            console.print(
                f"{arch}: no bounds, since no GPU of this architecture is in bench/cost/chips.py\n", highlight=False
            )
    marks = {_mark(report) for report in reports}
    notes = [text for mark, text in _MARKS.items() if mark in marks]
    if reports:
        console.print(*notes, _LEGEND, sep="\n", highlight=False)


def _mark(report: KernelReport) -> str:
    """What is unlike a single loop with one window row in each iteration."""
    loops, rows = report.measures["row_loops"], report.measures["rows_per_iteration"]
    return "*" if loops == 0 else "+" if loops > 1 or rows > 1 else ""


def _bounds(reports: Sequence[KernelReport]) -> Columns:
    """A column for each bound of each GPU; float64 has its own pipe in the place of float32's."""

    def column(chip: str, place: int) -> Callable[[KernelReport], str]:
        def show(report: KernelReport) -> str:
            times = list(report.bounds_us[chip].values())
            text = f"{times[place]:.1f}"
            return f"[bold]{text}[/bold]" if times[place] == max(times) else text

        return show

    names = ("memory", "fp", "exp", "issue")
    return {
        f"{chip.partition(' ')[0]}\n{name}": column(chip, place)
        for chip in reports[0].bounds_us
        for place, name in enumerate(names)
    }


def table_of(title: str, columns: Columns, reports: Sequence[KernelReport]) -> Table:
    """A row for each problem, in whose cells its kernels stand below each other."""
    table = Table("problem", "kernel", box=None, padding=(0, 1, 0, 0), title=title, title_justify="left")
    for name in columns:
        table.add_column(name, justify="right")
    for _, of_problem in groupby(reports, key=lambda report: report.task.problem):
        group = list(of_problem)
        cells = ["\n".join(show(report) for report in group) for show in columns.values()]
        separator = "\n" if len(group) == len(KERNELS) else " "
        table.add_row(separator.join(_label(group[0])), "\n".join(report.task.kernel for report in group), *cells)
    return table


def _label(report: KernelReport) -> Sequence[str]:
    p = report.task.problem
    size = f"{p.height}²" if p.height == p.width else f"{p.height}×{p.width}"
    return (
        f"{size}×{p.channels}",
        f"k{p.kernel_size} m{p.m}",
        f"{_DTYPES[p.dtype]} {report.task.unusual.replace('-', ' ')}".strip(),
    )
