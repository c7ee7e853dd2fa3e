"""`python -m bench offline`: from kernels to compile to tables, files and an exit code."""

import csv
import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from tempfile import TemporaryFile
from time import monotonic

import typer
from rich.console import Console
from rich.progress import track

from ..errors import Exit, Interrupted, UsageError
from ..processes import console, spread
from .binaries import require_tools
from .examine import KernelReport, Task, examine, examine_schedule
from .limits import RECORD, changes, misses, read_record, write_record
from .schedule.measured import Measured
from .schedule.tables import print_schedules, print_why
from .tables import print_reports

Examine = Callable[[Task], KernelReport]


@dataclass(frozen=True)
class Files:
    """Where the results go: a folder for each kernel's texts and binary, a file for the table, the record."""

    dump: Path | None = None
    csv: Path | None = None
    record: bool = False


@dataclass(frozen=True)
class View:
    """What is shown beside the tables: schedules and a run's times beside them, or the loop of one kernel by name."""

    schedule: bool = False
    measured: Path | None = None
    why: str | None = None

    @property
    def simulated(self) -> bool:
        """Whether anything of it is to be simulated."""
        return self.schedule or self.measured is not None or self.why is not None

    def tasks(self, tasks: Sequence[Task]) -> list[Task]:
        """Those of the tasks that are to be compiled.

        Raises:
            UsageError: The kernel whose loop is to be shown is none of them.
        """
        chosen = [task for task in tasks if self.why in {None, task.name}]
        if not chosen:
            raise UsageError(f"there is no kernel {self.why!r} among those chosen: there are, as {tasks[0].name}, ...")
        return chosen


def run_offline(tasks: Sequence[Task], files: Files, view: View, *, check: bool) -> Exit:
    """Compile kernels, show what became of them and leave the files; the exit code, 1 where one does not compile.

    With `check`, it is 1 also where a limit is missed.

    Raises:
        UsageError: The compiler is not here, a file cannot be written, or no kernel has the name of `view`.
        RunFolderError: What is to stand beside schedules is no run.
        Interrupted: Somebody pressed Ctrl-C.
    """
    require_tools()
    tasks, measured = view.tasks(tasks), Measured(view.measured) if view.measured else None
    _require_places(files)
    reports: dict[Task, KernelReport] = {}
    failures: dict[Task, Exception] = {}
    started = monotonic()
    try:
        for task, result in _results(tasks, examine_schedule if view.simulated else examine):
            if isinstance(result, Exception):
                failures[task] = result
                continue
            reports[task] = result
            if files.dump:
                _dump(result, files.dump)
    except KeyboardInterrupt:
        raise Interrupted(f"{len(reports)} of {len(tasks)} kernels are compiled") from None
    done = [reports[task] for task in tasks if task in reports]
    _show(done, view, measured)
    typer.echo(f"\n{len(done)} kernels compiled by triton {version('triton')} in {monotonic() - started:.0f} s")
    for task, failure in failures.items():
        typer.echo(f"{task.name} does not compile: {failure}")
    kept = _conclude(done, files)
    return Exit.FAILED if failures or (check and not kept) else Exit.OK


def _require_places(files: Files) -> None:
    """Make the folder of the dump, and see that it and the CSV can be written.

    Raises:
        UsageError: One of them cannot.
    """
    try:
        if files.dump:
            files.dump.mkdir(parents=True, exist_ok=True)
            with TemporaryFile(dir=files.dump):
                pass
        if files.csv:
            with files.csv.open("a", encoding="utf-8"):
                pass
    except OSError as error:
        raise UsageError(f"cannot write {error.filename or files.dump}: {error.strerror}") from None


def _results(tasks: Sequence[Task], examined: Examine) -> Iterator[tuple[Task, KernelReport | Exception]]:
    """Each task and what came of it, as they come, with progress on stderr."""
    console = Console(stderr=True)
    results: Iterable[tuple[int, KernelReport | Exception]] = spread(examined, tasks)
    if console.is_terminal:
        results = track(results, "compiling", total=len(tasks), console=console, transient=True)
    for number, (index, result) in enumerate(results, 1):
        if not console.is_terminal and (number % 10 == 0 or number == len(tasks)):
            typer.echo(f"[{number}/{len(tasks)}] compiled", err=True)
        yield tasks[index], result


def _show(reports: Sequence[KernelReport], view: View, measured: Measured | None) -> None:
    if view.why is not None:
        for report in reports:
            print_why(report, console())
        return
    print_reports(reports, console())
    if view.simulated:
        print_schedules(reports, measured, console())


def _dump(report: KernelReport, folder: Path) -> None:
    """Write a kernel's texts, binary and numbers, each under its name."""
    document = json.dumps(report.document(), indent=1, ensure_ascii=False) + "\n"
    for ending, content in {**report.files, "json": document}.items():
        data = content if isinstance(content, bytes) else content.encode()
        (folder / f"{report.task.name}.{ending}").write_bytes(data)


def _conclude(reports: Sequence[KernelReport], files: Files) -> bool:
    """Write the CSV and the record, and say which limits are missed; whether all is as it should be."""
    rows = [report.row() for report in reports]
    if files.dump:
        typer.echo(f"texts, binaries and numbers are in {files.dump}")
    if files.csv:
        columns = list(dict.fromkeys(name for row in rows for name in row))
        with files.csv.open("w", newline="", encoding="utf-8") as file:
            writer = csv.DictWriter(file, columns)
            writer.writeheader()
            writer.writerows(rows)
        typer.echo(f"the table is in {files.csv}")
    triton = version("triton")
    if files.record:
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
