"""Reading a run back that ended early, and making its files whole again. Free of torch."""

import json
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..errors import RunFolderError
from .folder import COLUMNS, PARAMETERS, SCHEMA_VERSION, STATUSES, Row, RunFolder, csv_lines, replace_text

# Lines that hold no row are moved here, so that nothing that somebody might want is deleted.
DISCARDED = "discarded.txt"

Key = tuple[Any, ...]


@dataclass(frozen=True)
class Recovered:
    """A run as its files have it.

    Args:
        rows: The last row of each case by its key, in the order of the file.
        texts: Their lines.
        samples: Their lines of samples, where there are any.
        discarded: Lines that hold no row.
        warnings: What was amiss, in sentences.
    """

    rows: Mapping[Key, Row]
    texts: Mapping[Key, str]
    samples: Mapping[Key, str]
    discarded: tuple[bytes, ...]
    warnings: tuple[str, ...]


def key_of(parameters: Mapping[str, Any]) -> Key:
    """What tells a case from every other: the values of its parameters."""
    return tuple(parameters[name] for name in PARAMETERS)


def require_resumable(folder: RunFolder) -> dict[str, Any]:
    """The environment of a run that can be continued.

    Raises:
        RunFolderError: The folder holds no environment.json, or another version of the suite wrote the run.
    """
    environment = folder.environment()
    if environment["schema_version"] != SCHEMA_VERSION:
        raise RunFolderError(
            f"{folder.path} has schema_version {environment['schema_version']}, and only a run of version "
            f"{SCHEMA_VERSION} can be resumed: start a new one"
        )
    return environment


def recover(folder: RunFolder) -> Recovered:
    """Read a run's rows and rewrite its files: each case once, no torn line, the table and the samples to match."""
    found = read(folder)
    rewrite(folder, found)
    return found


def read(folder: RunFolder) -> Recovered:
    """Read a run's rows and samples, whatever state its files are in; nothing is written."""
    rows: dict[Key, Row] = {}
    texts: dict[Key, str] = {}
    warnings, discarded = [], []
    lines = _lines(folder.rows_path)
    for number, line in enumerate(lines, 1):
        row = _row(line)
        if row is None:
            torn = number == len(lines) and not line.endswith(b"\n")
            what = "was cut off while it was written" if torn else "is not a row"
            warnings.append(f"line {number} of {folder.rows_path.name} {what}: left out, and kept in {DISCARDED}")
            discarded.append(line)
            continue
        key = key_of(row)
        rows.pop(key, None)  # so that the last row also has the last place
        rows[key], texts[key] = row, line.decode().rstrip("\n") + "\n"
    return Recovered(rows, texts, _last_samples(folder.samples_path, rows.keys()), tuple(discarded), tuple(warnings))


def rewrite(folder: RunFolder, content: Recovered) -> None:
    """Give a run's files this content; what was discarded is added to what was before."""
    if content.discarded:
        with (folder.path / DISCARDED).open("ab") as file:
            file.write(b"".join(line.rstrip(b"\n") + b"\n" for line in content.discarded))
    replace_text(folder.samples_path, "".join(content.samples[key] for key in content.rows if key in content.samples))
    replace_text(folder.rows_path, "".join(content.texts[key] for key in content.rows))
    replace_text(folder.csv_path, ",".join(COLUMNS) + "\r\n" + csv_lines(content.rows.values()))


def finished(rows: Iterable[Row], fingerprints: Collection[str], retry: frozenset[str]) -> set[Key]:
    """The keys of the rows that need not be measured again: of one of the fingerprints, and of no status to retry."""
    return {key_of(row) for row in rows if row["fingerprint"] in fingerprints and row["status"] not in retry}


def same_software(environment: Mapping[str, Any], former: Mapping[str, Any]) -> bool:
    """Whether two environments differ in the machine alone."""
    return all(environment[part] == former[part] for part in ("versions", "settings")) and (
        environment["code"]["version"] == former["code"]["version"]
    )


def fingerprints_of(environment: Mapping[str, Any]) -> set[str]:
    """The fingerprints of a run's devices."""
    return {device["fingerprint"] for device in environment["devices"]}


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
    if found is None or found.keys() != set(COLUMNS) or found["status"] not in STATUSES:
        return None
    return {name: found[name] for name in COLUMNS}


def _last_samples(path: Path, wanted: Collection[Key]) -> dict[Key, str]:
    """The last line of samples of each wanted case."""
    last = {}
    for line in _lines(path):
        found = _object(line)
        if found is not None and isinstance(found.get("samples_ms"), list):
            last[key_of(found)] = line.decode().rstrip("\n") + "\n"
    return {key: last[key] for key in wanted if key in last}
