"""What drives torch beside ordinary calls: compilers, transforms, modes, tracers; each makes an operator's results."""

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Any

import torch
from torch import Tensor
from torch.autograd import forward_ad
from torch.fx.experimental.proxy_tensor import make_fx
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.checkpoint import CheckpointPolicy, checkpoint, create_selective_checkpoint_contexts
from torch.utils.flop_counter import FlopCounterMode

from kernels import local_relation
from tests.support.cases import Case, Inputs, differentiated
from tests.support.oracle import QUANTITIES

# Ragged groups; small, for the interpreter's sake.
CASE = Case(batch=3, channels=5, m=3, height=4, width=2)
OTHER_SIZES = (replace(CASE, batch=2, height=5, width=3), replace(CASE, batch=1, height=7, width=4))

Operator = Callable[..., Tensor]
Results = dict[str, Tensor]
Driver = Callable[[Operator, Inputs], Results]


def relation(implementation: str) -> Operator:
    """The operator on query, key, value and prior."""
    return lambda *operands: local_relation(*operands, implementation=implementation, **CASE.keywords)


def differential(operator: Operator, inputs: Inputs) -> Callable[..., tuple[Tensor, ...]]:
    """Operands → output and all gradients, by torch.func."""

    def output_and_gradients(*operands: Tensor) -> tuple[Tensor, ...]:
        found: Any = torch.func.vjp(operator, *operands)
        output, pull = found
        return output, *pull(inputs.grad)

    return output_and_gradients


def gradients_by_transform(operator: Operator, inputs: Inputs) -> Results:
    return dict(zip(QUANTITIES, differential(operator, inputs)(*inputs.operands), strict=True))


def gradients_by_compiled_transform(operator: Operator, inputs: Inputs) -> Results:
    found = torch.compile(differential(operator, inputs), backend="aot_eager", fullgraph=True)(*inputs.operands)
    return dict(zip(QUANTITIES, found, strict=True))


def tangents(operator: Operator, inputs: Inputs) -> Operator:
    """The prior → the prior's gradient, forwards."""
    return torch.func.jacfwd(lambda prior: (operator(*inputs.operands[:3], prior) * inputs.grad).sum())


def gradient_forwards(operator: Operator, inputs: Inputs) -> Results:
    return {"prior": tangents(operator, inputs)(inputs.prior)}


def gradient_compiled_forwards(operator: Operator, inputs: Inputs) -> Results:
    return {"prior": torch.compile(tangents(operator, inputs), backend="aot_eager", fullgraph=True)(inputs.prior)}


def dual_numbers_compiled(operator: Operator, inputs: Inputs) -> Results:
    """Forward mode around what is compiled: the gradient in one direction."""
    assert inputs.prior is not None
    direction = torch.zeros_like(inputs.prior)
    direction[0, 0, 0] = 1
    with forward_ad.dual_level():
        prior = forward_ad.make_dual(inputs.prior, direction)
        output = torch.compile(operator, backend="aot_eager", fullgraph=True)(*inputs.operands[:3], prior)
        tangent = forward_ad.unpack_dual(output).tangent
    assert tangent is not None, "the tangent was lost"
    return {"output": output, "prior[0, 0, 0]": (tangent * inputs.grad).sum()}


def over_a_batch(operator: Operator, inputs: Inputs) -> Results:
    stacked = [None if x is None else x[None] for x in inputs.operands]
    return {"output": torch.func.vmap(operator)(*stacked)[0]}


def over_a_batch_compiled(operator: Operator, inputs: Inputs) -> Results:
    stacked = [None if x is None else x[None] for x in inputs.operands]
    return {"output": torch.compile(torch.func.vmap(operator), backend="aot_eager", fullgraph=True)(*stacked)[0]}


