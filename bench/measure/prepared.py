"""What cases that pose the same share while they are measured: tensors, and what these give in float64."""

import random
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Protocol

import torch
from torch import Tensor

from kernels import Problem

from ..case.case import Case
from ..device.timing import Call
from .check import TOLERANCES, Error, Expected, Fingerprints, error_of, expect, largest_error
from .prepared_network import PreparedNetworks
from .workloads import BATCHED, Tensors, build, call, draw, draw_anew, layer_parts
from .yardsticks import TIMED

# Elements of one image's windows above which one image is checked after timing.
_LARGE = 2**24


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

    def changed(self) -> str | None:
        """Which inputs are no longer as they were drawn, in a sentence, or None."""

    def renew(self, case: Case) -> None:
        """Write other numbers into the inputs, as many as are checked after timing, until `restore`."""

    def restore(self) -> None:
        """Write back what `renew` has overwritten."""

    def checked(self, case: Case, returned: object) -> Tensors:
        """Copies of what is checked of the results of a timed call, by name."""

    def judge(self, case: Case, copies: Tensors) -> Error:
        """Compare such copies, made of the other numbers, with what these give in float64."""


@dataclass
class PreparedProblem:
    """The tensors of an operator or a layer."""

    problem: Problem
    scope: str
    device: torch.device
    errors: dict[tuple[str, bool, bool], Error] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.tensors: Tensors = draw(self.problem, self.scope, self.device)
        self._drawn = Fingerprints.of(self.tensors)
        self._kept: Tensors = {}

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

    def changed(self) -> str | None:
        """Which of the drawn tensors are not what they were."""
        return self._drawn.changed()

    @cached_property
    def _images(self) -> Tensor:
        """The places of the images that are checked after timing: any two, or one where windows fill much memory."""
        p = self.problem
        large = p.channels * p.kernel_size**2 * p.out_height * p.out_width > _LARGE
        chance = random.Random(repr(p))  # noqa: S311  which images, no secret
        places = chance.sample(range(p.batch), min(p.batch, 1 if large else 2))
        return torch.tensor(sorted(places), device=self.device)

    @cached_property
    def _anew(self) -> tuple[Tensors, Expected]:
        """The other numbers of these images, and what they give in float64."""
        problem = replace(self.problem, batch=len(self._images))
        tensors = draw_anew(problem, self.scope, self.device)
        return tensors, expect(problem, self.scope, tensors)

    def renew(self, case: Case) -> None:
        """Write into the tensors themselves. No other image then adds to a gradient that all images share."""
        for name, numbers in self._anew[0].items():
            tensor = self.tensors[name]
            if name == "grad_out" and not case.backward:
                continue
            if name == "grad_out":
                self._kept[name] = tensor.clone()
                tensor.zero_().index_copy_(0, self._images, numbers)
            elif name in BATCHED:
                self._kept[name] = tensor.index_select(0, self._images)
                tensor.index_copy_(0, self._images, numbers)
            else:
                self._kept[name] = tensor.clone()
                tensor.copy_(numbers)

    def restore(self) -> None:
        """As they were drawn."""
        while self._kept:
            name, numbers = self._kept.popitem()
            if name in BATCHED - {"grad_out"}:
                self.tensors[name].index_copy_(0, self._images, numbers)
            else:
                self.tensors[name].copy_(numbers)

    def checked(self, case: Case, returned: object) -> Tensors:
        """The output or the gradients: of the images that are checked, or of what all images share."""
        names = ["out"] if case.mode == "forward" else [name for name in self.tensors if name != "grad_out"]
        found = dict(zip(names, returned if isinstance(returned, tuple) else (returned,), strict=True))
        batched = {"out", *BATCHED}
        return {
            name: one.detach().index_select(0, self._images) if name in batched else one.detach().clone()
            for name, one in found.items()
        }

    def judge(self, _: Case, copies: Tensors) -> Error:
        """The largest relative error of the copies."""
        expected = self._anew[1]
        references = {name: one for name, one in {"out": expected.out, **expected.grads}.items() if name in copies}
        return Error(largest_error(copies, references), TOLERANCES[self.problem.dtype])


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
