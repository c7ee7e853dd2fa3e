"""What is known of a case before it runs: whether it can, and the memory that it takes."""

import torch

from kernels import predicted_bytes, resolve, unsupported

from ..case.case import Case
from ..case.networks import layer_problems, network_bytes, network_refusal
from ..cost.complexity import ITEMSIZE

_MIB = 2**20


def refusal(case: Case, device: torch.device) -> str | None:
    """Return why a case cannot run on a device, or None."""
    if case.cache == "cold" and device.type != "cuda":
        return "the caches of a CPU are not flushed: there, cache is hot"
    if case.yardstick is not None:
        scopes = case.yardstick.scopes
        return None if case.scope in scopes else f"{case.implementation} is a yardstick of scope {' and '.join(scopes)}"
    if case.scope == "network":
        return network_refusal(
            case.problem,
            case.depth,
            case.implementation,
            device,
            backward=case.backward,
            compiled=case.torch_compile,
        )
    return unsupported(case.implementation, case.problem, device, backward=case.backward)


def taken_by_auto(case: Case, device: torch.device) -> bool:
    """Whether it is the case's implementation that "auto" stands for, in all layers of a network."""
    problems = layer_problems(case.problem, case.depth) if case.scope == "network" else [case.problem]
    return {resolve(one, device, backward=case.backward) for one in problems} == {case.implementation}


def predicted_mib(case: Case, device: torch.device) -> float:
    """The peak of memory above the inputs that the implementation predicts; a layer adds its convolutions' tensors.

    For a network it is that of the relation operators alone: the largest of them or, in training, all together.
    """
    problem = case.problem
    if case.scope == "network":
        needed = network_bytes(problem, case.depth, case.implementation, device, backward=case.backward)
        return needed / _MIB
    needed = predicted_bytes(case.implementation, problem, device, backward=case.backward)
    if case.scope == "layer":
        out_pixels = problem.batch * problem.out_height * problem.out_width
        in_pixels = problem.batch * problem.height * problem.width
        maps = out_pixels * (problem.groups + problem.channels) + in_pixels * problem.groups
        needed += maps * ITEMSIZE[problem.dtype] * (2 if case.backward else 1)
    return needed / _MIB
