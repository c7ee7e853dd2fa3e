"""The one reader of run folders: rows and samples by case, whatever state the files are in. Nothing is written.

Of a case that was run again the last row counts. `results.jsonl` comes before `results.csv`, which is all that a
published run keeps.
"""

import csv
import io
import json
import math
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ..errors import RunFolderError
from .columns import COLUMNS, PARAMETERS, STATUSES, TABLE, Row
from .folder import RunFolder
from .scores import fill_scores

# The values of a case's parameters as texts, the same from JSON and from CSV.
Key = tuple[str, ...]
# Lines that hold no row are moved here by whoever makes a run whole, so that nothing is deleted.
DISCARDED = "discarded.txt"
_NEEDED = ("implementation", "status")
_NO_NUMBER = frozenset({"", "nan", "inf", "-inf"})
_FLAGS = {"true": True, "false": False}
_CHOICES = {name: {str(choice): choice for choice in column.type.choices} for name, column in TABLE.items()}


@dataclass(frozen=True)
class SampleLine:
    """A line of samples.jsonl; several of one case where it was measured in turns."""

    text: str
    samples_ms: list[float]
    turn: int | None


@dataclass
class Run:
    """A run as its files have it.

    Args:
        path: The folder.
        environment: What environment.json holds.
        rows: The last row of each case, in the order of the file.
        texts: Their lines in results.jsonl, where there is one.
        samples: Their lines of samples.
        discarded: Lines that hold no row.
        warnings: What was amiss, in sentences.
    """

    path: Path
    environment: dict[str, Any]
    rows: dict[Key, Row] = field(default_factory=dict)
    texts: dict[Key, str] = field(default_factory=dict)
    samples: dict[Key, list[SampleLine]] = field(default_factory=dict)
    discarded: list[bytes] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)


def key_of(row: Mapping[str, Any]) -> Key:
    """What tells a case from every other."""
    return tuple("" if row.get(name) is None else str(row[name]) for name in PARAMETERS)


def number(row: Mapping[str, Any], name: str) -> float | None:
    """A column's number, None where it was not measured or is none."""
    value = row.get(name)
    try:
        found = float(value) if isinstance(value, (int, float)) else math.nan
    except OverflowError:
        return None
    return found if math.isfinite(found) else None


def read_run(path: Path, *, samples: bool = True) -> Run:
    """Read a run folder.

    Raises:
        RunFolderError: The folder holds no run of this version, or neither results.jsonl nor results.csv.
    """
    folder = RunFolder(path)
    run = Run(path, folder.environment(older=True))
    if folder.rows_path.exists():
        _read_json_rows(folder.rows_path, run)
    else:
        _read_csv_rows(folder.csv_path, run)
    fill_scores(run.rows)
    if samples:
        _read_samples(folder.samples_path, run)
    return run


def row_at(path: Path, line: int) -> Row:
    """The row of a line of results.jsonl, counted from 1.

    Raises:
        RunFolderError: The folder holds no run, there is no such line, or it is not a row.
    """
    folder = RunFolder(path)
    folder.environment(older=True)
    lines = _lines(folder.rows_path)
    if not 1 <= line <= len(lines):
        raise RunFolderError(f"{folder.rows_path} has lines 1 to {len(lines)}, got {line}")
    row = _row(lines[line - 1])
    if row is None:
        raise RunFolderError(f"line {line} of {folder.rows_path} is not a row")
    return row


def _read_json_rows(path: Path, run: Run) -> None:
    lines, seen = _lines(path), 0
    for place, line in enumerate(lines, 1):
        row = _row(line)
        if row is None:
            torn = place == len(lines) and not line.endswith(b"\n")
            what = "was cut off while it was written" if torn else "is not a row"
            run.warnings.append(f"line {place} of {path.name} {what}: left out")
            run.discarded.append(line)
            continue
        seen += 1
        key = _add(run, row)
        run.texts[key] = line.decode().rstrip("\n") + "\n"
    _warn_of_repeats(seen, run)


