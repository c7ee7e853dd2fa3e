"""Runs in the formats of other tools. Free of torch."""

import json
import platform
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import typer

from ..errors import RunFolderError
from .comparison import USAGE
from .folder import PARAMETERS
from .intervals import Samples
from .reading import Key, Run, read_run

# The release whose JSON this writes; `pytest-benchmark compare` warns of files of another major version.
_VERSION = "5.0.0"


def export_folder(path: Path, form: str, out: Path | None) -> int:
    """Write a run folder in another tool's format, to a file or to the terminal; return the exit code."""
    try:
        write = exporter(form)
        run = read_run(path)
        exported = write(run)
        text = json.dumps(exported, indent=1) + "\n"
        if out is not None:
            out.write_text(text, encoding="utf-8")
    except (RunFolderError, OSError) as error:
        typer.echo(f"error: {error}", err=True)
        return USAGE
    left_out = len(run.rows) - len(exported["benchmarks"])
    if left_out:
        typer.echo(f"{left_out} of {len(run.rows)} cases have no samples and are left out", err=True)
    typer.echo(text if out is None else f"{len(exported['benchmarks'])} cases are in {out}", nl=out is not None)
    return 0


def pytest_benchmark(run: Run) -> dict[str, Any]:
    """The document that pytest-benchmark stores: a benchmark for each case that has samples, seconds for ms."""
    environment = run.environment
    code, host = environment.get("code") or {}, environment.get("host") or {}
    started = environment.get("started") or datetime.now(UTC).isoformat()
    timed = {key: np.concatenate(turns) for key, turns in run.samples.items() if sum(map(len, turns)) > 1}
    names = _differing(list(timed))
    return {
        "machine_info": {
            "node": "",
            "machine": platform.machine(),
            "python_version": (environment.get("versions") or {}).get("python", ""),
            "cpu": {"brand_raw": host.get("cpu", "")},
            "device": ", ".join(sorted(run.devices)),
        },
        "commit_info": {"id": code.get("git_commit") or "unversioned", "dirty": bool(code.get("git_dirty"))},
        "benchmarks": [
            _benchmark(key, samples, names)
            for key, samples in timed.items()
            if key in run.rows and run.rows[key].get("status") == "ok"
        ],
        "datetime": started,
        "version": _VERSION,
    }


FORMATS: Mapping[str, Callable[[Run], dict[str, Any]]] = {"pytest-benchmark": pytest_benchmark}


def exporter(name: str) -> Callable[[Run], dict[str, Any]]:
    """The function that makes a format's document.

    Raises:
        RunFolderError: There is no such format.
    """
    if name not in FORMATS:
        raise RunFolderError(f"there is no format {name!r}: expected {', '.join(FORMATS)}")
    return FORMATS[name]


def _differing(keys: list[Key]) -> list[str]:
    """The parameters that tell the cases apart."""
    columns = zip(PARAMETERS, zip(*keys, strict=True), strict=False)
    return [name for name, values in columns if len(set(values)) > 1]


def _benchmark(key: Key, samples_ms: Samples, names: list[str]) -> dict[str, Any]:
    parameters = dict(zip(PARAMETERS, key, strict=True))
    param = "-".join(f"{name}={parameters[name]}" for name in names) or parameters["implementation"]
    name = f"{parameters['scope']}[{param}]"
    return {
        "group": f"{parameters['scope']} {parameters['mode']}",
        "name": name,
        "fullname": f"bench::{name}",
        "params": parameters,
        "param": param,
        "extra_info": {},
        "options": {
            "disable_gc": False,
            "timer": "device events or perf_counter",
            "min_rounds": 1,
            "max_time": 0.0,
            "min_time": 0.0,
            "warmup": True,
        },
        "stats": statistics_of(samples_ms / 1e3),
    }


def statistics_of(samples: Samples) -> dict[str, Any]:
    """The statistics that pytest-benchmark keeps of samples in seconds, by its own definitions."""
    data = np.sort(samples)
    half = len(data) // 2
    median, mean, deviation = float(np.median(data)), float(data.mean()), float(data.std(ddof=1))
    # Quartiles: medians of the halves; of an odd number, the mean of those with and without the middle sample.
    lower = float(np.median(data[:half]) + np.median(data[: len(data) - half])) / 2
    upper = float(np.median(data[half:]) + np.median(data[len(data) - half :])) / 2
    fence = 1.5 * (upper - lower)
    inside = data[(data >= lower - fence) & (data <= upper + fence)]
    far = int((np.abs(data - mean) > deviation).sum())
    return {
        "min": float(data[0]),
        "max": float(data[-1]),
        "mean": mean,
        "stddev": deviation,
        "rounds": len(data),
        "median": median,
        "iqr": upper - lower,
        "q1": lower,
        "q3": upper,
        "iqr_outliers": len(data) - len(inside),
        "stddev_outliers": far,
        "outliers": f"{far};{len(data) - len(inside)}",
        "ld15iqr": float(inside[0]),
        "hd15iqr": float(inside[-1]),
        "ops": 1 / mean,
        "total": float(data.sum()),
        "iterations": 1,
        "data": samples.tolist(),
    }
