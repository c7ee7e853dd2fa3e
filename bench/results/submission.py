"""Whether a run is fit to be published, and the folder that is published of it. Free of torch."""

import json
import re
import shutil
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path

from ..errors import RunFolderError
from .columns import SCHEMA_VERSION, Row
from .comparing.intervals import devices_of
from .folder import RunFolder
from .reading import Run, number
from .recovery import fingerprints_of
from .schemas import SCHEMAS

# The share of timed cases that may have been throttled.
MOST_TAINTED = 0.05
# By how much a time may be below its bound, whose rates are measured themselves.
SLACK = 0.02
# Faults of a kind that are named one by one.
_NAMED = 3

Check = Callable[[Run], Iterator[str]]


def examine(run: Run) -> dict[str, list[str]]:
    """The faults that each check finds; where the files are not what they should be, the other checks are not made."""
    faults = list(_schema(run))
    if faults:
        return {"schema": faults}
    return {"schema": [], **{name: list(check(run)) for name, check in CHECKS.items()}}


def require_rows(path: Path) -> None:
    """Refuse what has no rows as they were measured.

    Raises:
        RunFolderError: The folder holds no run, or the table alone, as a published one does.
    """
    if not RunFolder(path).rows_path.is_file():
        raise RunFolderError(f"{path} has no results.jsonl: give the folder that a run left")


def _schema(run: Run) -> Iterator[str]:
    """What the JSON Schemas say against the files."""
    # Not needed by any other command.
    from jsonschema import Draft202012Validator  # noqa: PLC0415

    yield from run.warnings
    things = {"environment": [run.environment], "row": list(run.rows.values())}
    for name, values in things.items():
        schema = json.loads((SCHEMAS / f"{name}-{SCHEMA_VERSION}.json").read_text(encoding="utf-8"))
        found = (error for value in values for error in Draft202012Validator(schema).iter_errors(value))
        yield from _shortened(f"{name}, {error.json_path}: {error.message:.200}" for error in found)


def _environment(run: Run) -> Iterator[str]:
    """Whether it is known what was measured, with what and where."""
    about, code = run.environment, run.environment["code"]
    if code["git_dirty"]:
        yield "the checkout had changes that are in no commit"
    if not code["git_commit"] and not about["versions"].get("local-relation"):
        yield "neither the commit nor the version of an installed package is known"
    if not about["versions"]["torch"]:
        yield "torch's version is not known"
    if about["device"]["type"] == "cuda" and not about["device"]["driver"]:
        yield f"the driver is not known: {about['device']['telemetry_absent']}"
    if len(devices := devices_of(run)) > 1:
        yield f"{len(devices)} devices have a part in it ({', '.join(sorted(devices))}): hand in a run of each"
    if "shard" in about:
        yield "it is a shard: merge all of them"
    if "turns" in about:
        yield "it is a side of a gate, not a run"
    if len(run.rows) < about["cases"]:
        yield f"{about['cases'] - len(run.rows)} of {about['cases']} cases have no row: go on with --resume"


def _trust(run: Run) -> Iterator[str]:
    """Whether the machine's times can be believed."""
    doctor = run.environment["doctor"]
    if doctor is None or doctor["noise_floor"] is None:
        yield "no doctor measured the noise of this device before the run"
    for check in (doctor or {}).get("checks", []):
        if check["verdict"] == "FAIL":
            yield f"the doctor's check of {check['name']} failed: {check['found']}"
    tests = str(run.environment.get("gpu_tests", "skipped"))
    if not tests.startswith(("passed in", "skipped")):
        yield f"the GPU's tests: {tests}"
    timed = _timed(run)
    tainted = sum(bool(row["tainted"]) for row in timed)
    if tainted > MOST_TAINTED * len(timed):
        yield f"{tainted} of {len(timed)} timed cases were throttled, and at most {MOST_TAINTED:.0%} may have been"
    known = fingerprints_of(run.environment)
    if strange := sum(row["fingerprint"] not in known for row in run.rows.values()):
        yield f"{strange} rows are of other code or another machine than environment.json: go on with --resume"


def _correctness(run: Run) -> Iterator[str]:
    """Whether every case that has a time was right, and none was wrong."""
    if not _timed(run):
        yield "no case has a time"
    wrong = [row for row in run.rows.values() if row["status"] == "incorrect"]
    yield from _shortened(f"{named(row)} is incorrect: {row['reason']}" for row in wrong)
    unchecked = [row for row in _timed(run) if row["kind"] == "implementation" and number(row, "error") is None]
    yield from _shortened(f"{named(row)} has a time, and was not compared with float64" for row in unchecked)


def _bound(run: Run) -> Iterator[str]:
    """Whether no case is faster than its bound allows."""
    shares = [(row, number(row, "bound_fraction") or 0.0) for row in _timed(run)]
    beyond = [(row, share) for row, share in shares if share > 1 + SLACK]
    yield from _shortened(f"{named(row)} takes {1 / share:.2f} of the least time by its bound" for row, share in beyond)


CHECKS: Mapping[str, Check] = {
    "environment": _environment,
    "trust": _trust,
    "correctness": _correctness,
    "bound": _bound,
}


def named(row: Row) -> str:
    """A case in short."""
    size = f"N={row['batch']} C={row['channels']} {row['height']}×{row['width']} k={row['kernel_size']} m={row['m']}"
    return f"{row['implementation']} {row['mode']} {row['scope']} {size} {row['dtype']} {row['cache']}"


def name_of(run: Run) -> str:
    """What a run is called among those that are published: day, device and sweep."""
    about = run.environment
    cores = f" {about['host']['cores']} cores" if about["device"]["type"] == "cpu" else ""
    kind = "cpu " if about["device"]["type"] == "cpu" else ""
    words = f"{about['started'][:10]} {kind}{about['device']['name']}{cores} {about.get('sweep', {}).get('name', '')}"
    return re.sub(r"[^a-z0-9]+", "-", words.lower()).strip("-")


def pack(run: Run, published: Path) -> Path:
    """Copy what is published of a run into a new folder of `published`, named by `name_of`; that folder.

    Raises:
        RunFolderError: The same run is there already.
    """
    name, place = name_of(run), 1
    while (target := published / (name if place == 1 else f"{name}-{place}")).exists():
        there = RunFolder(target).environment(older=True)
        if (there["started"], there.get("fingerprint")) == (run.environment["started"], run.environment["fingerprint"]):
            raise RunFolderError(f"{target} holds this run already")
        place += 1
    folder, packed = RunFolder(run.path), RunFolder(target)
    target.mkdir(parents=True)
    shutil.copy(folder.csv_path, packed.csv_path)
    # The last, as a folder without it holds no run.
    shutil.copy(folder.environment_path, packed.environment_path)
    return target


def _timed(run: Run) -> list[Row]:
    return [row for row in run.rows.values() if row["status"] == "ok"]


def _shortened(faults: Iterable[str]) -> Iterator[str]:
    """The first of many faults of a kind, and how many more there are."""
    every = list(faults)
    yield from every[:_NAMED]
    if len(every) > _NAMED:
        yield f"and {len(every) - _NAMED} more like these"
