"""Correctness before timing: an implementation's results against float64."""

from dataclasses import dataclass

import torch
from torch import Tensor

from kernels import Problem

from .workloads import BATCHED, Tensors, Workload, build, image_of

# Relative error ‖a − b‖ / ‖b‖ above which a case is not timed. Zeros score 1, neighbours mixed up about 1.
TOLERANCES = {"float64": 1e-10, "float32": 1e-4, "float16": 1e-2, "bfloat16": 5e-2}

_INTEGERS = {2: torch.int16, 4: torch.int32, 8: torch.int64}


@dataclass(frozen=True)
class Expected:
    """The output and the gradients by name, in float64."""

    out: Tensor
    grads: Tensors


@dataclass(frozen=True)
class Error:
    """How far results are from those in float64, relative to these, and how far they may be."""

    value: float
    tolerance: float


def expect(problem: Problem, scope: str, tensors: Tensors) -> Expected:
    """What a problem gives in float64, image by image so that memory stays small, by `unfold`."""
    outs: list[Tensor] = []
    grads: dict[str, list[Tensor]] = {}
    for index in range(problem.batch):
        image, image_tensors = image_of(problem, tensors, index)
        workload = build(image, scope, image_tensors, "unfold")
        out = workload.forward()
        outs.append(out.detach())
        for name, grad in gradients(workload, out).items():
            grads.setdefault(name, []).append(grad)
    joined = {n: torch.cat(parts) if n in BATCHED else torch.stack(parts).sum(0) for n, parts in grads.items()}
    return Expected(torch.cat(outs), joined)


def gradients(workload: Workload, out: Tensor) -> Tensors:
    """The gradients of a workload's leaves, by name."""
    names, leaves = zip(*workload.leaves.items(), strict=True)
    return dict(zip(names, torch.autograd.grad(out, leaves, workload.grad_out), strict=True))


def error_of(workload: Workload, expected: Expected, *, backward: bool) -> float:
    """The largest relative error of the output and, with `backward`, the gradients; NaN if any result holds one."""
    with torch.set_grad_enabled(backward):
        out = workload.forward()
    grads = gradients(workload, out) if backward else {}
    references = expected.grads if backward else {}
    return largest_error({"out": out.detach(), **grads}, {"out": expected.out, **references})


def largest_error(found: Tensors, expected: Tensors) -> float:
    """The largest relative error ‖a − b‖ / ‖b‖ of tensors by name, b in float64; NaN if any holds one."""
    pairs = [(found[name].double(), reference) for name, reference in expected.items()]
    errors = [(a - b).norm() / b.norm().clamp_min(torch.finfo(b.dtype).tiny) for a, b in pairs]
    return float(torch.stack(errors).max())


@dataclass(frozen=True)
class Fingerprints:
    """Checksums of tensors by name, to find out whether anybody has written into them since."""

    tensors: Tensors
    sums: dict[str, tuple[int, ...]]

    @classmethod
    def of(cls, tensors: Tensors) -> "Fingerprints":
        """The checksums now."""
        return cls(tensors, {name: _sums(tensor) for name, tensor in tensors.items()})

    def changed(self) -> str | None:
        """Which tensors hold other bits than they did, in a sentence, or None."""
        found = [name for name, tensor in self.tensors.items() if _sums(tensor) != self.sums[name]]
        return f"the inputs were changed in place: {' and '.join(found)}" if found else None


def _sums(tensor: Tensor) -> tuple[int, ...]:
    """The sums of a tensor's bits as integers, modulo 2⁶⁴, over either half of its dimensions, weighted by place."""
    bits = tensor.detach().view(_INTEGERS[tensor.element_size()])
    half, sums = max(1, tensor.dim() // 2), []
    for dims in (range(half), range(half, tensor.dim())):
        partial = bits.sum(dim=tuple(dims), dtype=torch.int64).flatten() if dims else bits.flatten().long()
        sums.append(int((partial * torch.arange(1, len(partial) + 1, device=tensor.device)).sum()))
    return tuple(sums)
