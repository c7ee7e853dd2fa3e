"""The folder of a learning run: `learning.csv`, a line per training, on disk as it ends, and environment.json."""

import csv
import io
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ..errors import RunFolderError
from ..results.columns import SCHEMA_VERSION
from ..results.folder import RunFolder, replace_text

TABLE = "learning.csv"
COLUMNS = (
    *("variant", "kind", "kernel_size", "composability", "prior", "m", "seed", "implementation"),
    *("status", "reason", "correct", "held_out", "accuracy", "loss", "train_accuracy", "parameters", "seconds"),
)


class LearningFolder:
    """A learning run on disk.

    Args:
        path: The folder, which is made if it is not there.
        environment: Where and how it is trained; what is under `learning` decides whether a run can be gone on with.
        resume: Whether to go on with the run that the folder holds.

    Raises:
        RunFolderError: The folder holds a run and it is not to be resumed, or one that was trained in another way.
    """

    def __init__(self, path: Path, environment: Mapping[str, Any], *, resume: bool) -> None:
        self._table = path / TABLE
        folder = RunFolder(path)
        calls = 1
        self._lines: dict[tuple[str, int], dict[str, str]] = {}
        if resume and folder.environment_path.exists():
            before = folder.environment().get("learning", {})
            for name, value in environment["learning"].items():
                if name in ("recipe", "split", "implementation") and before.get(name) != value:
                    raise RunFolderError(f"{path} was trained with {name} {before.get(name)!r}, this is {value!r}")
            calls += before.get("calls", 1)
            self._lines = _whole_lines(self._table)
        else:
            folder.require_new()
            if self._table.exists():
                raise RunFolderError(f"{path} holds a run already ({TABLE}): give another folder with --out")
        learning = {**environment["learning"], "calls": calls}
        folder.write_environment({"schema_version": SCHEMA_VERSION, **environment, "learning": learning})
        self._write()

    @property
    def done(self) -> set[tuple[str, int]]:
        """Variant and seed of each training that has ended well."""
        return {key for key, line in self._lines.items() if line["status"] == "ok"}

    def add(self, row: Mapping[str, Any]) -> None:
        """Keep a training's row, on disk when this returns, in the place of an earlier one of the same training."""
        self._lines[row["variant"], row["seed"]] = {name: _text(row.get(name)) for name in COLUMNS}
        self._write()

    def _write(self) -> None:
        text = io.StringIO()
        writer = csv.DictWriter(text, COLUMNS, lineterminator="\n")
        writer.writeheader()
        writer.writerows(self._lines.values())
        replace_text(self._table, text.getvalue())


def _whole_lines(table: Path) -> dict[tuple[str, int], dict[str, str]]:
    """The table's lines by variant and seed.

    Raises:
        RunFolderError: It is missing, or not such a table.
    """
    try:
        lines = list(csv.DictReader(table.read_text(encoding="utf-8").splitlines()))
        return {(line["variant"], int(line["seed"])): {name: line[name] for name in COLUMNS} for line in lines}
    except (OSError, ValueError, KeyError) as error:
        raise RunFolderError(f"{table} cannot be gone on with: {error!r}") from None


def _text(value: object) -> str:
    return "" if value is None else str(value)
