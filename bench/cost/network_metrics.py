"""What a whole network costs, under the metrics' names. Free of torch."""

from typing import TYPE_CHECKING

from .network_counts import Setting, total_count

if TYPE_CHECKING:
    from ..case.case import Case

# The gradients of a layer's input and of its weights each take as many multiply–adds as its output.
_PASSES = {"forward": 1, "training": 3}


def network_counts(case: "Case", family: str) -> dict[str, float]:
    """Multiply–adds of a forward pass of "lr_net" or "resnet" over the batch, and two operations for each of a mode's.

    Normalisation, softmax, loss and the weights' update are not counted.
    """
    problem = case.problem
    setting = Setting(
        height=problem.height,
        width=problem.width,
        in_channels=problem.channels,
        kernel_size=problem.kernel_size,
        m=problem.m,
        prior="network" if problem.prior else "none",
    )
    macs = problem.batch * total_count(f"{family}_{case.depth}", setting).macs
    return {"macs": macs, "flops": 2 * macs * _PASSES[case.mode]}
