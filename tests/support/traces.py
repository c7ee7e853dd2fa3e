"""Traces made up in the form in which torch.profiler writes them, and a check that Perfetto would take one."""

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from bench.profile.trace import CALL

PHASES = frozenset("BEXiIMCbnestfPND")
THREAD = {"pid": 7, "tid": 7}
STREAM = {"pid": 0, "tid": 13}


def span(name: str, start: float, duration: float, cat: str = "cpu_op", **place: Any) -> dict[str, Any]:
    """A complete event."""
    where = {**THREAD, **place}
    return {"ph": "X", "cat": cat, "name": name, "ts": start, "dur": duration, **where, "args": {}}


def called(start: float, duration: float) -> dict[str, Any]:
    """A profiled call."""
    return span(CALL, start, duration, "user_annotation")


def kernel(name: str, start: float, duration: float, cat: str = "kernel") -> dict[str, Any]:
    """Something that ran on a GPU."""
    return span(name, start, duration, cat, **STREAM)


def allocated(time: float, added: int, total: int, *, device: int = 0) -> dict[str, Any]:
    """A change of memory, negative where it is freed."""
    args = {"Total Allocated": total, "Bytes": added, "Device Type": device, "Device Id": -1, "Addr": 1}
    return {"ph": "i", "cat": "cpu_instant_event", "s": "t", "name": "[memory]", "ts": time, **THREAD, "args": args}


def write(path: Path, events: Iterable[Mapping[str, Any]]) -> Path:
    """A trace file."""
    named = {"ph": "M", "name": "process_name", "ts": 0, "pid": 7, "tid": 0, "args": {"name": "python"}}
    path.write_text(json.dumps({"schemaVersion": 1, "traceEvents": [named, *events]}), encoding="utf-8")
    return path


def require_importable(document: Any) -> list[dict[str, Any]]:
    """The events of a document in the JSON trace format, after checking what Perfetto's importer rejects.

    Every event has a phase and a process; complete ones a name, a thread, a start and a length; those of one thread lie
    within each other or apart.
    """
    assert isinstance(document["traceEvents"], list)
    events: list[dict[str, Any]] = document["traceEvents"]
    threads: dict[tuple[Any, Any], list[tuple[float, float]]] = {}
    for event in events:
        assert event["ph"] in PHASES
        assert isinstance(event["name"], str)
        assert isinstance(event["ts"], int | float)
        assert "pid" in event
        if event["ph"] == "X":
            assert event["dur"] >= 0
            threads.setdefault((event["pid"], event["tid"]), []).append((event["ts"], event["ts"] + event["dur"]))
    for spans in threads.values():
        open_ends: list[float] = []
        for start, end in sorted(spans, key=lambda one: (one[0], -one[1])):
            while open_ends and open_ends[-1] <= start:
                open_ends.pop()
            # The clock ticks in nanoseconds.
            assert not open_ends or end <= open_ends[-1] + 0.0015
            open_ends.append(end)
    return events
