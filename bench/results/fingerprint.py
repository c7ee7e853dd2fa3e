"""What makes two measurements of a case comparable: the same code on the same machine with the same software."""

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from .. import ROOT

_SOURCES = ("kernels", "bench")
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


def code_version(root: Path = ROOT) -> str:
    """A hash of the sources that decide what is measured, committed or not."""
    digest = hashlib.sha256()
    for path in sorted(path for package in _SOURCES for path in (root / package).rglob("*.py")):
        digest.update(path.relative_to(root).as_posix().encode() + b"\0" + path.read_bytes() + b"\0")
    return digest.hexdigest()[:12]


def fingerprint(environment: Mapping[str, Any]) -> str:
    """A hash of the parts of environment.json that a latency depends on."""
    parts = {}
    for part, names in _IDENTITY.items():
        found = environment.get(part) or {}
        counted = names or [name for name in found if not any(place in name for place in _PLACES)]
        parts[part] = {name: found.get(name) for name in counted}
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()[:12]
