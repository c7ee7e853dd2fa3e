"""A run's rows as a table with typed columns, from the one reader of run folders."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pandas as pd

from bench import SUITE
from bench.errors import RunFolderError
from bench.results.columns import COLUMNS, KINDS, PARAMETERS, TABLE, Row
from bench.results.reading import number, read_run

UNSPECIFIED = "unspecified"
CASE = [*PARAMETERS, "device"]
_FILLED = ["implementation", "mode", "scope", "dtype", "cache", "status"]


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

    @property
    def argument(self) -> str:
        """Its folder as a command of the report names it: from the current folder on where it is in there."""
        here = Path.cwd()
        return str(self.path.relative_to(here) if self.path.is_relative_to(here) else self.path)


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
    """Read one run folder's rows and environment.

    Raises:
        RunFolderError: The folder is missing, holds no run, or its table lacks a needed column.
    """
    if not path.is_dir():
        raise RunFolderError(f"{path} is not a folder: give one that `{SUITE} run` wrote")
    run = read_run(path, samples=False)
    rows = _filled(_typed(list(run.rows.values()))).assign(run=name)
    return ReportedRun(name, path, rows, run.environment, [f"{warning}." for warning in run.warnings])


def _typed(rows: Sequence[Row]) -> pd.DataFrame:
    """A column for each that there is and for those of no name there, which a table may have."""
    names = dict.fromkeys([*COLUMNS, *(rows[0] if rows else ())])
    return pd.DataFrame({name: _column(name, rows) for name in names})


def _column(name: str, rows: Sequence[Row]) -> pd.Series:
    """Numbers where the column is of numbers, else texts; a column of no name has numbers if it has nothing else."""
    texts = pd.Series(["" if row.get(name) is None else str(row[name]) for row in rows], dtype="str")
    texts = texts.mask(texts == "")
    if name not in TABLE:
        numbers = pd.to_numeric(texts, errors="coerce")
        return texts if (numbers.isna() & texts.notna()).any() else numbers.convert_dtypes()
    column = TABLE[name].type
    if column.json in {"integer", "number"} or any(isinstance(choice, int) for choice in column.choices):
        return pd.Series([number(row, name) for row in rows], dtype="float64").convert_dtypes()
    return texts


def _filled(rows: pd.DataFrame) -> pd.DataFrame:
    """The rows, those that do not say what they are by a word; without a device, they get the run's only one."""
    devices = rows["device"].dropna().unique()
    rows[_FILLED] = rows[_FILLED].fillna(UNSPECIFIED)
    rows["kind"] = rows["kind"].fillna(KINDS[0])
    rows["device"] = rows["device"].fillna(devices[0] if len(devices) == 1 else UNSPECIFIED)
    return rows


def measured(rows: pd.DataFrame, name: str) -> pd.Series:
    """The column's numbers where cases are ok and the number is above 0, so that it has a logarithm."""
    values = rows[name].astype("float64")
    return values.where((rows["status"] == "ok") & (values > 0))
