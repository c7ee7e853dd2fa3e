"""What cases that pose the same share while they are measured: tensors, and what these give in float64."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Protocol

import torch
from torch import Tensor

from kernels import Problem

from ..case.case import Case
from ..device.timing import Call
from .check import TOLERANCES, Error, Expected, error_of, expect
from .prepared_network import PreparedNetworks
from .workloads import Tensors, build, call, draw, layer_parts
from .yardsticks import TIMED


class Prepared(Protocol):
    """Tensors on a device, of which each case makes what is timed and what is checked."""

    errors: dict[tuple[str, bool, bool], Error]

    def inputs(self, case: Case) -> Iterable[Tensor]:
        """The tensors that are there before a case is called."""

    def timed(self, case: Case) -> Call:
        """What is timed."""

    def parts(self, case: Case) -> dict[str, Call]:
        """The parts of a case that are timed apart, under the names that their columns begin with."""

    def error(self, case: Case) -> Error:
        """Compare a case's results with those in float64."""


@dataclass
class PreparedProblem:
    """The tensors of an operator or a layer."""

    problem: Problem
    scope: str
    device: torch.device
    errors: dict[tuple[str, bool, bool], Error] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.tensors: Tensors = draw(self.problem, self.scope, self.device)

    @cached_property
    def expected(self) -> Expected:
        """What the tensors give in float64."""
        return expect(self.problem, self.scope, self.tensors)

    def inputs(self, _: Case) -> Iterable[Tensor]:
        """The drawn tensors, the same for every case."""
        return self.tensors.values()

    def timed(self, case: Case) -> Call:
        """The operator or the layer in the case's mode."""
        return call(build(self.problem, self.scope, self.tensors, case.implementation), case.mode)

    def parts(self, case: Case) -> dict[str, Call]:
        """Of a layer the operator and the 1×1 convolutions."""
        if self.scope != "layer":
            return {}
        workloads = layer_parts(self.problem, self.tensors, case.implementation)
        return {
            name: one_after_another([call(one, case.mode) for one in of_part]) for name, of_part in workloads.items()
        }

    def error(self, case: Case) -> Error:
        """The largest relative error of the output and, where gradients are taken, of these."""
        workload = build(self.problem, self.scope, self.tensors, case.implementation)
        return Error(error_of(workload, self.expected, backward=case.backward), TOLERANCES[self.problem.dtype])


def prepare(case: Case, device: torch.device) -> Prepared:
    """What a case and all that pose the same need on a device."""
    if case.scope == "network":
        return PreparedNetworks(case.problem, case.depth, device)
    return PreparedProblem(case.problem, case.scope, device)


def callable_of(case: Case, device: torch.device, prepared: Callable[[Case], Prepared] | None = None) -> Call:
    """What is timed of a case: a yardstick, or what follows from its tensors, which `prepared` may have already."""
    if case.implementation in TIMED:
        return TIMED[case.implementation](case, device)
    return (prepare(case, device) if prepared is None else prepared(case)).timed(case)


def one_after_another(calls: Sequence[Call]) -> Call:
    """A call of several, one after the other."""
    return lambda: [one() for one in calls]
