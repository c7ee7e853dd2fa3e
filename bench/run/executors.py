"""Where cases are measured: on the devices of this machine, or on those of a Ray cluster."""

from collections.abc import Mapping, Sequence
from importlib import import_module
from pathlib import Path
from typing import Protocol

import torch

from ..errors import UsageError
from .place import Place
from .slot import Plan, Station

_MODULES: Mapping[str, str] = {"local": "bench.run.local_executor", "ray": "bench.run.ray_executor"}


class Executor(Protocol):
    """Some devices, alike in type, that cases can be measured on."""

    @property
    def device(self) -> torch.device:
        """A device as the cases know it; it may be another machine's."""

    @property
    def mixed(self) -> bool:
        """Whether the devices may be others when the run is resumed."""

    def stations(self, plan: Plan, folder: Path) -> Sequence[Station]:
        """A station on each of the devices; logs are written to the folder."""


def executor_of(place: Place) -> Executor:
    """The executor that a place names.

    Raises:
        UsageError: There is no such executor or device, nobody answers, or Ray is not installed.
    """
    if place.executor not in _MODULES:
        raise UsageError(f"there is no executor {place.executor!r}: there are {', '.join(_MODULES)}")
    try:
        module = import_module(_MODULES[place.executor])
    except ModuleNotFoundError as error:
        if error.name != "ray":
            raise
        raise UsageError("--executor ray needs Ray, which is not installed: pip install ray") from None
    found: Executor = module.executor_at(place)
    return found
