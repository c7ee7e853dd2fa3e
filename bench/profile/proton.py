"""Triton's profiler, Proton, around a few calls of a case on a GPU: time by kernel, with the operator's own counts."""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import torch

from ..case.case import Case
from ..cost.metrics import counts
from ..errors import Unavailable
from .recording import Steady

_SCOPE, _TIME = "profiled calls", "time (ns)"
_WARMUP_CALLS = 3
_COUNTED = {"flops": "flops", "min_bytes": "bytes"}


@dataclass(frozen=True)
class Ran:
    """A kernel in all calls: how often it ran, and for how long."""

    kernel: str
    launches: int
    ns: float


def require_proton(device: torch.device) -> None:
    """Nothing, where Proton can be used.

    Raises:
        Unavailable: The device is no GPU, or Proton is not installed.
    """
    if device.type != "cuda":
        raise Unavailable("it profiles GPUs, and this is a CPU")
    if find_spec("triton") is None or find_spec("triton.profiler") is None:
        raise Unavailable("triton.profiler is not installed")


def record_proton(case: Case, device: torch.device, path: Path, calls: int) -> None:
    """Profile so many calls into a .hatchet file, with the case's flops and least bytes as the scope's metrics.

    `proton-viewer -m tflop/s,gbyte/s,time/us FILE` shows it.
    """
    import triton.profiler as proton  # noqa: PLC0415  it may be absent, and require_proton() says so

    steady = Steady(case, device)
    for _ in range(_WARMUP_CALLS):
        steady.run()
    known = counts(case)
    metrics = {name: float(calls * known[column]) for column, name in _COUNTED.items() if column in known}
    session = proton.start(str(path.with_suffix("")), context="shadow")
    # Flushes of the L2 stay outside, in a session that rests between the calls.
    proton.deactivate(session)
    for index in range(calls):
        steady.prepare()
        proton.activate(session)
        with proton.scope(_SCOPE, metrics if index == 0 else None):
            steady.run()
        proton.deactivate(session)
    proton.finalize(session)


def read_proton(path: Path) -> list[Ran]:
    """The kernels in a .hatchet file, the most time first.

    Raises:
        Unavailable: It is none, or no kernel ran.
    """
    found: dict[str, tuple[int, float]] = {}
    try:
        tree: Sequence[Mapping[str, Any]] = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise Unavailable(f"{path} is no profile: {error}") from None
    for node in _nodes(tree[0]):
        time, launches = node["metrics"].get(_TIME), node["metrics"].get("count", 0)
        if time and not node.get("children"):
            name = node["frame"]["name"]
            before = found.get(name, (0, 0.0))
            found[name] = (before[0] + int(launches), before[1] + float(time))
    if not found:
        raise Unavailable(f"{path} holds no kernel's time")
    ran = [Ran(name, launches, ns) for name, (launches, ns) in found.items()]
    return sorted(ran, key=lambda one: one.ns, reverse=True)


def _nodes(node: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    if "frame" in node:
        yield node
    for child in node.get("children", ()):
        yield from _nodes(child)
