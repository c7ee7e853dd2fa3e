"""The implementations of the operator, and which of them takes a problem."""

from dataclasses import dataclass
from importlib import import_module
from typing import Any, Protocol, cast

import torch
from torch import Tensor

from .problem import Problem, require_choice


class ImplementationModule(Protocol):
    """What a module that implements the operator offers."""

    def unsupported(self, problem: Problem, device: torch.device) -> str | None:
        """Return why the problem cannot run on the device, or None."""

    def extra_bytes(self, problem: Problem, device: torch.device, *, backward: bool) -> int:
        """Predicted peak of memory above the inputs: the output, and with `backward` the four gradients, included."""

    def run(
        self,
        problem: Problem,
        query: Tensor,
        key: Tensor,
        value: Tensor,
        prior: Tensor | None,
        **options: Any,
    ) -> Tensor:
        """y (N, C, Ho, Wo), differentiable once."""


@dataclass(frozen=True)
class Implementation:
    """A module of this package that computes the operator, loaded when it is first asked for."""

    module: str
    summary: str
    options: frozenset[str] = frozenset()

    def load(self) -> ImplementationModule:
        """Import the module."""
        return cast("ImplementationModule", import_module(f".{self.module}", __package__))


# From the fastest to the baseline: "auto" takes the first that supports the case.
IMPLEMENTATIONS = {
    "triton": Implementation("triton_fused", "one fused Triton kernel forward, two gather kernels backward"),
    "compiled": Implementation("compiled", "torch.compile of sums over views of the windows"),
    "chunked": Implementation("chunked", "unfold in chunks under a memory budget", frozenset({"memory_budget"})),
    "unfold": Implementation("unfold", "plain PyTorch, every window unfolded: the baseline"),
}


def unsupported(name: str, problem: Problem, device: torch.device | str) -> str | None:
    """Return why an implementation does not take a problem on a device, or None where it does.

    Raises:
        ValueError: There is no implementation of that name.
    """
    require_choice("implementation", name, tuple(IMPLEMENTATIONS))
    return IMPLEMENTATIONS[name].load().unsupported(problem, torch.device(device))


def predicted_bytes(name: str, problem: Problem, device: torch.device | str, *, backward: bool) -> int:
    """Predicted peak of memory above the inputs: output, and with `backward` the four gradients, included.

    Raises:
        ValueError: There is no implementation of that name.
    """
    require_choice("implementation", name, tuple(IMPLEMENTATIONS))
    return IMPLEMENTATIONS[name].load().extra_bytes(problem, torch.device(device), backward=backward)


def resolve(problem: Problem, device: torch.device | str) -> str:
    """Name the fastest implementation that supports a problem on a device: what "auto" stands for.

    Raises:
        ValueError: None supports it; the message has each one's reason.
    """
    reasons = {name: unsupported(name, problem, device) for name in IMPLEMENTATIONS}
    for name, reason in reasons.items():
        if reason is None:
            return name
    listed = "; ".join(f"{name}: {reason}" for name, reason in reasons.items())
    raise ValueError(f"no implementation supports {problem} on {device}: {listed}")