def batched_gradients(operator: Operator, inputs: Inputs) -> Results:
    """Several of the output's gradients at once: torch.autograd.functional.jacobian(vectorize=True) asks so."""
    leaves = [x.detach().requires_grad_() for x in inputs.operands if x is not None]
    output = operator(*leaves)
    found = torch.autograd.grad(output, leaves, inputs.grad[None], is_grads_batched=True)
    return dict(zip(QUANTITIES, [output.detach(), *(x[0] for x in found)], strict=True))


class Seen(TorchDispatchMode):
    """Looks at every operator of torch, and changes none."""

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        return func(*args, **(kwargs or {}))


class Called(TorchFunctionMode):
    """Looks at every call of torch's functions, and changes none."""

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        return func(*args, **(kwargs or {}))


class Marked(Tensor):
    """A tensor of a user's own."""


def under(mode: Callable[[], Any]) -> Driver:
    """Forward and backward under a mode, whose end leaves ordinary calls as they were."""

    def drive(operator: Operator, inputs: Inputs) -> Results:
        with mode():
            results = differentiated(operator, inputs)
        after = differentiated(operator, inputs)
        torch.testing.assert_close(after, results)
        return after

    return drive


def checkpointed(operator: Operator, inputs: Inputs) -> Results:
    """Recomputed in backward but for what a policy keeps, which torch does in modes."""
    contexts = partial(create_selective_checkpoint_contexts, lambda *_, **__: CheckpointPolicy.PREFER_RECOMPUTE)

    def recomputed(*operands: Tensor) -> Tensor:
        output = checkpoint(operator, *operands, use_reentrant=False, context_fn=contexts)
        assert isinstance(output, Tensor)
        return output

    return differentiated(recomputed, inputs)


def traced_by_make_fx(operator: Operator, inputs: Inputs) -> Results:
    graph = make_fx(lambda *operands: differentiated(operator, replace_operands(inputs, operands)))(*inputs.operands)
    found: Results = graph(*inputs.operands)
    return found


def replace_operands(inputs: Inputs, operands: tuple[Any, ...]) -> Inputs:
    query, key, value, prior = operands
    return replace(inputs, query=query, key=key, value=value, prior=prior)


def of_a_subclass(operator: Operator, inputs: Inputs) -> Results:
    marked = replace_operands(inputs, tuple(None if x is None else x.as_subclass(Marked) for x in inputs.operands))
    return {name: x.as_subclass(Tensor) for name, x in differentiated(operator, marked).items()}


def traced_by_jit(operator: Operator, inputs: Inputs) -> Results:
    return differentiated(torch.jit.trace(operator, inputs.operands, check_trace=False), inputs)


def compiled_for_one_size(operator: Operator, inputs: Inputs) -> Results:
    return differentiated(torch.compile(operator, fullgraph=True, dynamic=False), inputs)


def compiled_in_parts(operator: Operator, inputs: Inputs) -> Results:
    """What cannot be part of the graph leaves it."""
    return differentiated(torch.compile(operator, backend="aot_eager"), inputs)


# What torch.func, forward mode and vmap ask for is refused but where torch's own operators are all there is.
TRANSFORMS: dict[str, Driver] = {
    "torch.func.vjp": gradients_by_transform,
    "torch.func.vjp, compiled": gradients_by_compiled_transform,
    "torch.func.jacfwd": gradient_forwards,
    "torch.func.jacfwd, compiled": gradient_compiled_forwards,
    "torch.func.vmap": over_a_batch,
    "torch.func.vmap, compiled": over_a_batch_compiled,
    "dual numbers into compiled code": dual_numbers_compiled,
    "batched gradients": batched_gradients,
}
DRIVERS: dict[str, Driver] = {
    **TRANSFORMS,
    "Inductor, one size": compiled_for_one_size,
    "a graph in parts": compiled_in_parts,
    "dispatch mode": under(Seen),
    "FLOP counter": under(partial(FlopCounterMode, display=False)),
    "function mode": under(Called),
    "another default device": under(partial(torch.device, "meta")),
    "selective checkpoint": checkpointed,
    "make_fx": traced_by_make_fx,
    "tensor subclass": of_a_subclass,
    "torch.jit.trace": traced_by_jit,
}
