"""Runs in the formats of other tools. Free of torch."""

import platform
from collections.abc import Mapping
from datetime import UTC, datetime
from importlib.metadata import version
from typing import Any

from pytest_benchmark.stats import Stats

from .columns import PARAMETERS
from .comparing.intervals import devices_of, turns_of
from .reading import Key, Run

# What a case's name leaves out: the same case has the same name in every run, and no other has it.
USUAL: Mapping[str, str] = {
    "kind": "implementation",
    "stride": "1",
    "dilation": "1",
    "composability": "multiplication",
    "padding_mode": "mask",
    "channel_order": "consecutive",
    "prior": "True",
    "dtype": "float32",
    "memory_format": "contiguous",
    "cache": "hot",
    "depth": "",
    "torch_compile": "False",
}


def pytest_benchmark(run: Run) -> dict[str, Any]:
    """The document that pytest-benchmark stores: a benchmark for each case that has samples, seconds for ms."""
    environment = run.environment
    code, host = environment.get("code") or {}, environment.get("host") or {}
    started = environment.get("started") or datetime.now(UTC).isoformat()
    pooled = {key: [sample for turn in turns_of(run, key) for sample in turn.tolist()] for key in run.samples}
    timed = {key: samples for key, samples in pooled.items() if len(samples) > 1}
    return {
        "machine_info": {
            "node": "",
            "machine": platform.machine(),
            "python_version": (environment.get("versions") or {}).get("python", ""),
            "cpu": {"brand_raw": host.get("cpu", "")},
            "device": ", ".join(sorted(devices_of(run))),
        },
        "commit_info": {"id": code.get("git_commit") or "unversioned", "dirty": bool(code.get("git_dirty"))},
        "benchmarks": [
            _benchmark(key, samples)
            for key, samples in timed.items()
            if key in run.rows and run.rows[key].get("status") == "ok"
        ],
        "datetime": started,
        "version": version("pytest-benchmark"),
    }


def _benchmark(key: Key, samples_ms: list[float]) -> dict[str, Any]:
    parameters = dict(zip(PARAMETERS, key, strict=True))
    param = "-".join(f"{name}={value}" for name, value in parameters.items() if USUAL.get(name) != value)
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
        "stats": _statistics(samples_ms),
    }


def _statistics(samples_ms: list[float]) -> dict[str, Any]:
    """The statistics that pytest-benchmark keeps of samples, by its own code and in its own unit, seconds."""
    stats = Stats()
    for sample in samples_ms:
        stats.update(sample / 1e3)
    kept = stats.as_dict()
    return {**kept, "iterations": 1, "data": list(stats.data)}
