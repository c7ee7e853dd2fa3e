"""Where and how a run was made: machine, device, versions, code and command."""

import os
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
import torch

from .. import ROOT, WORDS
from .calibration import bounding_chip, kept
from .device import cpu_model, device_name, tf32
from .nvml import gpu_state, telemetry_of
from .resources import unmeasurable

_PACKAGES = ("torch", "triton", "numpy", "local-relation")
_GOVERNOR = Path("/sys/devices/system/cpu/cpu0/cpufreq/scaling_governor")
_VARIABLES = (
    *("CUDA_", "CUBLAS_", "CUDNN_", "NVIDIA_", "TORCH", "PYTORCH_", "TRITON_"),
    *("OMP_", "KMP_", "GOMP_", "MKL_", "OPENBLAS_", "XDG_CACHE_HOME"),
)
_SECRETS = ("TOKEN", "SECRET", "PASSWORD", "KEY", "CREDENTIAL")


def describe(device: torch.device, command: Sequence[str]) -> dict[str, Any]:
    """What environment.json holds beside its schema version."""
    return {
        "started": datetime.now(UTC).isoformat(timespec="seconds"),
        "argv": list(command),
        "host": {
            "name": platform.node(),
            "cpu": cpu_model(),
            "governor": governor(),
            "cores": psutil.cpu_count(),
            "threads_used": torch.get_num_threads(),
            "memory_gib": round(psutil.virtual_memory().total / 2**30, 1),
            "system": platform.platform(),
        },
        "device": _device(device),
        "doctor": kept(device),
        "versions": {
            "python": platform.python_version(),
            **{name: _version(name) for name in _PACKAGES},
            "cuda": torch.version.cuda,
        },
        "settings": {"tf32": tf32()},
        "variables": relevant_variables(),
        "code": checkout(),
        "notes": [note for note in [unmeasurable(device)] if note],
    }


def checkout() -> dict[str, Any]:
    """The commit of this checkout, None where there is none, and whether files differ from it."""
    return {"git_commit": _git("rev-parse", "HEAD"), "git_dirty": bool(_git("status", "--porcelain"))}


def _device(device: torch.device) -> dict[str, Any]:
    if device.type != "cuda":
        return {"type": device.type, "name": device_name(device)}
    properties, (chip, roofs) = torch.cuda.get_device_properties(device), bounding_chip(device)
    return {
        "type": "cuda",
        "name": properties.name,
        "uuid": str(properties.uuid),
        "capability": f"{properties.major}.{properties.minor}",
        "multiprocessors": properties.multi_processor_count,
        "l2_bytes": properties.L2_cache_size,
        "memory_gib": round(properties.total_memory / 2**30, 1),
        "bounded_as": None if chip is None else asdict(chip),
        "roofs": roofs,
        **gpu_state(telemetry_of(device)),
    }


def governor() -> str | None:
    """How the first core's clock is governed; None where the machine does not say, as in a virtual one."""
    return _GOVERNOR.read_text(encoding="utf-8").strip() if _GOVERNOR.exists() else None


def relevant_variables() -> dict[str, str]:
    """The environment variables that may change what is measured, nothing that looks like a secret among them."""
    return {
        name: value
        for name, value in sorted(os.environ.items())
        if name.startswith(_VARIABLES) and not any(word in name for word in _SECRETS)
    }


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None


def _git(*arguments: str) -> str | None:
    """What git answers about this checkout, or None where there is none of this project's own, or no git."""
    if not (ROOT / ".git").exists():  # an unpacked archive may lie inside another repository
        return None
    try:
        answer = subprocess.run(["git", "-C", str(ROOT), *arguments], capture_output=True, text=True, check=True)
    except (OSError, subprocess.CalledProcessError):
        return None
    return answer.stdout.strip()


def command_line() -> list[str]:
    """The command that runs, as a user types it."""
    return [*WORDS, *sys.argv[1:]]
