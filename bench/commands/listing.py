"""What there is to measure, and what a sweep would do, as tables."""

from collections.abc import Callable, Iterable, Mapping, Sequence

import torch
from rich.console import Console
from rich.table import Table

from kernels import IMPLEMENTATIONS

from ..case.axes import ALIASES, AXES
from ..case.case import Case
from ..case.sweeps import SWEEPS, expand
from ..cost.metrics import METRICS
from ..cost.yardsticks import YARDSTICKS
from ..errors import UsageError
from ..measure.preflight import predicted_mib, refusal

Rows = Iterable[Sequence[str]]


def _implementations() -> Rows:
    return [(name, entry.summary) for name, entry in IMPLEMENTATIONS.items()]


def _yardsticks() -> Rows:
    return [(name, f"{yardstick.summary} (another function)") for name, yardstick in YARDSTICKS.items()]


def _sweeps() -> Rows:
    return [(name, str(len(expand(sweep, {}))), sweep.summary) for name, sweep in SWEEPS.items()]


def _axes() -> Rows:
    short = {full: name for name, full in ALIASES.items()}
    return [(name, short.get(name, ""), axis.values, axis.summary) for name, axis in AXES.items()]


def _metrics() -> Rows:
    return [(name, metric.summary) for name, metric in METRICS.items()]


_LISTINGS: Mapping[str, tuple[tuple[str, ...], Callable[[], Rows]]] = {
    "implementations": (("implementation", "what it is"), _implementations),
    "yardsticks": (("yardstick", "what it is"), _yardsticks),
    "sweeps": (("sweep", "cases", "what it measures"), _sweeps),
    "axes": (("axis", "short", "values", "what it is"), _axes),
    "metrics": (("metric", "what it is"), _metrics),
}


def print_listing(what: str, console: Console) -> None:
    """Show one listing, or every one for "all".

    Raises:
        UsageError: There is no such listing.
    """
    if what not in (*_LISTINGS, "all"):
        raise UsageError(f"there is no listing {what!r}: there are {', '.join(_LISTINGS)}")
    for name, (headings, rows) in _LISTINGS.items():
        if what in (name, "all"):
            console.print(_table(headings, rows()))


def print_cases(cases: Sequence[Case], device: torch.device, console: Console) -> None:
    """Show each case with its predicted memory above the inputs, or the reason why it is refused.

    Both are questions to the device: where it is another machine's, they are left open.
    """
    if device.type == "cuda" and not torch.cuda.device_count():
        console.print(_table(("#", "case"), [(str(number), case.label()) for number, case in enumerate(cases, 1)]))
        console.print(f"{len(cases)} cases on {device}, which is not here: who refuses which is not known")
        return
    rows, refused = [], 0
    for number, case in enumerate(cases, 1):
        reason = refusal(case, device)
        refused += reason is not None
        predicted = "" if reason or case.yardstick else f"{predicted_mib(case, device):.1f}"
        rows.append((str(number), case.label(), predicted, reason or ""))
    console.print(_table(("#", "case", "predicted MiB", "refused because"), rows))
    console.print(f"{len(cases)} cases on {device}, {refused} of them refused")


def _table(headings: Sequence[str], rows: Rows) -> Table:
    table = Table(*headings, box=None, pad_edge=False)
    for row in rows:
        table.add_row(*row)
    return table