def _read_csv_rows(path: Path, run: Run) -> None:
    """The table's whole lines; columns that it lacks are empty, and those of no name here are kept as texts."""
    # Not pandas.read_csv: it fills a line that was cut off with missing values instead of telling.
    try:
        text = path.read_bytes().decode("utf-8-sig", errors="replace")
        records = [record for record in csv.reader(io.StringIO(text, newline="")) if record]
    except FileNotFoundError:
        raise RunFolderError(f"{path.parent} holds neither results.jsonl nor results.csv") from None
    except csv.Error as error:
        raise RunFolderError(f"{path} is not a CSV table: {error}") from None
    if not records:
        run.warnings.append(f"{path.name} is empty: it has not even a header")
        return
    if not text.endswith("\n") and len(records) > 1:
        records.pop()
        run.warnings.append(f"the last line of {path.name} was cut off while it was written: left out")
    header, *lines = records
    missing = [name for name in _NEEDED if name not in header]
    if missing:
        raise RunFolderError(f"{path} has no column {' and no column '.join(missing)}")
    version = run.environment["schema_version"]
    absent = [name for name in COLUMNS if name not in header and TABLE[name].since <= version]
    if absent:
        run.warnings.append(f"{path.name} lacks {len(absent)} of {len(COLUMNS)} columns: {', '.join(absent)}")
    whole = [line for line in lines if len(line) == len(header)]
    if len(whole) < len(lines):
        torn = len(lines) - len(whole)
        run.warnings.append(f"{torn} of {path.name}'s lines cut off or glued together: left out")
    unread: Counter[str] = Counter()
    for line in whole:
        cells = dict(zip(header, line, strict=True))
        _add(run, {**dict.fromkeys(COLUMNS), **{name: _value(name, cell, unread) for name, cell in cells.items()}})
    run.warnings += [f"{count} values in column {name} are no numbers: left out" for name, count in unread.items()]
    _warn_of_repeats(len(whole), run)


def _add(run: Run, row: Row) -> Key:
    key = key_of(row)
    run.rows.pop(key, None)  # so that the last row also has the last place
    run.rows[key] = row
    return key


def _warn_of_repeats(seen: int, run: Run) -> None:
    if seen > len(run.rows):
        run.warnings.append(f"{seen - len(run.rows)} rows of cases that were run again: the last of each counts")


def _read_samples(path: Path, run: Run) -> None:
    """Lines with a `turn` add to their case, others replace what it had."""
    lost = 0
    for line in _lines(path):
        found = _object(line)
        if found is None or not isinstance(found.get("samples_ms"), list):
            lost += 1
            continue
        key, kept = key_of(found), SampleLine(line.decode().rstrip("\n") + "\n", found["samples_ms"], found.get("turn"))
        if key in run.rows:
            turns = [one for one in run.samples.get(key, []) if one.turn]
            run.samples[key] = [*turns, kept] if kept.turn else [kept]
    if lost:
        run.warnings.append(f"{lost} of {path.name}'s lines hold no samples: left out")


def _lines(path: Path) -> list[bytes]:
    return path.read_bytes().splitlines(keepends=True) if path.exists() else []


def _object(line: bytes) -> dict[str, Any] | None:
    """The JSON object of a line that names a case, or None."""
    try:
        found = json.loads(line.decode())
    except ValueError:
        return None
    if not isinstance(found, dict) or not found.keys() >= set(PARAMETERS):
        return None
    # Only scalars make a key.
    return found if all(isinstance(found[name], str | int) for name in PARAMETERS) else None


def _row(line: bytes) -> Row | None:
    found = _object(line)
    if found is None or found.get("status") not in STATUSES or not found.keys() <= TABLE.keys():
        return None
    return {name: found.get(name) for name in COLUMNS}


def _value(name: str, cell: str, unread: Counter[str]) -> Any:
    """What a cell of results.csv holds."""
    column = TABLE.get(name)
    if column is None or column.type.json == "string":
        return _CHOICES.get(name, {}).get(cell, cell or None)
    if column.type.json == "boolean":
        return _FLAGS.get(cell.lower())
    if cell.lower() in _NO_NUMBER:
        return None
    try:
        value = float(cell)
    except ValueError:
        value = math.nan
    if not math.isfinite(value):
        unread[name] += 1
        return None
    return int(value) if column.type.json == "integer" and value.is_integer() else value
