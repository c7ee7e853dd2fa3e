"""How far a case has come from the baseline to its bound: what needs the rows of a run side by side."""

from collections.abc import Mapping

from .columns import PARAMETERS, Row

_BASELINE = "unfold"
_PLACE = PARAMETERS.index("implementation")


def score(latency_ms: float, bound_ms: float, baseline_ms: float) -> float | None:
    """1 / (1 + (t − bound)/(baseline − bound)): 1 at the bound, 1/2 at the baseline; None where these make no scale."""
    if baseline_ms <= bound_ms:
        return None
    below = 1 + (latency_ms - bound_ms) / (baseline_ms - bound_ms)
    return 1 / below if below > 0 else None


def fill_scores(rows: Mapping[tuple[str, ...], Row]) -> None:
    """Write each row's score, where it has a bound and the baseline's row of the same case has a time."""
    for key, row in rows.items():
        baseline = rows.get((*key[:_PLACE], _BASELINE, *key[_PLACE + 1 :]), {})
        times = [_positive(one.get(name)) for one, name in ((row, "latency_ms"), (baseline, "latency_ms"))]
        share = _positive(row.get("bound_fraction"))
        known = row.get("kind") == "implementation" and row.get("status") == baseline.get("status") == "ok"
        latency, of_baseline = times
        row["score"] = None
        if known and latency is not None and of_baseline is not None and share is not None:
            row["score"] = score(latency, share * latency, of_baseline)


def _positive(value: object) -> float | None:
    return float(value) if isinstance(value, int | float) and 0 < value < float("inf") else None
