"""Reading run folders: a table of rows with typed columns, and what was amiss with them."""

import csv
import io
import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pandas as pd

from bench.results.folder import COLUMNS, KINDS, PARAMETERS, SINCE, RunFolder, RunFolderError

from ..style import counted

NEEDED = ("implementation", "status")
UNSPECIFIED = "unspecified"
CASE = [*PARAMETERS, "device"]
_FILLED = ["implementation", "mode", "scope", "dtype", "status"]
_CHOICES = ("composability", "padding_mode", "channel_order", "prior", "memory_format", "cache")
_WORDS = ("kind", "bound", "reason", "device", "settings", "stop", "timer", "throttle", "tainted", "fingerprint")
_PLACE = ("host", "gpu_uuid")
_TEXT = frozenset({*_FILLED, *_CHOICES, *_WORDS, *_PLACE, "torch_compile"})
_NUMBERS = frozenset(COLUMNS) - _TEXT - {"padding"}
_NO_NUMBER = ("", "nan", "inf", "-inf")


@dataclass
class ReportedRun:
    """A run as a report sees it: rows with all of `COLUMNS` and `run`, its name, in a column of that name.

    `warnings` are sentences about what could not be used.
    """

    name: str
    path: Path
    rows: pd.DataFrame
    environment: dict[str, Any]
    warnings: list[str] = field(default_factory=list)


def load_runs(paths: Sequence[Path]) -> list[ReportedRun]:
    """Read the run folders, each under a name of its own.

    Raises:
        RunFolderError: One of them cannot be read as a run, or is given twice.
    """
    resolved = [path.resolve() for path in paths]
    if len(set(resolved)) < len(resolved):
        raise RunFolderError("the same run folder is given more than once")
    names = Counter(path.name for path in resolved)
    return [load_run(path, path.name if names[path.name] == 1 else str(path)) for path in resolved]


def load_run(path: Path, name: str) -> ReportedRun:
    """Read one run folder's table and environment.

    Raises:
        RunFolderError: The folder is missing, holds no run, or its table lacks a needed column.
    """
    if not path.is_dir():
        raise RunFolderError(f"{path} is not a folder: give one that `python -m bench run` wrote")
    folder = RunFolder(path)
    try:
        environment = folder.environment()
    except UnicodeError:
        raise RunFolderError(f"{folder.environment_path} is not UTF-8 text") from None
    run = ReportedRun(name, path, pd.DataFrame(columns=COLUMNS, dtype="str"), environment)
    run.rows = _case_rows(_typed(_whole_lines(folder, run), run), run)
    return run


def _whole_lines(folder: RunFolder, run: ReportedRun) -> pd.DataFrame:
    """The table's text without lines that were torn."""
    # Not pandas.read_csv: it fills a line that was cut off with missing values instead of telling.
    try:
        text = folder.csv_path.read_bytes().decode("utf-8-sig", errors="replace")
        records = [record for record in csv.reader(io.StringIO(text, newline="")) if record]
    except FileNotFoundError:
        raise RunFolderError(f"{folder.path} has no results.csv: the run wrote no table") from None
    except csv.Error as error:
        raise RunFolderError(f"{folder.csv_path} is not a CSV table: {error}") from None
    if not records:
        run.warnings.append("results.csv is empty: it has not even a header.")
        return run.rows
    if not text.endswith("\n") and len(records) > 1:
        records.pop()
        run.warnings.append("The last line of results.csv was cut off while it was written; it is left out.")
    header, *lines = records
    missing = [name for name in NEEDED if name not in header]
    if missing:
        raise RunFolderError(f"results.csv of {run.name} has no column {' and no column '.join(missing)}")
    version = run.environment["schema_version"]
    absent = [name for name in COLUMNS if name not in header and SINCE.get(name, 1) <= version]
    if absent:
        run.warnings.append(f"results.csv lacks {counted(len(absent), 'column')}: {', '.join(absent)}.")
    whole = [line for line in lines if len(line) == len(header)]
    if len(whole) < len(lines):
        torn = counted(len(lines) - len(whole), "line")
        run.warnings.append(f"{torn} of results.csv cut off or glued together; left out.")
    rows = pd.DataFrame(whole, columns=header, dtype="str")
    return rows.loc[:, ~rows.columns.duplicated(keep="last")]


def _typed(rows: pd.DataFrame, run: ReportedRun) -> pd.DataFrame:
    """The rows with every known column, numbers as numbers where a column holds them, missing where it is empty."""
    typed = {}
    for name in [*COLUMNS, *(name for name in rows.columns if name not in COLUMNS)]:
        texts = rows[name] if name in rows else pd.Series(index=rows.index, dtype="str")
        if name in _TEXT:
            typed[name] = texts.mask(texts == "")
            continue
        empty = texts.isna() | texts.str.lower().isin(_NO_NUMBER)
        numbers = pd.to_numeric(texts.mask(empty), errors="coerce").replace([math.inf, -math.inf], math.nan)
        unread = (numbers.isna() & ~empty).sum()
        if unread and name not in _NUMBERS:
            typed[name] = texts.mask(texts == "")
            continue
        if unread:
            run.warnings.append(f"{counted(unread, 'value')} in column {name} is no number; left out.")
        typed[name] = numbers.convert_dtypes()
    return pd.DataFrame(typed)


def _case_rows(rows: pd.DataFrame, run: ReportedRun) -> pd.DataFrame:
    """One row for each case; rows without a device, as a failed case may be, get the run's only one."""
    devices = rows["device"].dropna().unique()
    rows[_FILLED] = rows[_FILLED].fillna(UNSPECIFIED)
    rows["kind"] = rows["kind"].fillna(KINDS[0])
    rows["cache"] = rows["cache"].fillna(_former_cache(run.environment))
    rows["torch_compile"] = rows["torch_compile"].fillna("False")
    rows["device"] = rows["device"].fillna(devices[0] if len(devices) == 1 else UNSPECIFIED)
    rows["run"] = run.name
    repeated = rows.duplicated(CASE, keep="last")
    if repeated.any():
        again = counted(int(repeated.sum()), "row")
        run.warnings.append(f"{again} of a case that was run again; only the last row of each case counts.")
    return rows[~repeated].reset_index(drop=True)


def _former_cache(environment: dict[str, Any]) -> str:
    """The state of the cache in runs that did not name it: flushed on a GPU, and never on a CPU."""
    device = environment.get("device")
    return "cold" if isinstance(device, dict) and device.get("type") == "cuda" else "hot"


def measured(rows: pd.DataFrame, name: str) -> pd.Series:
    """The column's numbers where cases are ok and the number is above 0, so that it has a logarithm."""
    if name not in rows or not pd.api.types.is_numeric_dtype(rows[name]):
        return pd.Series(float("nan"), rows.index)
    values = rows[name].astype("float64")
    return values.where((rows["status"] == "ok") & (values > 0))
