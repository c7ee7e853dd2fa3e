"""What a case of a whole network asks of each of LR-Net's layers, and why it may be refused."""

from dataclasses import replace
from functools import cache
from typing import TYPE_CHECKING

from kernels import Problem, predicted_bytes, unsupported

from ..cost.network_counts import relation_layers
from ..results.columns import DEPTHS

if TYPE_CHECKING:
    import torch

LEAST_SIDE = 32
# Why torch.compile cannot take a whole network by an implementation.
_BREAKS_GRAPH = {"flex": "flex is compiled on its own, and breaks the graph of torch.compile of the whole network"}


def require_network(problem: Problem, depth: int, mode: str) -> None:
    """Refuse what is no network's problem.

    Raises:
        ValueError: There is no such depth, a size is the network's own and set to something else, the image is too
            small, or training has nothing to normalise over.
    """
    if depth not in DEPTHS:
        raise ValueError(f"scope network needs a depth of {', '.join(map(str, DEPTHS))}, got {depth or 'none'}")
    same = problem.dilation * (problem.kernel_size - 1) // 2
    for name, own in (("stride", 1), ("padding", same)):
        if getattr(problem, name) != own:
            raise ValueError(f"in scope network each layer has its own {name}, got {name} {getattr(problem, name)}")
    size = f"{problem.height}×{problem.width}"
    if min(problem.height, problem.width) < LEAST_SIDE:
        raise ValueError(f"a network needs an image of {LEAST_SIDE}×{LEAST_SIDE} pixels at least, got {size}")
    values = problem.batch * -(-problem.height // LEAST_SIDE) * -(-problem.width // LEAST_SIDE)
    if mode == "training" and values < 2:
        raise ValueError(
            f"training normalises over at least 2 values of a channel, and one image of {size} leaves 1 in the last "
            "stage: take more or larger images"
        )
    layer_problems(problem, depth)


@cache
def layer_problems(problem: Problem, depth: int) -> tuple[Problem, ...]:
    """The problem of each local relation layer of a network, from the first to the last.

    Raises:
        ValueError: A layer does not take the options.
    """
    return tuple(
        replace(problem, channels=channels, height=height, width=width, stride=stride)
        for channels, (height, width), stride in relation_layers(f"lr_net_{depth}", (problem.height, problem.width))
    )


def network_refusal(
    problem: Problem, depth: int, implementation: str, device: "torch.device", *, backward: bool, compiled: bool
) -> str | None:
    """Return why an implementation does not take one of a network's layers, or torch.compile not its network, or None.

    `backward`: gradients are taken. `compiled`: by torch.compile of the whole network.
    """
    if compiled and implementation in _BREAKS_GRAPH:
        return _BREAKS_GRAPH[implementation]
    for layer in dict.fromkeys(layer_problems(problem, depth)):
        reason = unsupported(implementation, layer, device, backward=backward)
        if reason is not None:
            return f"{reason} (the layer of {layer.channels} channels at {layer.height}×{layer.width})"
    return None


def network_bytes(problem: Problem, depth: int, implementation: str, device: "torch.device", *, backward: bool) -> int:
    """What a network's local relation operators are predicted to take: the largest of them, or with `backward` all."""
    layers = layer_problems(problem, depth)
    needed = [predicted_bytes(implementation, layer, device, backward=backward) for layer in layers]
    return sum(needed) if backward else max(needed)
