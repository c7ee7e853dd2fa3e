"""Runs as a GPU would leave them, made up: cold and hot, bounded, out of memory, throttled, with networks."""

import json
from collections.abc import Iterable, Mapping, Sequence
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from bench.results.columns import SCHEMA_VERSION
from bench.results.folder import RunFolder

DEVICE = "NVIDIA H200"
_L2, _MEMORY_MIB = 50 * 2**20, 141_000
_BOUNDS = ("memory", "fp32", "exp", "issue")
_MODES = {"forward": 1.0, "backward": 2.6, "forward_backward": 3.6}
# Of each implementation: µs to start, share of the bound at its best, bytes of workspace per tap, pixel and channel.
_MAKES = {
    "unfold": (40, 0.03, 6.0),
    "chunked": (150, 0.04, 0.4),
    "triton": (9, 0.7, 0.0),
    "compiled": (14, 0.22, 0.1),
    "flex": (25, 0.18, 0.3),
}
_BASE: Mapping[str, Any] = {
    "kind": "implementation",
    "scope": "operator",
    "mode": "forward",
    "batch": 64,
    "channels": 200,
    "height": 28,
    "kernel_size": 7,
    "m": 8,
    "stride": 1,
    "dilation": 1,
    "composability": "multiplication",
    "padding_mode": "mask",
    "channel_order": "consecutive",
    "prior": True,
    "dtype": "bfloat16",
    "memory_format": "channels_last",
    "cache": "cold",
    "depth": "",
    "torch_compile": False,
    "device": DEVICE,
}
_AXES: Mapping[str, Sequence[int]] = {
    "kernel_size": (3, 5, 9, 13),
    "m": (1, 2, 4, 16, 32),
    "channels": (64, 512, 1024),
    "height": (7, 14, 56, 112, 224, 448),
    "stride": (2, 4),
    "batch": (1, 16, 256, 1024),
}
_STAGES = ((64, 224, 2), (100, 56, 1), (400, 14, 1), (800, 7, 1))


def environment(**changes: Any) -> dict[str, Any]:
    """What environment.json of such a run holds."""
    checks = [{"name": "clock", "verdict": "WARN", "found": "1755 MHz of 1980", "advice": "lock the clocks"}]
    doctor = {"noise_floor": 0.013, "roofs": {"copy": 4.1e12, "fma": 3.1e13, "exp": 3.9e12}, "checks": checks}
    return {
        "schema_version": SCHEMA_VERSION,
        "started": "2026-11-22T12:00:00+00:00",
        "argv": ["python", "-m", "bench", "run", "gpu", "--out", "runs/a b"],
        "host": {"cpu": "Xeon", "cores": 16},
        "device": {
            "type": "cuda",
            "name": DEVICE,
            "l2_bytes": _L2,
            "roofs": {"copy": "measured", "fma": "measured", "exp": "data sheet"},
        },
        "doctor": doctor,
        "versions": {"python": "3.12.1", "torch": "2.11.0", "triton": "3.6.0", "cuda": "12.9"},
        "code": {"git_commit": "0123456789abcdef0123", "git_dirty": False},
        "notes": [],
        **changes,
    }


def points() -> list[dict[str, Any]]:
    """One axis at a time and the stages, in two scopes, cold and hot, and two dtypes."""
    sizes: list[dict[str, Any]] = [{}, *({name: value} for name, values in _AXES.items() for value in values)]
    stages = [{"channels": c, "height": h, "stride": s} for c, h, s in _STAGES]
    settings: list[dict[str, Any]] = [{"cache": cache} for cache in ("cold", "hot")]
    settings += [{"dtype": "float32"}]
    found = [{**size, **setting} for setting in settings for size in (*sizes, *stages)]
    return [*found, *({**stage, "scope": "layer"} for stage in ({}, *stages))]


