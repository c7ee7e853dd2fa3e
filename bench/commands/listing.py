"""What there is to measure, as tables. Free of torch."""

from collections.abc import Callable, Iterable, Mapping, Sequence

from rich.console import Console
from rich.table import Table

from kernels import IMPLEMENTATIONS

from ..case.axes import ALIASES, AXES
from ..case.sweeps import SWEEPS, case_count
from ..cost.metrics import METRICS
from ..cost.yardsticks import YARDSTICKS
from ..errors import UsageError

Rows = Iterable[Sequence[str]]


def _implementations() -> Rows:
    return [(name, entry.summary) for name, entry in IMPLEMENTATIONS.items()]


def _yardsticks() -> Rows:
    return [(name, f"{yardstick.summary} (another function)") for name, yardstick in YARDSTICKS.items()]


def _sweeps() -> Rows:
    return [(name, str(case_count(sweep)), sweep.summary) for name, sweep in SWEEPS.items()]


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
            console.print(rows_table(headings, rows()))


def rows_table(headings: Sequence[str], rows: Rows) -> Table:
    """A table without lines, a heading for each column."""
    table = Table(*headings, box=None, pad_edge=False)
    for row in rows:
        table.add_row(*row)
    return table
