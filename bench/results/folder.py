"""Writing a run folder: what a sweep leaves on disk. Free of torch.

A run is a folder with `results.jsonl` (one case a line, on disk before the next case starts), `results.csv` (the same
as a table), `samples.jsonl` (the raw latencies) and `environment.json`.
"""

import csv
import io
import json
import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from .. import RUNS
from ..errors import RunFolderError
from .columns import COLUMNS, OLDEST_VERSION, PARAMETERS, SCHEMA_VERSION, Row


def new_run_path(name: str) -> Path:
    """A folder for something that is made now, named by the time of day."""
    return RUNS / f"{datetime.now():%Y%m%d-%H%M%S}-{name}"  # noqa: DTZ005  a name for people, in their own time


@dataclass(frozen=True)
class RunFolder:
    """A run on disk."""

    path: Path

    @property
    def rows_path(self) -> Path:
        """One JSON object per case and line."""
        return self.path / "results.jsonl"

    @property
    def csv_path(self) -> Path:
        """The rows as a table, a column for each of `COLUMNS`."""
        return self.path / "results.csv"

    @property
    def samples_path(self) -> Path:
        """The raw latencies of each case, a JSON object per line."""
        return self.path / "samples.jsonl"

    @property
    def environment_path(self) -> Path:
        """Where and how the run was made."""
        return self.path / "environment.json"

    @classmethod
    def create(cls, path: Path, environment: Mapping[str, Any]) -> "RunFolder":
        """Start a run in a folder that holds none.

        Raises:
            RunFolderError: The folder holds a run already, or the path is a file.
        """
        folder = cls(path)
        folder.require_new()
        folder.write_environment({"schema_version": SCHEMA_VERSION, **environment})
        with folder.csv_path.open("x", newline="", encoding="utf-8") as file:
            csv.writer(file).writerow(COLUMNS)
        folder.rows_path.touch(exist_ok=False)
        return folder

    def write_environment(self, environment: Mapping[str, Any]) -> None:
        """Replace environment.json."""
        replace_text(self.environment_path, json.dumps(environment, indent=2) + "\n")

    def require_new(self) -> None:
        """Make the folder, if it is not there.

        Raises:
            RunFolderError: It holds a run already, or the path is a file.
        """
        files = (self.rows_path, self.csv_path, self.samples_path, self.environment_path)
        try:
            self.path.mkdir(parents=True, exist_ok=True)
            taken = [file.name for file in files if file.exists()]
        except OSError as error:
            raise RunFolderError(f"{self.path} cannot be a run's folder: {error.strerror}") from None
        if taken:
            raise RunFolderError(f"{self.path} holds a run already ({taken[0]}): give another folder with --out")

    def append(self, row: Row, samples_ms: Sequence[float], details: Mapping[str, Any] | None = None) -> None:
        """Write a case's row and samples, and what belongs beside these, on disk when this returns."""
        unknown = row.keys() - set(COLUMNS)
        if unknown:
            raise ValueError(f"a row has the columns of bench.results.columns, got also {', '.join(sorted(unknown))}")
        case = {name: row[name] for name in PARAMETERS}
        _append(self.samples_path, json.dumps({**case, "samples_ms": list(samples_ms), **(details or {})}) + "\n")
        _append(self.rows_path, json.dumps({name: row.get(name) for name in COLUMNS}) + "\n")
        _append(self.csv_path, csv_lines([row]))

    def environment(self, *, older: bool = False) -> dict[str, Any]:
        """What environment.json holds; with `older`, also of a run that can be read, though not gone on with.

        Raises:
            RunFolderError: The folder has none, it is no JSON object, or another version of the suite wrote it.
        """
        try:
            environment = json.loads(self.environment_path.read_text(encoding="utf-8"))
        except FileNotFoundError:
            raise RunFolderError(f"{self.path} is not a run folder: it has no environment.json") from None
        except UnicodeError:
            raise RunFolderError(f"{self.environment_path} is not UTF-8 text") from None
        except json.JSONDecodeError as error:
            raise RunFolderError(f"{self.environment_path} is not JSON: {error}") from None
        version = environment.get("schema_version") if isinstance(environment, dict) else None
        if version not in range(OLDEST_VERSION, SCHEMA_VERSION + 1) or (version != SCHEMA_VERSION and not older):
            raise RunFolderError(
                f"{self.environment_path} has schema_version {version!r}, and this suite reads {SCHEMA_VERSION}: "
                "measure the run anew, or read it with the version of the suite that wrote it"
            )
        return dict(environment)


def csv_lines(rows: Iterable[Row]) -> str:
    """Rows as lines of results.csv."""
    lines = io.StringIO()
    csv.writer(lines).writerows([["" if row.get(name) is None else row[name] for name in COLUMNS] for row in rows])
    return lines.getvalue()


def replace_text(path: Path, text: str) -> None:
    """Give a file another text at once: whoever reads it, after a crash too, finds the old one or the new one."""
    beside = path.with_name(f"{path.name}.new")
    try:
        with beside.open("w", newline="", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
    except OSError:
        beside.unlink(missing_ok=True)
        raise
    beside.replace(path)


def _append(path: Path, text: str) -> None:
    """Add text to a file, on disk when this returns; all of it or, where the disk is full, nothing."""
    with path.open("ab", buffering=0) as file:
        before = file.tell()
        try:
            left = text.encode()
            while left:
                left = left[file.write(left) :]
            os.fsync(file.fileno())
        except OSError:
            file.truncate(before)
            raise
