"""Launch settings that a search found faster than the heuristic's, kept per GPU in the user's cache folder."""

import json
import os
import warnings
from dataclasses import asdict
from functools import cache
from pathlib import Path
from typing import Any

import torch

from ...plain import forget
from ...problem import Problem
from .settings import KERNELS, Kernel, Settings, has_pairs, heuristic

# To be raised when a change of the kernels makes old findings worthless.
_FORMAT = 2
# What a search found for one batch serves others; how tensors lie in memory is no matter once the kernels run.
_IGNORED = frozenset({"batch", "memory_format"})


def settings_of(kernel: Kernel, problem: Problem, device: torch.device) -> Settings:
    """The settings that a kernel runs with on a device: those a search found, else the heuristic's."""
    pairs = False
    if device.type == "cuda":
        found = _read(path_of(torch.cuda.get_device_name(device))).get(_key(kernel, problem))
        if found is not None:
            return found
        pairs = has_pairs(torch.cuda.get_device_capability(device))
    return heuristic(kernel, problem, pairs=pairs)


def remember(problem: Problem, device_name: str, found: dict[Kernel, Settings]) -> Path:
    """Keep what a search found for a problem; return the file, which other processes read from their next start on."""
    path = path_of(device_name)
    entries = {key: asdict(settings) for key, settings in _read(path).items()}
    entries |= {_key(kernel, problem): asdict(settings) for kernel, settings in found.items()}
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_suffix(f".{os.getpid()}")
    partial.write_text(json.dumps({"format": _FORMAT, "settings": entries}, indent=1) + "\n", encoding="utf-8")
    partial.replace(path)
    _read.cache_clear()
    forget()
    return path


def path_of(device_name: str) -> Path:
    """The file for a model of GPU, in the user's cache folder."""
    folder = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    name = "".join(letter if letter.isalnum() else "-" for letter in device_name.lower())
    return folder / "local-relation" / f"settings-{name}.json"


@cache
def _read(path: Path) -> dict[str, Settings]:
    """The settings in a file, none where there is no file; a file of another format or damaged is named and left."""
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        return _parse(content)
    except FileNotFoundError:
        return {}
    except (OSError, ValueError, TypeError, KeyError) as error:
        warnings.warn(f"{path} is not used, launch settings are the heuristic's: {error}", stacklevel=2)
        return {}


def _parse(content: dict[str, Any]) -> dict[str, Settings]:
    if content["format"] != _FORMAT:
        raise ValueError(f"format {content['format']}, expected {_FORMAT}; the suite's command `tune` makes it anew")
    return {key: Settings(**fields) for key, fields in content["settings"].items()}


def _key(kernel: Kernel, problem: Problem) -> str:
    if kernel not in KERNELS:
        raise ValueError(f"kernel must be one of {', '.join(KERNELS)}, got {kernel!r}")
    fields = {name: value for name, value in asdict(problem).items() if name not in _IGNORED}
    return " ".join([kernel, *(f"{name}={value}" for name, value in fields.items())])
