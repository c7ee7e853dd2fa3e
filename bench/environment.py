"""Where and how a run was made: machine, device, versions, code and command."""

import platform
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import psutil
import pynvml
import torch

from .devices import chip_of
from .memory import unmeasurable

_PACKAGES = ("torch", "triton", "numpy", "local-relation")
_REPOSITORY = Path(__file__).resolve().parents[1]


def describe(device: torch.device, command: Sequence[str]) -> dict[str, Any]:
    """What environment.json holds beside its schema version."""
    return {
        "started": datetime.now(UTC).isoformat(timespec="seconds"),
        "argv": list(command),
        "host": {
            "cpu": _cpu_model(),
            "cores": psutil.cpu_count(),
            "threads_used": torch.get_num_threads(),
            "memory_gib": round(psutil.virtual_memory().total / 2**30, 1),
            "system": platform.platform(),
        },
        "device": _device(device),
        "versions": {
            "python": platform.python_version(),
            **{name: _version(name) for name in _PACKAGES},
            "cuda": torch.version.cuda,
        },
        "settings": {"tf32": torch.backends.cudnn.allow_tf32},
        "code": {"git_commit": _git("rev-parse", "HEAD"), "git_dirty": bool(_git("status", "--porcelain"))},
        "notes": [note for note in [unmeasurable(device)] if note],
    }


def device_name(device: torch.device) -> str:
    """The model of the device: a GPU's name, or the CPU's."""
    return torch.cuda.get_device_name(device) if device.type == "cuda" else _cpu_model()


def _device(device: torch.device) -> dict[str, Any]:
    if device.type != "cuda":
        return {"type": device.type, "name": device_name(device)}
    properties = torch.cuda.get_device_properties(device)
    return {
        "type": "cuda",
        "name": properties.name,
        "uuid": str(properties.uuid),
        "capability": f"{properties.major}.{properties.minor}",
        "multiprocessors": properties.multi_processor_count,
        "l2_bytes": properties.L2_cache_size,
        "memory_gib": round(properties.total_memory / 2**30, 1),
        "bounded_as": None if (chip := chip_of(device)) is None else asdict(chip),
        **_driver(),
    }


def _driver() -> dict[str, Any]:
    try:
        pynvml.nvmlInit()
        return {"driver": pynvml.nvmlSystemGetDriverVersion()}
    except pynvml.NVMLError as error:
        return {"driver": None, "driver_unknown": str(error)}


def _cpu_model() -> str:
    path = Path("/proc/cpuinfo")
    lines = path.read_text(encoding="utf-8").splitlines() if path.exists() else []
    named = (line.split(":", 1)[1].strip() for line in lines if line.startswith("model name"))
    return next(named, platform.processor() or platform.machine())


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None


def _git(*arguments: str) -> str | None:
    """What git answers about this checkout, or None where there is no git or no checkout."""
    try:
        answer = subprocess.run(["git", "-C", str(_REPOSITORY), *arguments], capture_output=True, text=True, check=True)
    except (OSError, subprocess.CalledProcessError):
        return None
    return answer.stdout.strip()


def command_line() -> list[str]:
    """The command that runs, as a user types it."""
    return ["python", "-m", "bench", *sys.argv[1:]]
