"""Going on with a run that ended early: its files made whole, and which of its rows still count. Free of torch."""

import hashlib
import json
from collections.abc import Collection, Iterable, Mapping
from pathlib import Path
from typing import Any

from .. import ROOT, SOURCES
from .columns import COLUMNS, NOT_RUN, Row
from .folder import RunFolder, csv_lines, replace_text
from .reading import DISCARDED, Key, Run, key_of, read_run

_SUFFIXES = frozenset({".py", ".cpp", ".h"})
# Of environment.json; the rest, as the time of day or a clock's frequency, may change within a run.
_IDENTITY = {
    "host": ("cpu", "cores", "threads_used"),
    "device": ("type", "name", "uuid", "driver"),
    "versions": None,
    "settings": ("tf32",),
    "variables": None,
    "code": ("version",),
}
# Variables that say where something is, and not how it is computed.
_PLACES = ("CACHE", "VISIBLE_DEVICES")


def recover(path: Path) -> Run:
    """Read a run and rewrite its files: each case once, no torn line, the table and the samples to match.

    Raises:
        RunFolderError: The folder holds no run of this version.
    """
    run = read_run(path)
    rewrite(RunFolder(path), run)
    if run.discarded:
        run.warnings.append(f"{len(run.discarded)} lines that hold no row are kept in {DISCARDED}")
    return run


def rewrite(folder: RunFolder, run: Run) -> None:
    """Give a folder's files the content of a run that was read from JSON; what was discarded is added to what was."""
    if run.discarded:
        with (folder.path / DISCARDED).open("ab") as file:
            file.write(b"".join(line.rstrip(b"\n") + b"\n" for line in run.discarded))
    samples = [line.text for key in run.rows for line in run.samples.get(key, [])]
    replace_text(folder.samples_path, "".join(samples))
    replace_text(folder.rows_path, "".join(run.texts[key] for key in run.rows))
    replace_text(folder.csv_path, ",".join(COLUMNS) + "\r\n" + csv_lines(run.rows.values()))


def finished(rows: Iterable[Row], fingerprints: Collection[str], retry: frozenset[str]) -> set[Key]:
    """The keys of the rows that need not be measured again: of one of the fingerprints, and of no status to retry.

    Cases for which the run had no time always are to be measured.
    """
    return {
        key_of(row)
        for row in rows
        if row["fingerprint"] in fingerprints and row["status"] not in retry and not was_left_out(row)
    }


def was_left_out(row: Row) -> bool:
    """Whether the row is of a case for which the run had no time."""
    return row["status"] == "timeout" and str(row["reason"]).startswith(NOT_RUN)


def same_software(environment: Mapping[str, Any], former: Mapping[str, Any]) -> bool:
    """Whether two environments differ in the machine alone."""
    return all(environment[part] == former[part] for part in ("versions", "settings")) and (
        environment["code"]["version"] == former["code"]["version"]
    )


def fingerprints_of(environment: Mapping[str, Any]) -> set[str]:
    """The fingerprints of a run's devices."""
    return {device["fingerprint"] for device in environment["devices"]}


def code_version(root: Path = ROOT) -> str:
    """A hash of the sources that decide what is measured, committed or not."""
    digest = hashlib.sha256()
    files = (path for package in SOURCES for path in (root / package).rglob("*"))
    for path in sorted(path for path in files if path.suffix in _SUFFIXES):
        digest.update(path.relative_to(root).as_posix().encode() + b"\0" + path.read_bytes() + b"\0")
    return digest.hexdigest()[:12]


def fingerprint(environment: Mapping[str, Any]) -> str:
    """A hash of the parts of environment.json that a latency depends on: code, machine and software."""
    parts = {}
    for part, names in _IDENTITY.items():
        found = environment.get(part) or {}
        counted = names or [name for name in found if not any(place in name for place in _PLACES)]
        parts[part] = {name: found.get(name) for name in counted}
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()[:12]
