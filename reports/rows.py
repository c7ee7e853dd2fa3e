"""Reading run folders: rows with values instead of text, and what was amiss with them."""

import csv
import io
import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from bench.results import COLUMNS, PARAMETERS, RunFolder, RunFolderError
from reports.style import Value, counted

Row = dict[str, Value]

NEEDED = ("implementation", "status")
UNSPECIFIED = "unspecified"
_FILLED = ("implementation", "mode", "scope", "status")
_TEXT = frozenset(
    {
        *_FILLED,
        "composability",
        "padding_mode",
        "channel_order",
        "prior",
        "dtype",
        "memory_format",
        "reason",
        "device",
    }
)
_NUMBERS = frozenset(COLUMNS) - _TEXT - {"padding"}


@dataclass
class Run:
    """A run as a report sees it; `warnings` are sentences about what could not be used."""

    name: str
    rows: list[Row]
    environment: dict[str, Any]
    warnings: list[str] = field(default_factory=list)


def load_runs(paths: Sequence[Path]) -> list[Run]:
    """Read the run folders, each under a name of its own.

    Raises:
        RunFolderError: One of them cannot be read as a run, or is given twice.
    """
    resolved = [path.resolve() for path in paths]
    if len(set(resolved)) < len(resolved):
        raise RunFolderError("the same run folder is given more than once")
    names = Counter(path.name for path in resolved)
    runs = [load_run(path, path.name if names[path.name] == 1 else str(path)) for path in resolved]
    for run in runs if len(runs) > 1 else []:
        for row in run.rows:
            row["run"] = run.name
    return runs


def load_run(path: Path, name: str) -> Run:
    """Read one run folder's table and environment.

    Raises:
        RunFolderError: The folder is missing, holds no run, or its table lacks a needed column.
    """
    if not path.is_dir():
        raise RunFolderError(f"{path} is not a folder: give one that `python -m bench run` wrote")
    folder = RunFolder(path)
    run = Run(name, [], _environment(folder))
    try:
        text = folder.csv_path.read_bytes().decode("utf-8-sig", errors="replace")
        records = [record for record in csv.reader(io.StringIO(text, newline="")) if record]
    except FileNotFoundError:
        raise RunFolderError(f"{path} has no results.csv: the run wrote no table") from None
    except csv.Error as error:
        raise RunFolderError(f"{folder.csv_path} is not a CSV table: {error}") from None
    if not records:
        run.warnings.append("results.csv is empty: it has not even a header.")
        return run
    if not text.endswith("\n") and len(records) > 1:
        records.pop()
        run.warnings.append("The last line of results.csv was cut off while it was written; it is left out.")
    _read_records(run, records)
    return run


def _environment(folder: RunFolder) -> dict[str, Any]:
    try:
        return folder.environment()
    except UnicodeError:
        raise RunFolderError(f"{folder.environment_path} is not UTF-8 text") from None


def _read_records(run: Run, records: list[list[str]]) -> None:
    header, *lines = records
    missing = [name for name in NEEDED if name not in header]
    if missing:
        raise RunFolderError(f"results.csv of {run.name} has no column {' and no column '.join(missing)}")
    absent = [name for name in COLUMNS if name not in header]
    if absent:
        run.warnings.append(f"results.csv lacks {counted(len(absent), 'column')}: {', '.join(absent)}.")
    whole = [line for line in lines if len(line) == len(header)]
    torn = sum(1 for line in lines if len(line) != len(header))
    if torn:
        run.warnings.append(f"{counted(torn, 'line')} of results.csv cut off or glued together; left out.")
    unread: Counter[str] = Counter()
    for line in whole:
        run.rows.append({name: _value(name, text, unread) for name, text in zip(header, line, strict=True)})
    run.warnings += [
        f"{counted(count, 'value')} in column {name} is no number; left out." for name, count in unread.items()
    ]
    for row in run.rows:
        row.update({name: row.get(name) or UNSPECIFIED for name in _FILLED})
    _name_devices(run.rows)
    run.rows = _without_repeats(run)


def _value(name: str, text: str, unread: Counter[str]) -> Value:
    """The text as a number where the column holds numbers, None where it is empty or no finite number."""
    if not text:
        return None
    if name in _TEXT:
        return text
    try:
        return int(text)
    except ValueError:
        pass
    try:
        number = float(text)
    except ValueError:
        if name not in _NUMBERS:
            return text
        unread[name] += 1
        return None
    return number if math.isfinite(number) else None


def _name_devices(rows: list[Row]) -> None:
    """Give rows without a device, as a failed case may be, the run's only one."""
    devices = {row["device"] for row in rows if row.get("device")}
    only = devices.pop() if len(devices) == 1 else UNSPECIFIED
    for row in rows:
        row["device"] = row.get("device") or only


def _without_repeats(run: Run) -> list[Row]:
    last = {case_key(row): row for row in run.rows}
    repeats = len(run.rows) - len(last)
    if repeats:
        run.warnings.append(
            f"{counted(repeats, 'row')} of a case that was run again; only the last row of each case counts."
        )
    return list(last.values())


def case_key(row: Row, without: Sequence[str] = ()) -> tuple[Value, ...]:
    """What makes a case the same case: its parameters (but for `without`) and the device."""
    return tuple(row.get(name) for name in (*PARAMETERS, "device") if name not in without)


def ok(row: Row) -> bool:
    """Whether the case was measured."""
    return row["status"] == "ok"


def positive(row: Row, name: str) -> float | None:
    """The row's number where it is above 0, so that it has a logarithm; None for cases that are not ok."""
    value = row.get(name)
    return float(value) if ok(row) and isinstance(value, int | float) and value > 0 else None
