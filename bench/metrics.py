"""The metrics that follow from a case and its latency. Free of torch; a new one is an entry here."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from .complexity import flops, macs, min_bytes, paper_cost

if TYPE_CHECKING:
    from .cases import Case


@dataclass(frozen=True)
class Metric:
    """A column of the results: its meaning with its unit, and its value for a case.

    A function of `case` alone is a count that every row has; one that also takes the latency in seconds needs one.
    """

    summary: str
    count: Callable[["Case"], float] | None = None
    rate: Callable[["Case", float], float] | None = None


METRICS = {
    "paper_cost": Metric("the paper's cost of the layer, times the batch", count=lambda case: paper_cost(case.problem)),
    "macs": Metric("multiply–adds of a forward pass", count=lambda case: macs(case.problem, case.scope)),
    "flops": Metric(
        "floating-point operations of the mode", count=lambda case: flops(case.problem, case.scope, case.mode)
    ),
    "min_bytes": Metric(
        "least bytes that the mode must move",
        count=lambda case: min_bytes(case.problem, case.scope, case.mode),
    ),
    "images_per_s": Metric("images per second", rate=lambda case, seconds: case.problem.batch / seconds),
    "tflops": Metric(
        "TFLOP/s: flops over latency",
        rate=lambda case, seconds: flops(case.problem, case.scope, case.mode) / seconds / 1e12,
    ),
    "gbps": Metric(
        "GB/s: least bytes over latency",
        rate=lambda case, seconds: min_bytes(case.problem, case.scope, case.mode) / seconds / 1e9,
    ),
}


def counts(case: "Case") -> dict[str, float]:
    """The metrics that a case has without being run."""
    return {name: metric.count(case) for name, metric in METRICS.items() if metric.count is not None}


def rates(case: "Case", latency_ms: float) -> dict[str, float]:
    """The metrics that a case's latency gives."""
    return {name: metric.rate(case, latency_ms / 1e3) for name, metric in METRICS.items() if metric.rate is not None}
