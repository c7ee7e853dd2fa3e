"""Where cases are measured: on this machine's devices, each with a worker that sees no other, or a Ray cluster's."""

import os
from collections.abc import Sequence
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Protocol

import torch

from ..device.device import require_device, warn_of
from ..device.fitness import require_fit
from ..errors import UsageError
from .conduct import Conduct
from .messages import Setup
from .slot import LocalSlot, Slot

NAMES = ("local", "ray")
LOG = "worker.log"


class Executor(Protocol):
    """Some devices, alike in type, that cases can be measured on."""

    @property
    def device(self) -> torch.device:
        """A device as the cases know it; it may be another machine's."""

    @property
    def mixed(self) -> bool:
        """Whether the devices may be others when the run is resumed."""

    def slots(self, conduct: Conduct, argv: tuple[str, ...], folder: Path) -> Sequence[Slot]:
        """A slot on each of the devices; logs are written to the folder."""


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

    def slots(self, conduct: Conduct, argv: tuple[str, ...], folder: Path) -> list[LocalSlot]:
        """A slot on each device."""
        sharing = sum(seat.device == "cpu" for seat in self.seats) or 1
        timing, names = conduct.round_timing(self.device), self._logs()
        return [
            LocalSlot(
                Setup(seat.device, timing, conduct.memory_mib, seat.visible, sharing), conduct, argv, folder / log
            )
            for seat, log in zip(self.seats, names, strict=True)
        ]

    def _logs(self) -> list[str]:
        return [LOG] if len(self.seats) == 1 else [f"worker-{number}.log" for number in range(len(self.seats))]


def executor_of(name: str, device: str, devices: str | None, address: str | None) -> Executor:
    """The executor of a name on what is asked for.

    Args:
        name: "local" or "ray".
        device: One device: auto, cpu, cuda or cuda:N.
        devices: Several of this machine: all, or numbers as 0,2; or cpu.
        address: Ray's cluster: auto, HOST:PORT or local.

    Raises:
        UsageError: There is no such executor or device, nobody answers, or Ray is not installed.
    """
    if name not in NAMES:
        raise UsageError(f"there is no executor {name!r}: there are {', '.join(NAMES)}")
    if name == "local":
        return local_executor(device, devices, address)
    try:
        ray = import_module(".ray_executor", __package__)
    except ModuleNotFoundError as error:
        if error.name != "ray":
            raise
        raise UsageError("--executor ray needs Ray, which is not installed: pip install ray") from None
    found: Executor = ray.ray_executor(device, devices, address)
    return found


def local_executor(device: str, devices: str | None, address: str | None) -> LocalExecutor:
    """The devices of this machine that are asked for.

    Raises:
        UsageError: One of them is not here, or two things are asked for.
    """
    if address is not None:
        raise UsageError("--address is Ray's: it needs --executor ray")
    if devices is None:
        return LocalExecutor([Seat(str(require_device(device)))])
    if device != "auto":
        raise UsageError(f"--device {device} and --devices {devices} exclude each other")
    return LocalExecutor(_seats(devices))


def _seats(devices: str) -> list[Seat]:
    """What --devices names."""
    if devices == "cpu":
        return [Seat("cpu")]
    visible = _visible()
    if devices == "all":
        if not visible:
            raise UsageError("--devices all means all GPUs, and there is no cuda device here; --devices cpu is the CPU")
        return _fit(range(len(visible)), visible)
    words = devices.split(",")
    if not all(word.isdecimal() for word in words):
        raise UsageError(f"--devices takes all, cpu, or numbers of GPUs as 0,2; got {devices!r}")
    missing = [word for word in words if int(word) >= len(visible)]
    if missing:
        raise UsageError(f"device {missing[0]} is not here: there are {len(visible)} cuda devices, counted from 0")
    if len({int(word) for word in words}) < len(words):
        raise UsageError(f"--devices {devices} names a device twice")
    return _fit([int(word) for word in words], visible)


def _fit(numbers: Sequence[int], visible: Sequence[str]) -> list[Seat]:
    """Seats on GPUs of those that are visible, all of which can be measured."""
    warn_of(require_fit(numbers))
    return [Seat("cuda", visible[number]) for number in numbers]


def _visible() -> list[str]:
    """The GPUs that this process sees, as CUDA_VISIBLE_DEVICES names each."""
    names, count = os.environ.get("CUDA_VISIBLE_DEVICES"), torch.cuda.device_count()
    return [str(number) for number in range(count)] if names is None else names.split(",")[:count]
