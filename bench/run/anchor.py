"""The anchor: one small case that every device of a run measures, which shows how alike they are."""

from collections.abc import Iterable, Mapping
from typing import Any

import torch

from ..case.case import Case, make_case
from ..case.sweeps import DEFAULTS, SWEEPS
from .schedule import Done

_TOLD = ("status", "latency_ms", "latency_low_ms", "latency_high_ms")


def anchor(device: torch.device) -> Case:
    """Plain PyTorch, forward: on a GPU at the 28²×200 stage, from a hot L2; on a CPU at the default problem."""
    base = {**DEFAULTS, **(SWEEPS["axes"].base if device.type == "cuda" else {})}
    point = {name: values[0] for name, values in base.items()}
    sizes = {"height": point["hw"], "width": point.pop("hw")}
    return make_case({**point, **sizes, "mode": "forward", "cache": "hot"}, "unfold")


def told(done: Done) -> dict[str, Any]:
    """What environment.json says of an anchor."""
    return {"case": done.case.label(), **{name: done.row.get(name) for name in _TOLD}}


def how_alike(devices: Iterable[Mapping[str, Any]]) -> str:
    """One line on how far the devices are apart, by what `environment.json` says of them."""
    known = list(devices)
    times = [one["anchor"]["latency_ms"] for one in known if one["anchor"]["status"] == "ok"]
    failed = "" if len(times) == len(known) else f", {len(known) - len(times)} could not measure it"
    if not times:
        return f"anchor: none of {len(known)} devices could measure it: {known[0]['anchor']['case']}"
    low, high = min(times), max(times)
    return (
        f"anchor: {known[0]['anchor']['case']} takes {low:.3f} to {high:.3f} ms on {len(times)} devices, "
        f"{high / low - 1:.1%} apart{failed}"
    )
