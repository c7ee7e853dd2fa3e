"""Rows to report on, and the table of a run that has nothing else."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from bench.results.columns import PARAMETERS, Row

BASE: Mapping[str, Any] = {
    "implementation": "unfold",
    "kind": "implementation",
    "mode": "forward",
    "scope": "operator",
    "batch": 2,
    "channels": 64,
    "height": 28,
    "width": 28,
    "kernel_size": 7,
    "m": 8,
    "stride": 1,
    "padding": 3,
    "dilation": 1,
    "composability": "multiplication",
    "padding_mode": "mask",
    "channel_order": "consecutive",
    "prior": True,
    "dtype": "float32",
    "memory_format": "contiguous",
    "cache": "hot",
    "depth": "",
    "torch_compile": False,
    "device": "cpu",
    "status": "ok",
}


ENVIRONMENT = {
    "argv": ["python", "-m", "bench", "run", "axes"],
    "host": "box",
    "versions": {"torch": "2.13.0"},
}


MakeRun = Callable[..., Path]


def case(latency_ms: float | None = None, **changes: Any) -> Row:
    """A row of the base case with `changes`, measured where a latency is given; padding keeps the size."""
    row: dict[str, Any] = {**dict.fromkeys(PARAMETERS), **BASE, **changes}
    if "padding" not in changes:
        row["padding"] = row["dilation"] * (row["kernel_size"] - 1) // 2
    if latency_ms is not None:
        measured = {
            "latency_ms": latency_ms,
            "latency_p20_ms": latency_ms * 0.9,
            "latency_p80_ms": latency_ms * 1.2,
            "samples": 20,
            "peak_mib": latency_ms * 4,
            "predicted_mib": latency_ms * 2,
            "paper_cost": row["channels"] * (row["channels"] + row["kernel_size"] ** 2) * 784,
            "images_per_s": row["batch"] / latency_ms * 1e3 if latency_ms else None,
        }
        row = {**measured, **row}
    return row


def failed(status: str, reason: str, **changes: Any) -> Row:
    return case(**{**changes, "status": status, "reason": reason})


def sweep(implementations: Mapping[str, float], **changes: Any) -> list[Row]:
    """One-at-a-time rows along k, m and resolution; the latency is k²·resolution/`speed`."""
    points: list[dict[str, Any]] = [{}]
    points += [{"kernel_size": k} for k in (3, 5, 9)]
    points += [{"m": m} for m in (1, 2, 16)]
    points += [{"height": size, "width": size} for size in (7, 14, 56)]
    return [
        case(
            p.get("kernel_size", 7) ** 2 * p.get("height", 28) / speed,
            implementation=name,
            **{**changes, **p},
        )
        for p in points
        for name, speed in implementations.items()
    ]


def table_alone(run: Path) -> Path:
    """The run's results.csv, which is all that a published run keeps of its rows; results.jsonl goes."""
    (run / "results.jsonl").unlink()
    return run / "results.csv"
