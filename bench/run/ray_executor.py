"""The devices of a Ray cluster: an actor on each GPU or, where there is none, on each CPU slot.

An actor holds the slot; cases are measured in a worker of its own, as on this machine. The sources go to every node
with the run, so that all of them measure the same code.
"""

import logging
import os
import secrets
import shutil
import socket
import tempfile
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import ray
import torch
import typer
from ray.exceptions import RayError, RayTaskError
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

from .. import ROOT, SOURCES
from ..case.case import Case
from ..errors import UsageError, WorkerError, in_a_line
from .conduct import Conduct
from .messages import Setup
from .schedule import CaseResult
from .slot import Group, Identity, LocalSlot
from .worker import COMMAND

_RESOURCES = {"cuda": "GPU", "cpu": "CPU"}
_PROBE_SECONDS, _FREE_SECONDS, _OPEN_SECONDS = 5.0, 15.0, 300.0
# Ray adds some 70 letters to the folder's name, and a socket's may have 107.
_LONGEST_FOLDER, _SHORT_FOLDER = 36, "/tmp/ray-local-relation"  # noqa: S108  Ray makes it for one user alone
# An actor that is lost is started anew on its node so often.
_REVIVALS = 2


@dataclass(frozen=True)
class RayExecutor:
    """The GPUs or the CPU slots of a cluster.

    Args:
        device: What a worker measures on, as it sees it.
        nodes: The node of each device.
    """

    device: torch.device
    nodes: Sequence[str]
    mixed: bool = True

    def slots(self, conduct: Conduct, argv: tuple[str, ...], _: Path) -> "list[RaySlot]":
        """A slot for each device."""
        sharing = Counter(self.nodes) if self.device.type == "cpu" else Counter(set(self.nodes))
        setup = Setup(str(self.device), conduct.round_timing(self.device), conduct.memory_mib)
        return [RaySlot(replace(setup, sharing=sharing[node]), conduct, argv, node) for node in self.nodes]


class Holder:
    """What an actor is: a slot in a process of the cluster."""

    def __init__(self, setup: Setup, conduct: Conduct, argv: tuple[str, ...], command: Sequence[str]) -> None:
        self._folder = tempfile.TemporaryDirectory(prefix="local-relation-")
        self._slot = LocalSlot(setup, conduct, argv, Path(self._folder.name, "worker.log"), command)

    def open(self) -> Identity:
        """Start the slot."""
        return self._slot.open()

    def remember(self, cases: Sequence[Case]) -> None:
        """Learn of cases that ran out of memory on the device before."""
        self._slot.remember(cases)

    def measure(self, cases: Group) -> list[CaseResult]:
        """Every case, when the last has ended."""
        return list(self._slot.measure(cases))

    def close(self) -> None:
        """End the worker."""
        with self._folder:
            self._slot.close()


@dataclass(eq=False)
class RaySlot:
    """A slot in an actor of one node.

    The node is by its ID; all else as in `LocalSlot`.
    """

    setup: Setup
    conduct: Conduct
    argv: tuple[str, ...]
    node: str
    command: Sequence[str] = COMMAND
    _actor: Any = None
    _remembered: Sequence[Case] = ()
    _revivals: int = _REVIVALS
    _stopped: bool = False

    def __post_init__(self) -> None:
        resources = {"num_cpus": 1} if self.setup.device == "cpu" else {"num_gpus": 1, "num_cpus": 0}
        affinity = NodeAffinitySchedulingStrategy(self.node, soft=False)
        self._kind = ray.remote(Holder).options(scheduling_strategy=affinity, **resources)

    def open(self) -> Identity:
        """Start the actor and its slot.

        Raises:
            DeviceInUse: Another benchmark has the GPU.
            WorkerError: The node or the actor is lost.
        """
        self._actor = self._kind.remote(self.setup, self.conduct, self.argv, self.command)
        identity: Identity = self._answer(self._actor.open.remote(), _OPEN_SECONDS)
        return identity

    def remember(self, cases: Sequence[Case]) -> None:
        """Learn of cases that ran out of memory on the device before."""
        self._remembered = cases
        self._answer(self._actor.remember.remote(cases))

    def measure(self, cases: Group) -> Iterator[CaseResult]:
        """Every case, when the last has ended.

        Raises:
            WorkerError: The node or the actor is lost, and nothing of the group was measured.
        """
        yield from self._answer(self._actor.measure.remote(cases))

    def revive(self) -> bool:
        """Start another actor on the same node, if that lives."""
        self._revivals -= 1
        if self._revivals < 0 or self._stopped:
            return False
        try:
            self.open()
            self.remember(self._remembered)
        except WorkerError:
            return False
        return True

    def stop(self) -> None:
        """Kill the actor, and its worker with it."""
        self._stopped = True
        if self._actor is not None:
            ray.kill(self._actor)

    def close(self) -> None:
        """End the actor."""
        if self._actor is not None and not self._stopped:
            with suppress(WorkerError):  # one that is lost has ended already
                self._answer(self._actor.close.remote())
            ray.kill(self._actor)

    def _answer(self, reference: Any, seconds: float | None = None) -> Any:
        try:
            return ray.get(reference, timeout=seconds)
        except RayTaskError as error:
            cause = error.cause
            raise cause if isinstance(cause, (UsageError, WorkerError)) else WorkerError(str(cause)) from None
        except RayError as error:
            raise WorkerError(f"Ray's node {self.node[:8]}: {in_a_line(error)}") from None


