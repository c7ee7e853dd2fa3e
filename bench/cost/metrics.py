"""The metrics that follow from a case and its latency. Free of torch; a new one is an entry here."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from .bounds import Work, bounds_us, largest, mode_work
from .chips import Chip
from .complexity import Asked, flops, macs, min_bytes, paper_cost, paper_terms
from .network_counts import network_metrics
from .yardsticks import YARDSTICKS


@dataclass(frozen=True)
class Metric:
    """A column of the results: its meaning with its unit, and where its value comes from.

    A `count` is there without a run, for an operator or a layer; it gives None where the scope has no such count. A
    rate is the column `of`, times `scale`, over the latency in seconds. The others come from the bounds. `since` is the
    version of the schema that brought the column.
    """

    summary: str
    count: Callable[[Asked], float | None] | None = None
    of: str | None = None
    scale: float = 1.0
    since: int = 1


METRICS: Mapping[str, Metric] = {
    "paper_cost": Metric(
        "the paper's cost of the layer, times the batch", count=lambda asked: paper_cost(asked.problem)
    ),
    "macs": Metric("multiply–adds of a forward pass", count=lambda asked: macs(asked.problem, asked.scope)),
    "flops": Metric(
        "floating-point operations of the mode", count=lambda asked: flops(asked.problem, asked.scope, asked.mode)
    ),
    "min_bytes": Metric(
        "least bytes that the mode must move",
        count=lambda asked: min_bytes(asked.problem, asked.scope, asked.mode),
    ),
    "images_per_s": Metric("images per second", of="batch"),
    "tflops": Metric("TFLOP/s: flops over latency", of="flops", scale=1e-12),
    "gbps": Metric("GB/s: least bytes over latency", of="min_bytes", scale=1e-9),
    "bound": Metric(
        "which of the operator's four bounds on the GPU is the largest: memory, fp32, exp or issue", since=2
    ),
    "bound_fraction": Metric("that bound over the latency; above 1, the bound's model does not fit", since=2),
    "bound_memory_ms": Metric("the operator's bound by the bytes that it moves, in ms", since=4),
    "bound_arithmetic_ms": Metric("its bound by float32 arithmetic (float64 for float64), in ms", since=4),
    "bound_exp_ms": Metric("its bound by exponentials, in ms", since=4),
    "bound_issue_ms": Metric("its bound by the instructions that are issued, in ms", since=4),
    "aggregation_macs": Metric(
        "of a layer: the paper's cost of similarity and aggregation, its k² term, times the batch",
        count=lambda asked: paper_terms(asked.problem)[1] if asked.scope == "layer" else None,
        since=4,
    ),
    "projections_macs": Metric(
        "of a layer: the paper's cost of the 1×1 convolutions, its C² term, times the batch",
        count=lambda asked: paper_terms(asked.problem)[0] if asked.scope == "layer" else None,
        since=4,
    ),
}
# Both precisions of arithmetic share a column: a case has one of them.
_COLUMN_OF = {"fp32": "arithmetic", "fp64": "arithmetic"}


def counts(asked: Asked) -> dict[str, float]:
    """The metrics that a case has without being run; a yardstick has its own, as it is another function."""
    if asked.implementation in YARDSTICKS:
        return YARDSTICKS[asked.implementation].counts(asked)
    if asked.scope == "network":
        return network_metrics(f"lr_net_{asked.depth}", asked.problem, asked.mode)
    found = {name: metric.count(asked) for name, metric in METRICS.items() if metric.count is not None}
    return {name: count for name, count in found.items() if count is not None}


def work_of(asked: Asked) -> Work | None:
    """What a GPU has to do; None where no bound is known: for layer and network, and for most yardsticks."""
    if asked.implementation in YARDSTICKS:
        return YARDSTICKS[asked.implementation].work(asked)
    return mode_work(asked.problem, asked.mode) if asked.scope == "operator" else None


def rates(row: Mapping[str, Any], latency_ms: float) -> dict[str, float]:
    """The metrics that a latency gives to a row with counts."""
    rated = {name: metric for name, metric in METRICS.items() if metric.of in row}
    return {name: row[str(metric.of)] * metric.scale / latency_ms * 1e3 for name, metric in rated.items()}


def bounded(work: Work | None, chip: Chip | None, cache: str, latency_ms: float) -> dict[str, str | float]:
    """The bound that decides, the share of it, and all bounds; nothing where there is none, or the chip is not known.

    A hot L2 may hold as many of the bytes as fit it, and these do not come from the memory.
    """
    if work is None or chip is None:
        return {}
    held = chip.l2_bytes if cache == "hot" else 0
    bounds = bounds_us(replace(work, bytes=max(0, work.bytes - held)), chip)
    name = largest(bounds)
    if not bounds[name]:
        return {}
    times = {f"bound_{_COLUMN_OF.get(which, which)}_ms": us / 1e3 for which, us in bounds.items()}
    return {"bound": name, "bound_fraction": bounds[name] / (latency_ms * 1e3), **times}
