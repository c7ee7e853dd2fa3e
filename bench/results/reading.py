"""Reading a run for comparison: its rows by case, and their samples."""

import csv
import json
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from ..errors import RunFolderError
from .folder import KINDS, PARAMETERS, Row, RunFolder
from .intervals import Samples

Key = tuple[str, ...]
# Between runs of one code on one machine, where no doctor measured it: other processes, memory layout, clocks.
DEFAULT_FLOOR = {"cuda": 0.02, "cpu": 0.05}


@dataclass
class Run:
    """A run's rows and samples by case; a case measured in turns has an array for each, others one.

    `warnings` are sentences about what could not be read.
    """

    path: Path
    environment: dict[str, Any]
    rows: dict[Key, Row] = field(default_factory=dict)
    samples: dict[Key, list[Samples]] = field(default_factory=dict)
    warnings: list[str] = field(default_factory=list)

    @property
    def device_type(self) -> str:
        """`cuda` or `cpu`."""
        device = self.environment.get("device")
        return str(device.get("type", "cpu")) if isinstance(device, dict) else "cpu"

    @property
    def devices(self) -> set[str]:
        """The models that it ran on."""
        device = self.environment.get("device")
        named = {str(device["name"])} if isinstance(device, dict) and device.get("name") else set()
        return named | {str(row["device"]) for row in self.rows.values() if row.get("device")}

    @property
    def in_turns(self) -> bool:
        """Whether its cases were measured by several processes, so that its samples hold the noise between them."""
        return any(len(turns) > 1 for turns in self.samples.values())

    @property
    def noise_floor(self) -> float | None:
        """The share by which two runs of the same code differ, as `doctor` measured it; None if it did not.

        Raises:
            RunFolderError: It is there, and no share.
        """
        doctor = self.environment.get("doctor")
        floor = doctor.get("noise_floor") if isinstance(doctor, dict) else None
        if floor is None:
            return None
        if not isinstance(floor, (int, float)) or not 0 <= floor < math.inf:
            raise RunFolderError(f"{self.path}: the doctor's noise_floor must be a share of at least 0, got {floor!r}")
        return float(floor)


def key_of(row: Mapping[str, Any]) -> Key:
    """The case of a row, the same from JSON and from CSV."""
    return tuple("" if row.get(name) is None else str(row[name]) for name in PARAMETERS)


def _filled(row: Mapping[str, Any], cache: str) -> Row:
    """What rows of former versions do not tell, as it was then."""
    compiled = row.get("torch_compile")
    return {
        "kind": row.get("kind") or KINDS[0],
        "cache": row.get("cache") or cache,
        "torch_compile": False if compiled is None else compiled,
    }


def number(row: Mapping[str, Any], name: str) -> float | None:
    """A column's number, None where it was not measured or is none."""
    try:
        value = float(row.get(name) or "nan")
    except (TypeError, ValueError):
        return None
    return value if math.isfinite(value) else None


def read_run(path: Path) -> Run:
    """Read a run folder; of a case that was run again the last row counts.

    Raises:
        RunFolderError: The folder holds no run, or neither results.jsonl nor results.csv.
    """
    folder = RunFolder(path)
    run = Run(path, folder.environment())
    read = _json_lines(folder.rows_path, run) if folder.rows_path.exists() else _csv_lines(folder.csv_path)
    for row in read:
        former = "cold" if run.device_type == "cuda" else "hot"
        whole = {**row, **_filled(row, former)}
        run.rows[key_of(whole)] = whole
    if folder.samples_path.exists():
        _read_samples(folder.samples_path, run)
    else:
        run.warnings.append(f"{path} has no samples.jsonl: without samples no difference can be judged.")
    return run


def _read_samples(path: Path, run: Run) -> None:
    """Lines with a `turn` add to their case, others replace what it had."""
    former = "cold" if run.device_type == "cuda" else "hot"
    for line in _json_lines(path, run):
        key = key_of({**line, **_filled(line, former)})
        values = np.asarray(line.get("samples_ms") or [], dtype=np.float64)
        values = values[np.isfinite(values) & (values > 0)]
        if line.get("turn"):
            run.samples.setdefault(key, []).append(values)
        else:
            run.samples[key] = [values] if len(values) else []


def _json_lines(path: Path, run: Run) -> Iterator[dict[str, Any]]:
    """The JSON objects of a file; what is none is counted in a warning."""
    lost = 0
    with path.open(encoding="utf-8", errors="replace") as file:
        for line in file:
            try:
                value = json.loads(line)
            except json.JSONDecodeError:
                value = None
            if isinstance(value, dict):
                yield value
            else:
                lost += 1
    if lost:
        run.warnings.append(f"{lost} of {path}'s lines are no JSON objects; left out.")


def _csv_lines(path: Path) -> Iterator[dict[str, Any]]:
    """The rows of results.csv, which is all that a published run keeps."""
    try:
        with path.open(newline="", encoding="utf-8") as file:
            yield from csv.DictReader(file)
    except FileNotFoundError:
        raise RunFolderError(f"{path.parent} holds neither results.jsonl nor results.csv") from None
