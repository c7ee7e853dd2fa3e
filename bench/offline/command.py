"""One invocation of `python -m bench offline`: from the words of the command to tables, files and an exit code."""

import csv
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from tempfile import TemporaryFile
from time import monotonic

import typer
from rich.console import Console
from rich.progress import track

from ..errors import UsageError
from ..processes import spread
from .binaries import require_tools
from .examine import Report, Task, examine, tasks_of
from .limits import RECORD, changes, misses, read_record, write_record
from .tables import print_reports

FAILED_EXIT, USAGE_EXIT, INTERRUPTED_EXIT = 1, 2, 130


@dataclass(frozen=True)
class OfflineRequest:
    """What a user asked for, in the command's own words."""

    archs: str
    kernels: tuple[str, ...]
    axes: tuple[str, ...]
    dump: Path | None = None
    csv: Path | None = None
    record: bool = False
    check: bool = False


def run_offline(request: OfflineRequest) -> int:
    """Compile what is asked for, show it and leave its files; return the exit code."""
    try:
        require_tools()
        tasks = tasks_of(request.archs, request.kernels, request.axes)
        _require_places(request)
    except UsageError as error:
        typer.echo(f"error: {error}", err=True)
        return USAGE_EXIT
    reports: dict[Task, Report] = {}
    failures: dict[Task, Exception] = {}
    started = monotonic()
    try:
        for task, result in _results(tasks):
            if isinstance(result, Exception):
                failures[task] = result
                continue
            reports[task] = result
            if request.dump:
                _dump(result, request.dump)
    except KeyboardInterrupt:
        typer.echo(f"interrupted: {len(reports)} of {len(tasks)} kernels are compiled", err=True)
        return INTERRUPTED_EXIT
    done = [reports[task] for task in tasks if task in reports]
    print_reports(done, Console())
    typer.echo(f"\n{len(done)} kernels compiled by triton {version('triton')} in {monotonic() - started:.0f} s")
    for task, failure in failures.items():
        typer.echo(f"{task.name} does not compile: {failure}")
    kept = _conclude(done, request)
    return FAILED_EXIT if failures or (request.check and not kept) else 0


def _require_places(request: OfflineRequest) -> None:
    """Make the folder of the dump, and see that it and the CSV can be written.

    Raises:
        UsageError: One of them cannot.
    """
    try:
        if request.dump:
            request.dump.mkdir(parents=True, exist_ok=True)
            with TemporaryFile(dir=request.dump):
                pass
        if request.csv:
            with request.csv.open("a", encoding="utf-8"):
                pass
    except OSError as error:
        raise UsageError(f"cannot write {error.filename or request.dump}: {error.strerror}") from None


def _results(tasks: Sequence[Task]) -> Iterator[tuple[Task, Report | Exception]]:
    """Each task and what came of it, as they come, with progress on stderr."""
    console = Console(stderr=True)
    results: Iterable[tuple[int, Report | Exception]] = spread(examine, tasks)
    if console.is_terminal:
        results = track(results, "compiling", total=len(tasks), console=console, transient=True)
    for number, (index, result) in enumerate(results, 1):
        if not console.is_terminal and (number % 10 == 0 or number == len(tasks)):
            typer.echo(f"[{number}/{len(tasks)}] compiled", err=True)
        yield tasks[index], result


def _dump(report: Report, folder: Path) -> None:
    """Write a kernel's texts, binary and numbers, each under its name."""
    document = json.dumps(report.document(), indent=1, ensure_ascii=False) + "\n"
    for ending, content in {**report.files, "json": document}.items():
        data = content if isinstance(content, bytes) else content.encode()
        (folder / f"{report.task.name}.{ending}").write_bytes(data)


def _conclude(reports: Sequence[Report], request: OfflineRequest) -> bool:
    """Write the CSV and the record, and say which limits are missed; whether all is as it should be."""
    rows = [report.row() for report in reports]
    if request.dump:
        typer.echo(f"texts, binaries and numbers are in {request.dump}")
    if request.csv:
        columns = list(dict.fromkeys(name for row in rows for name in row))
        with request.csv.open("w", newline="", encoding="utf-8") as file:
            writer = csv.DictWriter(file, columns)
            writer.writeheader()
            writer.writerows(rows)
        typer.echo(f"the table is in {request.csv}")
    triton = version("triton")
    if request.record:
        write_record(rows, triton)
        typer.echo(f"recorded in {RECORD}")
    record = read_record(triton)
    missed, changed = misses(rows), changes(rows, record or {})
    _say("limits missed", missed)
    if record is None:
        typer.echo(f"nothing is recorded for triton {triton}")
    else:
        compared = sum(row["name"] in record for row in rows)
        _say(f"changed among the {compared} that are recorded", changed)
    return not missed and not changed


def _say(title: str, found: Mapping[str, str]) -> None:
    typer.echo(f"{title}: {len(found) or 'none'}")
    for place, text in found.items():
        typer.echo(f"  {place}: {text}")