def ray_executor(device: str, devices: str | None, address: str | None) -> RayExecutor:
    """The cluster at an address, and its GPUs, or its CPU slots where it has none or the CPU is asked for.

    Raises:
        UsageError: Nobody answers there, it has no such devices, or some of them are in use.
    """
    if devices is not None:
        raise UsageError("--devices chooses among this machine's: with --executor ray, all of the cluster's are used")
    if device not in ("auto", *_RESOURCES):
        raise UsageError(f"with --executor ray, --device is auto, cpu or cuda; got {device!r}")
    _connect(address or "auto")
    kinds = [device] if device != "auto" else list(_RESOURCES)
    for kind in kinds:
        counts = {n["NodeID"]: int(n["Resources"].get(_RESOURCES[kind], 0)) for n in ray.nodes() if n["Alive"]}
        slots = [node for node, count in counts.items() for _ in range(count)]
        if slots:
            _require_free(_RESOURCES[kind], len(slots))
            return RayExecutor(torch.device(kind), slots)
    raise UsageError(f"the Ray cluster has no {' and no '.join(_RESOURCES[kind] for kind in kinds)}")


def _connect(address: str) -> None:
    """Join the cluster, or start one on this machine for "local", with this checkout's sources.

    Raises:
        UsageError: Nobody answers at the address.
    """
    if ray.is_initialized():
        return
    os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
    if address == "local":
        # Ray guards a new cluster by a token; given none, it leaves one in the user's home, where others take it.
        os.environ.setdefault("RAY_AUTH_TOKEN", secrets.token_hex(16))
    known = os.environ.get("RAY_ADDRESS", "") if address == "auto" else address
    if known and address != "local":
        _require_answer(known)
    with tempfile.TemporaryDirectory(prefix="local-relation-") as folder:
        for name in SOURCES:
            shutil.copytree(ROOT / name, Path(folder, name), ignore=shutil.ignore_patterns("__pycache__"))
        try:
            ray.init(
                address,
                runtime_env={"working_dir": folder},
                include_dashboard=False if address == "local" else None,
                log_to_driver=False,
                logging_level=logging.ERROR,
                _temp_dir=_ray_folder() if address == "local" else None,
            )
        except (ConnectionError, RuntimeError, RayError, SystemExit) as error:
            hint = "if it wants a token, RAY_AUTH_MODE=token has to be set here too"
            raise UsageError(f"no Ray cluster answers at --address {address}: {in_a_line(error)}; {hint}") from None


def _ray_folder() -> str | None:
    """Where a new cluster keeps its sockets: Ray's own choice, or a short name where TMPDIR is too long for them."""
    if len(tempfile.gettempdir()) <= _LONGEST_FOLDER:
        return None
    typer.echo(f"warning: TMPDIR is too long for Ray's sockets, which go to {_SHORT_FOLDER}", err=True)
    return _SHORT_FOLDER


def _require_answer(address: str) -> None:
    """Refuse an address where nobody listens, at once: Ray tries for two minutes, and then ends the process."""
    host, separator, port = address.rpartition(":")
    if not separator or not port.isdecimal():
        raise UsageError(f"--address is auto, HOST:PORT or local, got {address!r}")
    try:
        socket.create_connection((host, int(port)), _PROBE_SECONDS).close()
    except (OSError, OverflowError) as error:
        raise UsageError(f"no Ray cluster answers at --address {address}: {error}") from None


def _require_free(resource: str, count: int) -> None:
    """Refuse a cluster that is at work for somebody else: actors would wait, and disturb each other."""
    end = time.monotonic() + _FREE_SECONDS  # what the last run had is free a moment after it
    while (free := int(ray.available_resources().get(resource, 0))) < count:
        if time.monotonic() > end:
            raise UsageError(f"{count - free} of the Ray cluster's {count} {resource}s are in use by somebody else")
        time.sleep(0.2)
