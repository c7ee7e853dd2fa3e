"""Several runs of the same cases, the turns, as one run. Free of torch."""

import json
import statistics
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from ..cost.metrics import rates
from .columns import PARAMETERS, Row
from .comparing.intervals import turns_of
from .folder import RunFolder
from .reading import Key, Run, number, read_run

# What tells of one turn's samples, and would be wrong of all of them.
_OF_ONE_TURN = frozenset(
    {"latency_low_ms", "latency_high_ms", "outliers", "stop", "host_ms", "energy_mj", "throttle", "score"}
)
# What all turns together make of a column.
_OVER_TURNS: Mapping[str, Callable[[list[Any]], Any]] = {
    **dict.fromkeys(("peak_mib", "reserved_mib", "driver_mib", "temperature_c", "power_w"), max),
    **dict.fromkeys(("sm_mhz", "memory_mhz"), min),
    "tainted": any,
    "warmup_s": sum,
}


def merge_turns(paths: Sequence[Path], out: Path, changes: Mapping[str, Any]) -> RunFolder:
    """Write the turns' cases as one run whose samples.jsonl has a line for each case and turn.

    Args:
        paths: The turns' run folders, in the order of measuring.
        out: The folder to make.
        changes: What environment.json is to say otherwise than that of the first turn.

    Raises:
        RunFolderError: A turn cannot be read, or the folder holds a run already.
    """
    turns = [read_run(path) for path in paths]
    first = turns[0].environment
    code = {**first.get("code", {}), **changes.get("code", {})}
    folder = RunFolder.create(out, {**first, **changes, "code": code})
    for key in dict.fromkeys(key for turn in turns for key in turn.rows):
        row = merged_row(key, turns)
        folder.append(row, [])
        _append_samples(folder.samples_path, row, key, turns)
    return folder


def merged_row(key: Key, turns: Sequence[Run]) -> Row:
    """A case's row over all turns: the first that is not ok, else one with the latencies of all samples together."""
    rows = [turn.rows[key] for turn in turns if key in turn.rows]
    known = rows[0]
    if len(rows) < len(turns):
        asked = {name: known[name] for name in (*PARAMETERS, "device", "fingerprint") if name in known}
        return {**asked, "status": "error", "reason": f"measured in {len(rows)} of {len(turns)} turns"}
    bad = next((row for row in rows if row["status"] != "ok"), None)
    if bad is not None:
        return bad
    samples = np.concatenate([array for turn in turns for array in turns_of(turn, key)])
    fifths = statistics.quantiles(samples.tolist(), n=5, method="inclusive")
    latency = float(np.median(samples))
    share = number(known, "bound_fraction")
    told = {name: [row[name] for row in rows if row.get(name) is not None] for name in _OVER_TURNS}
    return {
        **{name: value for name, value in known.items() if name not in _OF_ONE_TURN},
        **{name: _OVER_TURNS[name](values) for name, values in told.items() if values},
        "latency_ms": latency,
        "latency_p20_ms": fifths[0],
        "latency_p80_ms": fifths[-1],
        "samples": len(samples),
        "bound_fraction": None if share is None else share * known["latency_ms"] / latency,
        **rates({name: value for name, value in known.items() if value is not None}, latency),
    }


def _append_samples(path: Path, row: Row, key: Key, turns: Sequence[Run]) -> None:
    case = {name: row[name] for name in PARAMETERS}
    with path.open("a", encoding="utf-8") as file:
        for place, turn in enumerate(turns, start=1):
            for samples in turns_of(turn, key):
                file.write(json.dumps({**case, "turn": place, "samples_ms": samples.tolist()}) + "\n")
