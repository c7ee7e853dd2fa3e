"""One run out of many of the same sweep, as its shards. Free of torch.

Nothing is lost: what becomes no row of the merged run is in its set_aside.jsonl or discarded.txt, and the parts stay as
they are.
"""

import json
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..errors import RunFolderError
from ..locks import locked
from .columns import PARAMETERS, Row
from .folder import RunFolder
from .reading import Key, Run, read_run
from .recovery import rewrite

# The rows that another part's were taken for, a JSON object a line: the part and the row.
SET_ASIDE = "set_aside.jsonl"
# How a case is named.
_TOLD = frozenset(
    {"implementation", "mode", "scope", "batch", "channels", "height", "width", "kernel_size", "m", "stride", "dtype"}
)
# So many conflicts are named one by one.
_NAMED = 20
# What should be alike in parts that are to be compared with one another.
_ALIKE: Mapping[str, Callable[[Mapping[str, Any]], Any]] = {
    "code": lambda one: one["code"]["version"],
    "versions": lambda one: one["versions"],
    "method": lambda one: one["method"],
}


@dataclass(frozen=True)
class Clash:
    """A case that two parts have: the part whose row is kept, the other, and whether their rows are the same."""

    key: Key
    kept: Path
    other: Path
    row: Row
    same: bool


@contextmanager
def read_parts(paths: Sequence[Path], out: Path) -> Iterator[list[Run]]:
    """The runs at the paths, which no other process may write meanwhile.

    Raises:
        RunFolderError: One is no run, given twice, in use, or of another schema or sweep; or `out` holds a run.
    """
    resolved = [path.resolve() for path in paths]
    twice = [path for path, count in Counter(resolved).items() if count > 1]
    if twice:
        raise RunFolderError(f"{twice[0]} is given more than once")
    environments = [_environment(path) for path in paths]
    first = environments[0]["sweep"]
    for path, environment in zip(paths, environments, strict=True):
        if environment["sweep"]["digest"] != first["digest"]:
            raise RunFolderError(
                f"{path} is of another sweep ({_sweep(environment['sweep'])}) than {paths[0]} ({_sweep(first)})"
            )
    RunFolder(out).require_new()
    with ExitStack() as held:
        for path in paths:
            held.enter_context(locked(path))
        yield [read_run(path) for path in paths]


def _environment(path: Path) -> dict[str, Any]:
    environment = RunFolder(path).environment()
    if "sweep" not in environment:
        raise RunFolderError(f"{path} does not say of which sweep it is, so it cannot be merged")
    return environment


def _sweep(sweep: Mapping[str, Any]) -> str:
    return f"{sweep['name']}, {sweep['cases']} cases, {sweep['digest']}"


def merge(parts: Sequence[Run], out: Path) -> tuple[RunFolder, list[Clash]]:
    """Write the parts' cases as one run, and what two parts have."""
    chosen: dict[Key, Run] = {}
    clashes = []
    for part in parts:
        for key, row in part.rows.items():
            former = chosen.setdefault(key, part)
            if former is part:
                continue
            # A measured row counts more than one that failed; of two alike, the part that was named first.
            better = row["status"] == "ok" and former.rows[key]["status"] != "ok"
            kept, other = (part, former) if better else (former, part)
            chosen[key] = kept
            theirs = other.rows[key]
            clashes.append(Clash(key, kept.path, other.path, theirs, theirs == kept.rows[key]))
    folder = RunFolder.create(out, _merged_environment(parts))
    content = Run(out, folder.environment())
    for key, part in chosen.items():
        content.rows[key], content.texts[key] = part.rows[key], part.texts[key]
        content.samples[key] = part.samples.get(key, [])
    content.discarded = [line for part in parts for line in part.discarded]
    rewrite(folder, content)
    conflicts = [{"run": str(clash.other), **clash.row} for clash in clashes if not clash.same]
    if conflicts:
        (out / SET_ASIDE).write_text("".join(json.dumps(one) + "\n" for one in conflicts), encoding="utf-8")
    return folder, clashes


def _merged_environment(parts: Sequence[Run]) -> dict[str, Any]:
    """That of the first part, for the whole sweep, with all devices and every part's own."""
    first = {name: value for name, value in parts[0].environment.items() if name not in {"shard", "earlier", "parts"}}
    devices = {json.dumps(one): one for part in parts for one in part.environment["devices"]}
    return {
        **first,
        "started": min(part.environment["started"] for part in parts),
        "cases": first["sweep"]["cases"],
        "devices": list(devices.values()),
        "parts": [{"run": str(part.path), **part.environment} for part in parts],
    }


def warnings_of(parts: Sequence[Run], clashes: Sequence[Clash]) -> Iterator[str]:
    """What a reader of the merged run has to know, in sentences."""
    for part in parts:
        yield from (f"{part.path}: {warning}" for warning in part.warnings)
    for name, of in _ALIKE.items():
        strangers = [str(part.path) for part in parts if of(part.environment) != of(parts[0].environment)]
        if strangers:
            yield f"{', '.join(strangers)} differ in {name} from {parts[0].path}"
    alike = Counter((clash.kept, clash.other) for clash in clashes if clash.same)
    yield from (f"{count} rows of {other} are in {kept} too" for (kept, other), count in alike.items())
    conflicts = [clash for clash in clashes if not clash.same]
    for clash in conflicts[:_NAMED]:
        yield f"{_label(clash.row)}: the row of {clash.kept} is kept, another of {clash.other} is in {SET_ASIDE}"
    if len(conflicts) > _NAMED:
        yield f"{len(conflicts) - _NAMED} more conflicts are in {SET_ASIDE}"
    total = parts[0].environment["sweep"]["cases"]
    missing = total - len({key for part in parts for key in part.rows})
    if missing:
        yield f"{missing} of the sweep's {total} cases are in none of the parts{_missing_shards(parts)}"


def _missing_shards(parts: Sequence[Run]) -> str:
    """Which shards are not among the parts, where these are shards of as many."""
    shards = [part.environment["shard"] for part in parts if "shard" in part.environment]
    counts = {shard["count"] for shard in shards}
    if len(shards) < len(parts) or len(counts) != 1:
        return ""
    (count,) = counts
    absent = [f"{index}/{count}" for index in range(1, count + 1) if index not in {shard["index"] for shard in shards}]
    return f": {', '.join(absent)} is not among them" if absent else ""


def _label(row: Row) -> str:
    """A case in a few words."""
    return " ".join(f"{name}={row[name]}" for name in PARAMETERS if name in _TOLD)
