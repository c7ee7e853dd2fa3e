"""The implementations of the operator, and which of them takes a problem."""

from dataclasses import dataclass
from importlib import import_module
from typing import TYPE_CHECKING, Protocol

from .problem import Problem, require_choice

if TYPE_CHECKING:
    from collections.abc import Callable

    import torch
    from torch import Tensor

_loaded: "dict[str, ImplementationModule]" = {}


class ImplementationModule(Protocol):
    """What a module that implements the operator offers."""

    def unsupported(self, problem: Problem, device: "torch.device", *, backward: bool) -> str | None:
        """Return why the problem cannot run on the device, with `backward` gradients included, or None."""

    def extra_bytes(self, problem: Problem, device: "torch.device", *, backward: bool) -> int:
        """Predicted peak of memory above the inputs: the output, and with `backward` the four gradients, included."""

    @property
    def run(self) -> "Callable[..., Tensor]":
        """Take (problem, query, key, value, prior, **options) and return y (N, C, Ho, Wo), differentiable once."""


class TellsSettings(ImplementationModule, Protocol):
    """What a module that has launch settings offers beside."""

    def describe_settings(self, problem: Problem, device: "torch.device", *, backward: bool) -> str:
        """Tell in a line what launch settings a problem is run with."""


class TellsBinary(ImplementationModule, Protocol):
    """What a module that launches binaries of its own offers beside."""

    def describe_binary(self, problem: Problem, device: "torch.device", *, backward: bool) -> str | None:
        """Tell the hash of the binaries that a problem was run with; None where nothing was launched."""


@dataclass(frozen=True)
class Implementation:
    """A module that computes the operator, what it is, and what sets it apart.

    Args:
        name: The module, in `implementations`; it is loaded when it is first asked for.
        summary: What it is, in a line.
        options: Names of the options that it alone takes.
        transformable: Whether it is made of torch's own operators throughout, so that torch.func can transform it and
            it can be differentiated at will.
        has_settings: Whether the module tells by `describe_settings` what launch settings it chose.
        has_binary: Whether it tells by `describe_binary` which binaries ran.
    """

    name: str
    summary: str
    options: frozenset[str] = frozenset()
    transformable: bool = False
    has_settings: bool = False
    has_binary: bool = False

    @property
    def module(self) -> ImplementationModule:
        """The module."""
        found = _loaded.get(self.name)
        return self.load() if found is None else found

    def load(self) -> ImplementationModule:
        """Import the module, which takes torch."""
        module: ImplementationModule = import_module(f".implementations.{self.name}", __package__)
        return _loaded.setdefault(self.name, module)


# From the fastest to the baseline: "auto" takes the first that supports the case. What stands after the baseline,
# which takes every case, is there to be measured beside the others and is never chosen.
IMPLEMENTATIONS = {
    "triton": Implementation(
        "triton_fused",
        "one fused Triton kernel forward, two gather kernels backward",
        has_settings=True,
        has_binary=True,
    ),
    "native": Implementation(
        "native", "C++ for CPUs, forward and backward a pass each, compiled at first use", has_binary=True
    ),
    "compiled": Implementation("compiled", "torch.compile of sums over views of the windows"),
    "chunked": Implementation("chunked", "unfold in chunks under a memory budget", frozenset({"memory_budget"})),
    "unfold": Implementation("unfold", "plain PyTorch, every window unfolded: the baseline", transformable=True),
    "flex": Implementation("flex", "FlexAttention: the window as a block mask, the prior as a score_mod"),
}


def unsupported(name: str, problem: Problem, device: "torch.device | str", *, backward: bool = True) -> str | None:
    """Return why an implementation does not take a problem on a device, or None where it does.

    With `backward` it has to give the gradients too.

    Raises:
        ValueError: There is no implementation of that name.
    """
    require_choice("implementation", name, tuple(IMPLEMENTATIONS))
    return IMPLEMENTATIONS[name].module.unsupported(problem, _device(device), backward=backward)


def predicted_bytes(name: str, problem: Problem, device: "torch.device | str", *, backward: bool) -> int:
    """Predicted peak of memory above the inputs: output, and with `backward` the four gradients, included.

    Raises:
        ValueError: There is no implementation of that name.
    """
    require_choice("implementation", name, tuple(IMPLEMENTATIONS))
    return IMPLEMENTATIONS[name].module.extra_bytes(problem, _device(device), backward=backward)


def describe_settings(name: str, problem: Problem, device: "torch.device | str", *, backward: bool) -> str | None:
    """What an implementation that has launch settings runs a problem with, or None.

    Raises:
        ValueError: There is no implementation of that name.
    """
    require_choice("implementation", name, tuple(IMPLEMENTATIONS))
    if not IMPLEMENTATIONS[name].has_settings:
        return None
    module: TellsSettings = IMPLEMENTATIONS[name].module  # type: ignore[assignment]
    return module.describe_settings(problem, _device(device), backward=backward)


def describe_binary(name: str, problem: Problem, device: "torch.device | str", *, backward: bool) -> str | None:
    """The hash of the binaries that an implementation has run a problem with in this process, or None.

    Raises:
        ValueError: There is no implementation of that name.
    """
    require_choice("implementation", name, tuple(IMPLEMENTATIONS))
    if not IMPLEMENTATIONS[name].has_binary:
        return None
    module: TellsBinary = IMPLEMENTATIONS[name].module  # type: ignore[assignment]
    return module.describe_binary(problem, _device(device), backward=backward)


def resolve(problem: Problem, device: "torch.device | str", *, backward: bool = True) -> str:
    """Name the fastest implementation that supports a problem on a device: what "auto" stands for.

    With `backward` it has to give the gradients too.

    Raises:
        ValueError: None supports it; the message has each one's reason.
    """
    reasons = {}
    for name in IMPLEMENTATIONS:
        reason = unsupported(name, problem, device, backward=backward)
        if reason is None:
            return name
        reasons[name] = reason
    listed = "; ".join(f"{name}: {reason}" for name, reason in reasons.items())
    raise ValueError(f"no implementation supports {problem} on {device}: {listed}")


def _device(device: "torch.device | str") -> "torch.device":
    from torch import device as device_of  # noqa: PLC0415  whoever only reads the table needs no torch

    return device_of(device)