def grid(count: int) -> list[dict[str, Any]]:
    """So many points and a few more, a product of axes."""
    axes: dict[str, Sequence[int]] = {
        "kernel_size": (3, 5, 7, 9, 11, 13),
        "m": (1, 2, 4, 8, 16, 32),
        "channels": (64, 128, 256, 512),
        "height": (7, 14, 28, 56, 112),
        "stride": (1, 2),
    }
    inner = int(np.prod([len(values) for values in axes.values()]))
    axes["batch"] = [2 * n for n in range(1, -(-count // inner) + 1)]
    return [dict(zip(axes, values, strict=True)) for values in product(*axes.values())]


def table(
    sizes: Iterable[Mapping[str, Any]], makes: Sequence[str] = tuple(_MAKES), modes: Sequence[str] = tuple(_MODES)
) -> pd.DataFrame:
    """Rows of every point by the implementations and modes, measured by a model with a little noise."""
    asked = pd.DataFrame(
        [{**_BASE, **size, "implementation": make, "mode": mode} for size in sizes for make in makes for mode in modes]
    )
    asked["width"] = asked["height"]
    asked["padding"] = (asked["kernel_size"] - 1) // 2
    return _measured(asked)


def _counted(rows: pd.DataFrame) -> dict[str, pd.Series]:
    """What there is to do, under the names of the columns; a layer's 1×1 convolutions as `projections_macs`."""
    n, c, k, m, s = (rows[name] for name in ("batch", "channels", "kernel_size", "m", "stride"))
    pixels, work = n * (rows["height"] // s) ** 2, rows["mode"].map(_MODES)
    layer = (rows["scope"] == "layer") * c * (c + 2 * c / m) * pixels
    macs = k**2 * (c + c / m) * pixels + layer
    return {
        "paper_cost": ((1 + s**2) / m + 1) * c * (c + k**2) * n * rows["height"] ** 2 / s**2,
        "macs": macs,
        "flops": 2 * macs * work,
        "min_bytes": pixels * (2 * c + 2 * c / m) * _itemsize(rows) * work,
        "projections_macs": layer,
    }


def _bounded(rows: pd.DataFrame, counts: Mapping[str, pd.Series]) -> dict[str, pd.Series]:
    """The four bounds, under the names of the columns."""
    n, c, k, m, s = (rows[name] for name in ("batch", "channels", "kernel_size", "m", "stride"))
    macs, work = counts["macs"], rows["mode"].map(_MODES)
    exps = k**2 * c / m * n * (rows["height"] // s) ** 2
    held = (rows["cache"] == "hot") * _L2
    return {
        "bound_memory_ms": (counts["min_bytes"] - held).clip(lower=0) / 4.1e9,
        "bound_arithmetic_ms": macs * work / 3.1e10,
        "bound_exp_ms": exps * work / 3.9e9,
        "bound_issue_ms": (macs / 1.6 + 9 * exps) * work / 3.1e10,
    }


def _itemsize(rows: pd.DataFrame) -> pd.Series:
    return rows["dtype"].map({"bfloat16": 2, "float32": 4})


def _measured(rows: pd.DataFrame) -> pd.DataFrame:
    rng = np.random.default_rng(0)
    n, c, k, s = (rows[name] for name in ("batch", "channels", "kernel_size", "stride"))
    pixels, work = n * (rows["height"] // s) ** 2, rows["mode"].map(_MODES)
    counts = _counted(rows)
    bounds, layer = _bounded(rows, counts), counts.pop("projections_macs")
    times = pd.DataFrame(bounds)
    start, share, workspace = (
        rows["implementation"].map({name: make[i] for name, make in _MAKES.items()}) for i in range(3)
    )
    latency = (start / 1e3 + times.max(axis=1) / share) * rng.lognormal(0, 0.03, len(rows))
    peak = (pixels * c * _itemsize(rows) * (1 + work) + workspace * pixels * c * k**2 * work) / 2**20
    lost = peak > _MEMORY_MIB
    predicted = peak * rng.lognormal(0.05, 0.05, len(rows))
    throttled = rng.random(len(rows)) < 0.02
    operator = rows["scope"] == "operator"
    measured: dict[str, Any] = {
        "latency_ms": latency,
        "latency_p20_ms": latency * 0.98,
        "latency_p80_ms": latency * 1.04,
        "latency_low_ms": latency * 0.99,
        "latency_high_ms": latency * 1.015,
        "samples": rng.integers(20, 200, len(rows)),
        "outliers": rng.integers(0, 4, len(rows)),
        "stop": rng.choice(["interval", "seconds"], len(rows)),
        "timer": "graph",
        "host_ms": np.full(len(rows), 0.02),
        "peak_mib": peak,
        "tainted": throttled,
        "throttle": np.where(throttled, "power_cap", "none"),
        "images_per_s": n / latency * 1e3,
        "tflops": counts["flops"] / latency / 1e9,
        "gbps": counts["min_bytes"] / latency / 1e6,
        "bound": times.idxmax(axis=1).map(dict(zip(bounds, _BOUNDS, strict=True))).where(operator),
        "bound_fraction": (times.max(axis=1) / latency).where(operator),
        **{name: bound.where(operator) for name, bound in bounds.items()},
        "aggregation_ms": (0.6 * latency).where(~operator),
        "projections_ms": (0.35 * latency).where(~operator),
        "aggregation_macs": (counts["macs"] - layer).where(~operator),
        "projections_macs": layer.where(~operator),
    }
    found = rows.assign(predicted_mib=predicted)
    for name, column in {**counts, **measured}.items():
        found[name] = column
    found[[*measured]] = found[[*measured]].astype(object).where(~lost, None)
    found["status"] = np.where(lost, "out_of_memory", "ok")
    found["reason"] = pd.Series("CUDA out of memory", rows.index).where(lost)
    return found


def yardsticks(rows: pd.DataFrame) -> pd.DataFrame:
    """A convolution and a copy beside the implementations."""
    beside = rows[(rows["implementation"] == "triton") & (rows["scope"] == "operator")].assign(kind="yardstick")
    columns = ["latency_ms", "latency_low_ms", "latency_high_ms", "latency_p20_ms", "latency_p80_ms"]
    conv = beside.assign(implementation="conv3x3", bound=None, bound_fraction=None, paper_cost=None)
    copy = beside.assign(implementation="copy", bound="memory", bound_fraction=0.92, paper_cost=None)
    for found, share in ((conv, 0.3), (copy, 0.1)):
        found[columns] *= share
    return pd.concat([conv, copy], ignore_index=True)


def networks() -> pd.DataFrame:
    """LR-Nets beside ResNets, at inference and in training."""
    rows = []
    for depth, compiled, (mode, cost) in product((26, 50, 101), (False, True), (("forward", 1), ("training", 3.2))):
        for name, speed in {"resnet": 1.0, "triton": 0.93 if compiled else 0.8, "unfold": 0.05}.items():
            latency = cost * depth * 0.4 / speed / (1.2 if compiled else 1)
            one = {**_BASE, "implementation": name, "scope": "network", "mode": mode, "depth": depth}
            one |= {"kind": "yardstick" if name == "resnet" else "implementation", "torch_compile": compiled}
            one |= {"channels": None, "kernel_size": None, "m": None, "stride": None, "dilation": None, "height": 224}
            one |= {
                "width": 224,
                "status": "ok",
                "latency_ms": latency,
                "latency_low_ms": latency,
                "latency_high_ms": latency,
            }
            one |= {"images_per_s": 64e3 / latency, "peak_mib": depth * 200 / speed, "largest_batch": int(2000 * speed)}
            rows.append(one)
    return pd.DataFrame(rows)


def write(folder: Path, rows: pd.DataFrame, about: Mapping[str, Any]) -> Path:
    """Write rows as a run folder, at once."""
    folder.mkdir(parents=True)
    run = RunFolder(folder)
    # Whole numbers are written as such, as a run does.
    rows.convert_dtypes().to_csv(run.csv_path, index=False)
    run.environment_path.write_text(json.dumps(about), encoding="utf-8")
    return folder


def gpu_run(folder: Path) -> Path:
    """A run with something for every section."""
    rows = table(points())
    # One timer was wrong: nothing is faster than its bound.
    rows.loc[rows.index[2], "bound_fraction"] = 1.4
    return write(folder, pd.concat([rows, yardsticks(rows), networks()], ignore_index=True), environment())
