"""The host's time of a call of the fused kernels and of its parts, the launch left out: no GPU is needed."""

import sys
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from statistics import median
from timeit import repeat
from typing import Any

import torch
from torch import Tensor

from kernels import Problem, fused_steps, local_relation, stubbed_launches

from .workloads import draw

Call = Callable[[], object]
# Small, and in the kernels' own layout, so that a CPU does nothing that is left to a GPU.
PROBLEM = Problem(batch=1, channels=16, height=7, width=7, kernel_size=7, m=8, padding=3, memory_format="channels_last")
_WHOLES = ("forward, no_grad", "forward, requires_grad", "forward and backward")
# What a whole call is made of, by its name: sums of measured calls, each so many times.
_PARTS: Mapping[str, Mapping[str, Mapping[str, int]]] = {
    _WHOLES[0]: {
        "arguments, and what is known of them": {_WHOLES[0]: 1, "relate": -1},
        "memory formats, the prior's layout": {"inputs": 1},
        "allocations": {"forward": 1, "forward launch": -1},
        "launch, up to the C call": {"forward launch": 1},
    },
    _WHOLES[2]: {
        "arguments, and what is known of them": {_WHOLES[1]: 1, "relate_differentiably": -1},
        "memory formats, the prior's layout, twice": {"inputs": 2},
        "allocations, the prior's gradient": {"saving": 1, "saving launch": -1, "backward": 1, "backward launches": -1},
        "launches, three": {"saving launch": 1, "backward launches": 1},
        "a bare autograd.Function, autograd.grad": {"bare": 1},
    },
}
# The calls take turns, so that what disturbs the machine for a while disturbs them all.
_TURNS = 10
_WARM_UP = 20


@dataclass(frozen=True)
class HostTime:
    """A call, or a part of the call `of`: its least and its median time in µs, the Python functions that it runs."""

    name: str
    of: str
    minimum_us: float
    median_us: float
    functions: int


def functions_run(call: Call) -> list[str]:
    """The Python functions that a call runs, by name, its own first; those of a backward pass wherever that runs."""
    found: list[str] = []
    with torch.autograd.set_multithreading_enabled(False):
        sys.setprofile(lambda frame, event, _: found.append(frame.f_code.co_qualname) if event == "call" else None)
        try:
            call()
        finally:
            sys.setprofile(None)
    return found


def host_times(device: torch.device, samples: int) -> list[HostTime]:
    """Whole calls, and what they are made of, from so many samples of each.

    Raises:
        ImportError: Triton is not installed.
        RuntimeError: Triton was imported to interpret kernels (TRITON_INTERPRET), not to compile them.
    """
    with stubbed_launches():
        calls = _calls(PROBLEM, device)
        seconds: dict[str, list[float]] = {name: [] for name in calls}
        for turn in range(_TURNS):
            for name, call in calls.items():
                repeat(call, number=1, repeat=_WARM_UP)
                seconds[name] += repeat(call, number=1, repeat=len(range(turn, samples, _TURNS)))
        # The function that stands for a call is not counted.
        measured = {
            name: HostTime(name, "", min(all_) * 1e6, median(all_) * 1e6, len(functions_run(calls[name])) - 1)
            for name, all_ in seconds.items()
        }
    return _rows(measured)


def _calls(problem: Problem, device: torch.device) -> dict[str, Call]:
    """What is timed, by name: whole calls, a bare autograd.Function, and the steps of the kernels."""
    tensors = draw(problem, "operator", device)
    grad_out = tensors.pop("grad_out")
    tensors["prior"] = tensors["prior"].permute(1, 2, 0).contiguous().permute(2, 0, 1)  # as the layer's
    leaves = [x.requires_grad_() for x in tensors.values()]
    query, key, value, prior = (x.detach() for x in leaves)
    options: dict[str, Any] = {"kernel_size": problem.kernel_size, "m": problem.m, "implementation": "triton"}

    def forward() -> Tensor:
        return local_relation(query, key, value, prior, **options)

    def differentiable() -> Tensor:
        return local_relation(*leaves, **options)

    def both() -> tuple[Tensor, ...]:
        return torch.autograd.grad(local_relation(*leaves, **options), leaves, grad_out)

    def bare() -> tuple[Tensor, ...]:
        # As the kernels call theirs: without what torch does for transforms of torch.func.
        out = super(torch.autograd.Function, _Bare).apply(*leaves)  # type: ignore[no-untyped-call]
        return torch.autograd.grad(out, leaves, grad_out)

    wholes = dict(zip(_WHOLES, (forward, differentiable, both), strict=True))
    return {**wholes, "bare": bare, **fused_steps(problem, (query, key, value, prior), grad_out)}


class _Bare(torch.autograd.Function):
    """What torch takes for a function of four tensors that computes nothing."""

    @staticmethod
    def forward(ctx: Any, query: Tensor, key: Tensor, value: Tensor, prior: Tensor) -> Tensor:
        ctx.save_for_backward(query, key, value, prior)
        return torch.empty_like(value)

    @staticmethod
    def backward(ctx: Any, _: Tensor) -> Any:
        return ctx.saved_tensors


def _rows(measured: Mapping[str, HostTime]) -> list[HostTime]:
    """Each whole call and then its parts, the last of them what the others do not explain."""
    rows = []
    for whole in _WHOLES:
        rows.append(measured[whole])
        rest = Counter({whole: 1})
        for name, calls in _PARTS.get(whole, {}).items():
            rows.append(_sum(measured, name, whole, calls))
            rest.subtract(calls)
        if whole in _PARTS:
            rows.append(_sum(measured, "the rest", whole, rest))
    return rows


def _sum(measured: Mapping[str, HostTime], name: str, of: str, calls: Mapping[str, int]) -> HostTime:
    """A part that is as long as so many of each call."""
    counted = [(count, measured[call]) for call, count in calls.items()]
    return HostTime(
        name,
        of,
        sum(count * one.minimum_us for count, one in counted),
        sum(count * one.median_us for count, one in counted),
        sum(count * one.functions for count, one in counted),
    )
