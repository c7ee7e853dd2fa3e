"""Progress of a sweep: a bar with the time left on a terminal, a plain line per case elsewhere."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Protocol

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)

from ..case.case import Case
from ..results.columns import Row


class Reporter(Protocol):
    """Told of every case as it ends."""

    def __call__(self, case: Case, row: Row) -> None:
        """A case has left its row."""


def outcome(row: Row) -> str:
    """What came of a case, in a few words."""
    largest = "" if row.get("largest_batch") is None else f"  largest batch {row['largest_batch']}"
    if row["status"] != "ok":
        return f"{row['status']}: {row['reason']}{largest}"
    peak = "" if row.get("peak_mib") is None else f"  {row['peak_mib']:.0f} MiB"
    bound = "" if row.get("bound") is None else f"  {row['bound_fraction']:.0%} of the {row['bound']} bound"
    latency = f"{row['latency_ms']:.3f} ms [{row['latency_p20_ms']:.3f}, {row['latency_p80_ms']:.3f}]"
    return f"{latency}{peak}{bound}{largest}"


@contextmanager
def reporting(cases: Sequence[Case], console: Console) -> Iterator[Reporter]:
    """Show progress over the cases on a console."""
    if not console.is_terminal:
        done = 0

        def line(case: Case, row: Row) -> None:
            nonlocal done
            done += 1
            console.print(f"[{done}/{len(cases)}] {case.label()}  {outcome(row)}", markup=False, soft_wrap=True)

        yield line
        return
    columns = (
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TextColumn("left"),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=console) as bar:
        task = bar.add_task("", total=len(cases))

        def step(case: Case, row: Row) -> None:
            bar.console.print(f"{case.label()}  {outcome(row)}", markup=False, highlight=False)
            bar.update(task, advance=1, description=case.label())

        yield step
