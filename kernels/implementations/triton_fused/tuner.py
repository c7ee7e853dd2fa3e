"""One fused kernel of a problem under any launch settings, for a search to time."""

from collections.abc import Callable
from dataclasses import asdict, replace
from pathlib import Path

from torch import Tensor

from ...problem import Problem
from .settings import KERNELS, Kernel, Settings, alternatives
from .tuned import remember, settings_of

Operands = tuple[Tensor, Tensor, Tensor, Tensor | None]


class FusedTuner:
    """The fused kernel of a problem, its settings, and what else they could be.

    Args:
        kernel: "forward", "query" or "key".
        problem: The problem that the tensors pose.
        operands: Query (N, G, Ho, Wo), key (N, G, H, W), value (N, C, H, W), and prior (G, k, k) or None.
        grad_out: (N, C, Ho, Wo).
    """

    kernels = KERNELS
    fields = tuple(Settings.__dataclass_fields__)

    def __init__(self, kernel: Kernel, problem: Problem, operands: Operands, grad_out: Tensor) -> None:
        self.kernel, self.problem = kernel, problem
        self.settings = settings_of(kernel, problem, grad_out.device)
        self._launch = _launcher(kernel, problem, operands, grad_out)

    def neighbours(self, settings: Settings, field: str) -> list[Settings]:
        """The settings that differ from these in one field."""
        values = alternatives(self.kernel, self.problem, field)
        return [replace(settings, **{field: value}) for value in values if value != asdict(settings)[field]]

    def launch(self, settings: Settings) -> tuple[Tensor, ...]:
        """Run the kernel; the tensors that it computes."""
        return self._launch(settings)

    @staticmethod
    def remember(problem: Problem, device_name: str, found: dict[Kernel, Settings]) -> Path:
        """Let every later use of these kernels on this model of GPU take these settings; the file they are kept in."""
        return remember(problem, device_name, found)


def _launcher(
    kernel: Kernel, problem: Problem, operands: Operands, grad_out: Tensor
) -> Callable[[Settings], tuple[Tensor, ...]]:
    from .launch import as_inputs, as_pixels, launch_forward, launch_key_side, launch_query_side
    from .plans import Launch, Plan, plan_of

    plan = plan_of(problem, grad_out.device)
    inputs, (grad,) = as_inputs(plan, *operands), as_pixels(grad_out)

    def under(settings: Settings) -> Plan:
        if kernel == "forward":
            return replace(plan, saving=Launch(kernel, problem, settings, plan.device, SAVE_SOFTMAX=True))
        launch = Launch(kernel, problem, settings, plan.device)
        return replace(plan, query=launch) if kernel == "query" else replace(plan, key=launch)

    if kernel == "forward":
        return lambda settings: launch_forward(under(settings), inputs, save_softmax=True)
    out, softmax = launch_forward(plan, inputs, save_softmax=True)
    if kernel == "query":
        return lambda settings: launch_query_side(under(settings), inputs, out, grad, softmax)
    *_, mean = launch_query_side(plan, inputs, out, grad, softmax)
    return lambda settings: launch_key_side(under(settings), inputs, grad, softmax, mean)
