"""A call's time by timers that know nothing of each other; that they agree is the best evidence for each of them."""

import json
import tempfile
from collections.abc import Callable, Mapping
from importlib.util import find_spec
from pathlib import Path

import torch
from torch.profiler import ProfilerActivity, profile

from .timers import Call
from .timing import Timing, measure

_CALLS = 20
_TIMING = Timing(seconds=0.2)


class Unheard(Exception):  # noqa: N818
    """Why a timer says nothing here, as the message."""


def _ours(*, capture: bool) -> Callable[[Call, torch.device], float]:
    def timed(call: Call, device: torch.device) -> float:
        columns = measure(call, device, _TIMING, capture=capture).columns()
        wanted = "graph" if capture else "events"
        if columns["timer"] != wanted:
            raise Unheard(f"the call was timed by {columns['timer']}")
        return float(columns["latency_ms"])

    return timed


def by_cupti(call: Call, device: torch.device) -> float:
    """Sum of the kernels' times that torch.profiler has from CUPTI, in ms a call."""
    call()
    torch.cuda.synchronize(device)
    with profile(activities=[ProfilerActivity.CUDA]) as recorded:
        for _ in range(_CALLS):
            call()
        torch.cuda.synchronize(device)
    total_us = sum(event.self_device_time_total for event in recorded.key_averages())
    if not total_us:
        raise Unheard("torch.profiler recorded no kernel")
    return float(total_us) / _CALLS / 1e3


def by_proton(call: Call, device: torch.device) -> float:
    """Sum of the kernels' times in Triton's profiler, in ms a call."""
    if find_spec("triton") is None or find_spec("triton.profiler") is None:
        raise Unheard("triton.profiler is not installed")
    import triton.profiler as proton  # noqa: PLC0415  it may be absent

    call()
    torch.cuda.synchronize(device)
    with tempfile.TemporaryDirectory() as folder:
        session = proton.start(str(Path(folder) / "call"), context="shadow")
        for _ in range(_CALLS):
            call()
        torch.cuda.synchronize(device)
        proton.finalize(session)
        tree = json.loads((Path(folder) / "call.hatchet").read_text(encoding="utf-8"))
    total_ns = _leaves_ns(tree[0])
    if not total_ns:
        raise Unheard("Proton recorded no kernel")
    return total_ns / _CALLS / 1e6


def _leaves_ns(node: Mapping[str, object]) -> float:
    """The time of the leaves of Proton's tree."""
    children, metrics = node.get("children"), node.get("metrics")
    if isinstance(children, list) and children:
        return sum(_leaves_ns(child) for child in children)
    return float(metrics.get("time (ns)", 0)) if isinstance(metrics, dict) else 0.0


TIMERS: Mapping[str, Callable[[Call, torch.device], float]] = {
    "events": _ours(capture=False),
    "graph": _ours(capture=True),
    "Proton": by_proton,
    "CUPTI": by_cupti,
}


def opinions(call: Call, device: torch.device) -> tuple[dict[str, float], dict[str, str]]:
    """The times in ms by the timers of a GPU, and why others say nothing."""
    heard: dict[str, float] = {}
    unheard: dict[str, str] = {}
    for name, timer in TIMERS.items():
        try:
            heard[name] = timer(call, device)
        except Exception as error:  # noqa: BLE001  profilers raise what they like, and the doctor tells of it
            unheard[name] = f"{name}: {(str(error).splitlines() or [type(error).__name__])[0]}"
    return heard, unheard
