"""A case as tensors and callables: random inputs, and the forward, backward or both that is timed."""

import zlib
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import conv2d

from kernels import LocalRelation2d, Problem, local_relation

Tensors = dict[str, Tensor]

_OPTIONS = (
    "kernel_size",
    "m",
    "stride",
    "padding",
    "dilation",
    "composability",
    "padding_mode",
    "channel_order",
)
MEMORY_FORMATS = {"contiguous": torch.contiguous_format, "channels_last": torch.channels_last}
# The tensors that hold one entry per image; the others (prior, weights) belong to the whole batch.
BATCHED = frozenset({"query", "key", "value", "input", "grad_out"})


@dataclass(frozen=True)
class Workload:
    """A forward pass, the tensors whose gradients are taken by name, and the gradient of its output."""

    forward: Callable[[], Tensor]
    leaves: Tensors
    grad_out: Tensor


def draw(problem: Problem, scope: str, device: torch.device) -> Tensors:
    """Random tensors of a problem: N(0, 1), weights of 1×1 convolutions as N(0, 1/C). The same for the same problem."""
    return _drawn(problem, scope, device, repr((problem, scope)))


def draw_anew(problem: Problem, scope: str, device: torch.device) -> Tensors:
    """Other tensors of the same kind, to check results after timing."""
    return _drawn(problem, scope, device, repr(("anew", problem, scope)))


def _drawn(problem: Problem, scope: str, device: torch.device, seed: str) -> Tensors:
    generator = torch.Generator(device).manual_seed(zlib.crc32(seed.encode()))

    def normal(*shape: int, scale: float = 1.0) -> Tensor:
        return torch.randn(shape, generator=generator, device=device).mul_(scale)

    n, c, g, k = problem.batch, problem.channels, problem.groups, problem.kernel_size
    image, output = (problem.height, problem.width), (problem.out_height, problem.out_width)
    if scope == "layer":
        tensors = {
            "input": normal(n, c, *image),
            "key.weight": normal(g, c, 1, 1, scale=c**-0.5),
            "query.weight": normal(g, c, 1, 1, scale=c**-0.5),
            "output.weight": normal(c, c, 1, 1, scale=c**-0.5),
        }
        prior = {"prior.table": normal(g, k, k)}
    else:
        tensors = {"query": normal(n, g, *output), "key": normal(n, g, *image), "value": normal(n, c, *image)}
        prior = {"prior": normal(g, k, k)}
    tensors |= {"grad_out": normal(n, c, *output)} | (prior if problem.prior else {})
    dtype, memory_format = getattr(torch, problem.dtype), MEMORY_FORMATS[problem.memory_format]
    return {
        name: tensor.to(dtype=dtype, memory_format=memory_format if name in BATCHED else torch.preserve_format)
        for name, tensor in tensors.items()
    }


def build(problem: Problem, scope: str, tensors: Tensors, implementation: str) -> Workload:
    """The workload of an implementation over drawn tensors."""
    leaves = {name: t.detach().requires_grad_() for name, t in tensors.items() if name != "grad_out"}
    options: dict[str, Any] = {name: getattr(problem, name) for name in _OPTIONS}
    if scope == "layer":
        forward = _layer(problem, leaves, {**options, "implementation": implementation})
    else:
        prior = leaves.get("prior")
        query, key, value = leaves["query"], leaves["key"], leaves["value"]

        def forward() -> Tensor:
            return local_relation(query, key, value, prior, implementation=implementation, **options)

    return Workload(forward, leaves, tensors["grad_out"])


def _layer(problem: Problem, leaves: Tensors, options: dict[str, Any]) -> Callable[[], Tensor]:
    source = leaves["input"]
    layer = LocalRelation2d(problem.channels, prior="table" if problem.prior else "none", device="meta", **options)
    weights = {name: torch.nn.Parameter(t) for name, t in leaves.items() if name != "input"}
    layer.load_state_dict(weights, assign=True)
    leaves.update(layer.named_parameters())
    return lambda: layer(source)


def layer_parts(problem: Problem, tensors: Tensors, implementation: str) -> dict[str, list[Workload]]:
    """The layer of drawn tensors in its parts, each over its own inputs: the operator, and the three 1×1 convolutions.

    In backward the convolutions' gradients of the input are not added to each other and to the operator's.
    """
    x, (rows, columns) = tensors["input"], problem.centres
    weights = {name: tensors[f"{name}.weight"] for name in ("key", "query", "output")}
    with torch.no_grad():
        maps = {
            "query": conv2d(x[:, :, rows, columns], weights["query"]),
            "key": conv2d(x, weights["key"]),
            "value": x,
            **({"prior": tensors["prior.table"]} if problem.prior else {}),
        }
        operator = build(problem, "operator", {**maps, "grad_out": tensors["grad_out"]}, implementation)
        relation = operator.forward()

    def convolution(source: Tensor, name: str, places: tuple[slice, ...], grad_out: Tensor) -> Workload:
        leaves = {"input": source.detach().requires_grad_(), "weight": weights[name].detach().requires_grad_()}
        return Workload(lambda: conv2d(leaves["input"][places], leaves["weight"]), leaves, grad_out)

    projections = [
        convolution(x, "query", (slice(None), slice(None), rows, columns), maps["query"]),
        convolution(x, "key", (), maps["key"]),
        convolution(relation, "output", (), tensors["grad_out"]),
    ]
    return {"aggregation": [operator], "projections": projections}


def image_of(problem: Problem, tensors: Tensors, index: int) -> tuple[Problem, Tensors]:
    """One image of a problem, in float64."""
    double = {
        name: (tensor[index : index + 1] if name in BATCHED else tensor).double() for name, tensor in tensors.items()
    }
    return replace(problem, batch=1, dtype="float64"), double


def call(workload: Workload, mode: str) -> Callable[[], object]:
    """What is timed in a mode; for "backward" the forward pass is made here, once, and its graph kept."""
    leaves = tuple(workload.leaves.values())

    def forward() -> Tensor:
        with torch.no_grad():
            return workload.forward()

    def forward_backward() -> tuple[Tensor, ...]:
        return torch.autograd.grad(workload.forward(), leaves, workload.grad_out)

    if mode == "backward":
        out = workload.forward()
        return lambda: torch.autograd.grad(out, leaves, workload.grad_out, retain_graph=True)
    return {"forward": forward, "forward_backward": forward_backward}[mode]
