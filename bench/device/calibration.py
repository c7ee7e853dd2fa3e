"""What `python -m bench doctor` found of a device: kept in the user's cache folder, with the roofs that bounds take."""

import json
import os
import tempfile
import warnings
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch

from .. import SUITE
from ..cost.chips import Chip
from ..errors import UsageError
from .device import chip_of, device_name

FORMAT = 1
# A roof measured outside these shares of the data sheet's says that the measurement or the data sheet is wrong.
PLAUSIBLE = (0.3, 1.05)


def path_of(device: torch.device) -> Path:
    """The file of a device: a GPU's by its UUID, a CPU's by its model."""
    own = str(torch.cuda.get_device_properties(device).uuid) if device.type == "cuda" else device_name(device)
    name = "".join(letter if letter.isalnum() else "-" for letter in own.lower())
    return _cache() / "local-relation" / f"doctor-{device.type}-{name}.json"


def _cache() -> Path:
    """The user's cache folder; that for temporary files where the user has no home."""
    try:
        return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    except RuntimeError:
        return Path(tempfile.gettempdir(), f"cache-{os.getuid()}")


def require_writable(device: torch.device) -> Path:
    """The file that a device's calibration will be kept in.

    Raises:
        UsageError: It cannot be written.
    """
    path = path_of(device)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=path.parent):
            pass
    except OSError as error:
        raise UsageError(
            f"{path.parent} cannot be written, where the calibration is kept: {error.strerror}; "
            "set XDG_CACHE_HOME to a folder that can"
        ) from None
    return path


def keep(device: torch.device, calibration: Mapping[str, Any]) -> Path:
    """Write a calibration whole, in place of the last."""
    path = require_writable(device)
    whole = path.with_suffix(f".{os.getpid()}")
    whole.write_text(json.dumps({"format": FORMAT, **calibration}, indent=2) + "\n", encoding="utf-8")
    whole.replace(path)
    return path


def kept(device: torch.device) -> dict[str, Any] | None:
    """The last calibration of a device, None where there is none; one that cannot be read is named and left."""
    path = path_of(device)
    try:
        return _parsed(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return None
    except (OSError, ValueError, TypeError, KeyError) as error:
        warnings.warn(f"{path} is not used: {error}; `{SUITE} doctor` makes it anew", stacklevel=2)
        return None


def _parsed(text: str) -> dict[str, Any]:
    content = json.loads(text)
    if content["format"] != FORMAT:
        raise ValueError(f"format {content['format']}, expected {FORMAT}")
    return dict(content)


def rates_of(chip: Chip) -> dict[str, float]:
    """What a data sheet says of each roof, per second."""
    units = chip.units
    return {
        "copy": chip.dram_tbps * 1e12,
        "fma": chip.per_us(units.fp32) * 1e6,
        "exp": (chip.exp_per_us or chip.per_us(units.exp)) * 1e6,
    }


def with_roofs(chip: Chip, roofs: Mapping[str, float]) -> tuple[Chip, dict[str, str]]:
    """A chip with the roofs that were measured and are plausible, and for each roof where it is from.

    The rate of multiply–adds gives the clock, by which instructions are issued too.
    """
    sheet, (low, high) = rates_of(chip), PLAUSIBLE
    good = {name: rate for name, rate in roofs.items() if name in sheet and low <= rate / sheet[name] <= high}
    if "copy" in good:
        chip = replace(chip, dram_tbps=good["copy"] / 1e12)
    if "fma" in good:
        chip = replace(chip, clock_ghz=good["fma"] / (chip.units.fp32 * chip.multiprocessors * 1e9))
    chip = replace(chip, exp_per_us=good.get("exp", sheet["exp"]) / 1e6)
    return chip, {name: "measured" if name in good else "data sheet" for name in sheet}


def bounding_chip(device: torch.device) -> tuple[Chip | None, dict[str, str]]:
    """The chip by which a device's times are bounded, with the doctor's roofs, and where each roof is from."""
    chip = chip_of(device)
    if chip is None:
        return None, {}
    return with_roofs(chip, (kept(device) or {}).get("roofs", {}))


def summary(device: torch.device) -> str:
    """One line on what a run on the device can rely on."""
    found = kept(device)
    if found is None:
        return f"doctor: not run on this device, so noise and roofs are not measured: {SUITE} doctor"
    floor, (_, sources) = found.get("noise_floor"), bounding_chip(device)
    noise = "the noise floor is not known" if floor is None else f"noise floor {floor:.1%}"
    roofs = ", ".join(f"{name} {source}" for name, source in sources.items())
    return f"doctor: of {found['measured']}, {noise}" + (f"; roofs: {roofs}" if roofs else "")
