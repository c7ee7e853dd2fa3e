"""The devices of this machine, each with a worker that sees no other."""

import os
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import torch

from ..errors import UsageError
from .place import Place
from .slot import LocalStation, Plan

LOG = "worker.log"


@dataclass(frozen=True)
class Seat:
    """A device for a worker: its name there, and the only GPU that the worker sees; all of them if None."""

    device: str
    visible: str | None = None


@dataclass(frozen=True)
class LocalExecutor:
    """Some devices of this machine."""

    seats: Sequence[Seat]
    mixed: bool = False

    @property
    def device(self) -> torch.device:
        """The first device."""
        return torch.device(self.seats[0].device)

    def stations(self, plan: Plan, folder: Path) -> list[LocalStation]:
        """A station on each device."""
        sharing = sum(seat.device == "cpu" for seat in self.seats) or 1
        stations = []
        for number, seat in enumerate(self.seats):
            setup = replace(plan.setup, device=seat.device, visible=seat.visible, sharing=sharing)
            log = LOG if len(self.seats) == 1 else f"worker-{number}.log"
            stations.append(LocalStation(replace(plan, setup=setup), folder / log))
        return stations


def executor_at(place: Place) -> LocalExecutor:
    """The devices that a place names.

    Raises:
        UsageError: One of them is not here, or the place says two things.
    """
    if place.address is not None:
        raise UsageError("--address is Ray's: it needs --executor ray")
    if place.devices is None:
        return LocalExecutor([Seat(str(require_device(place.device)))])
    if place.device != "auto":
        raise UsageError(f"--device {place.device} and --devices {place.devices} exclude each other")
    return LocalExecutor(_seats(place.devices))


def require_device(name: str) -> torch.device:
    """The device of a name, the first GPU or else the CPU for "auto".

    Raises:
        UsageError: There is no such device here.
    """
    # Counted through the driver's library, without CUDA: this process must not be ended by what happens there.
    count = torch.cuda.device_count()
    if name == "auto":
        return torch.device("cuda" if count else "cpu")
    try:
        device = torch.device(name)
    except RuntimeError:
        raise UsageError(f"there is no device {name!r}: expected auto, cpu, cuda or cuda:N") from None
    if device.type not in ("cpu", "cuda") or (device.type == "cuda" and (device.index or 0) >= count):
        raise UsageError(f"device {name!r} is not here: there are cpu and {count} cuda devices")
    return device


def _seats(devices: str) -> list[Seat]:
    """What --devices names."""
    if devices == "cpu":
        return [Seat("cpu")]
    visible = _visible()
    if devices == "all":
        if not visible:
            raise UsageError("--devices all means all GPUs, and there is no cuda device here; --devices cpu is the CPU")
        return [Seat("cuda", name) for name in visible]
    words = devices.split(",")
    if not all(word.isdecimal() for word in words):
        raise UsageError(f"--devices takes all, cpu, or numbers of GPUs as 0,2; got {devices!r}")
    missing = [word for word in words if int(word) >= len(visible)]
    if missing:
        raise UsageError(f"device {missing[0]} is not here: there are {len(visible)} cuda devices, counted from 0")
    if len({int(word) for word in words}) < len(words):
        raise UsageError(f"--devices {devices} names a device twice")
    return [Seat("cuda", visible[int(word)]) for word in words]


def _visible() -> list[str]:
    """The GPUs that this process sees, as CUDA_VISIBLE_DEVICES names each."""
    names, count = os.environ.get("CUDA_VISIBLE_DEVICES"), torch.cuda.device_count()
    return [str(number) for number in range(count)] if names is None else names.split(",")[:count]
