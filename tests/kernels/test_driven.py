"""Something else drives torch: compilers, transforms, modes, exporters. Right numbers or a refusal in words, no other.

Every driver × every implementation, forward and all gradients, held against the oracle.
"""

import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.autograd import forward_ad
from torch.fx.experimental.proxy_tensor import make_fx
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.checkpoint import CheckpointPolicy, checkpoint, create_selective_checkpoint_contexts
from torch.utils.flop_counter import FlopCounterMode

from kernels import IMPLEMENTATIONS, local_relation
from kernels.implementations import compiled
from tests.support.cases import Case, Inputs, differentiated, every_implementation, expected_of, posed, take
from tests.support.oracle import QUANTITIES

ROOT = Path(__file__).parents[2]
pytestmark = [
    pytest.mark.compiles,
    pytest.mark.filterwarnings("ignore:`torch.jit.*` is deprecated:DeprecationWarning"),
]

# Ragged groups; small, for the interpreter's sake.
CASE = Case(batch=3, channels=5, m=3, height=4, width=2)
OTHER_SIZES = (replace(CASE, batch=2, height=5, width=3), replace(CASE, batch=1, height=7, width=4))

Operator = Callable[..., Tensor]
Results = dict[str, Tensor]
Driver = Callable[[Operator, Inputs], Results]


@pytest.fixture(autouse=True)
def nothing_compiled_inside(monkeypatch: pytest.MonkeyPatch) -> None:
    """What `compiled` compiles for itself runs as it is; test_compiled.py and `IN_A_FAKE_WORLD` compile it."""
    monkeypatch.setattr(compiled, "_compiled", partial)


def relation(implementation: str) -> Operator:
    """The operator on query, key, value and prior."""
    return lambda *operands: local_relation(*operands, implementation=implementation, **CASE.keywords)


def differential(operator: Operator, inputs: Inputs) -> Callable[..., tuple[Tensor, ...]]:
    """Operands → output and all gradients, by torch.func."""

    def output_and_gradients(*operands: Tensor) -> tuple[Tensor, ...]:
        output, pull, *_ = torch.func.vjp(operator, *operands)
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


def in_words(error: Exception, implementation: str) -> bool:
    """Whether an error says who refuses and what to do instead."""
    text = str(error)
    refused = f"implementation '{implementation}'" in text and (
        " ask for " in text or "does not take this case" in text
    )
    return refused or "use torch.export" in text


@every_implementation
@pytest.mark.parametrize("driver", DRIVERS)
def test_right_numbers_or_a_refusal_in_words(driver: str, implementation: str) -> None:
    inputs, expected = posed(CASE)
    try:
        found = DRIVERS[driver](relation(implementation), inputs)
    except Exception as error:  # noqa: BLE001
        assert in_words(error, implementation), error  # noqa: PT017
        assert driver == "torch.jit.trace" or implementation == "flex" or driver in TRANSFORMS
        assert driver == "torch.jit.trace" or not IMPLEMENTATIONS[implementation].transformable
        return
    reference = expected.reference.values["prior"]
    in_one_direction = found.pop("prior[0, 0, 0]", None)
    assert in_one_direction is None or in_one_direction.item() == pytest.approx(reference[0, 0, 0], rel=1e-4)
    assert expected.only(*found).violations(found) == {}


@every_implementation
def test_compiled_for_any_size(implementation: str) -> None:
    """One function, several sizes: each with the gradients of its own."""
    take(implementation, CASE)
    # Of torch's own operators the code generator makes a minute of work, and torch's own errors.
    backend = "aot_eager" if IMPLEMENTATIONS[implementation].transformable else "inductor"
    operator = torch.compile(relation(implementation), fullgraph=True, dynamic=True, backend=backend)
    for case in (CASE, *OTHER_SIZES):
        inputs, expected = posed(case)
        assert expected.violations(differentiated(operator, inputs)) == {}


class Module(nn.Module):
    """The operator as a module, for exporters."""

    def __init__(self, operator: Operator) -> None:
        super().__init__()
        self.operator = operator

    def forward(self, query: Tensor, key: Tensor, value: Tensor, prior: Tensor) -> Tensor:
        return self.operator(query, key, value, prior)


@every_implementation
@pytest.mark.parametrize("strict", [False, True])
def test_exported_for_any_size(implementation: str, strict: bool) -> None:
    """Images, rows and columns stay open; the program is right for others, and differentiable."""
    inputs, _ = take(implementation, CASE)
    sizes = {0: torch.export.Dim("images"), 2: torch.export.Dim("rows"), 3: torch.export.Dim("columns")}
    shapes = (sizes, sizes, sizes, None)
    module = Module(relation(implementation))
    program = torch.export.export(module, inputs.operands, dynamic_shapes=shapes, strict=strict).module()
    for case in OTHER_SIZES:
        inputs, expected = posed(case)
        assert expected.violations(differentiated(program, inputs)) == {}


@every_implementation
def test_one_tensor_in_several_places(implementation: str) -> None:
    """Query, key and value are one: a compiler's graph has one input, and its gradient is the sum of three."""
    case = replace(CASE, channels=2, m=1, prior=None)
    inputs, _ = take(implementation, case)

    def alone(x: Tensor) -> Tensor:
        return local_relation(x, x, x, implementation=implementation, **case.keywords)

    x = inputs.value.clone().requires_grad_()
    expected = expected_of(replace(inputs, query=inputs.value, key=inputs.value), case.options).reference.values
    output = torch.compile(alone, backend="aot_eager", fullgraph=True)(x)
    (gradient,) = torch.autograd.grad(output, x, inputs.grad)
    total = expected["query"] + expected["key"] + expected["value"]
    torch.testing.assert_close(output.detach().double().cpu().numpy(), expected["output"], rtol=1e-5, atol=1e-5)
    torch.testing.assert_close(gradient.double().cpu().numpy(), total, rtol=1e-5, atol=1e-5)


IN_A_FAKE_WORLD = """
import torch
from torch._subclasses.fake_tensor import FakeTensor, FakeTensorMode
from kernels import IMPLEMENTATIONS, local_relation

SHAPES = ((1, 2, 4, 3), (1, 2, 4, 3), (1, 4, 4, 3), (2, 3, 3))

def call(implementation, gradients, operands):
    operands = [x.requires_grad_(gradients) for x in operands]
    output = local_relation(*operands, kernel_size=3, m=2, implementation=implementation)
    return [output, *(torch.autograd.grad(output.sum(), operands) if gradients else ())]

def fake(implementation, gradients):
    try:
        with FakeTensorMode():
            found = call(implementation, gradients, [torch.ones(shape) for shape in SHAPES])
    except RuntimeError as error:
        print(implementation, error)
    else:
        assert all(isinstance(x, FakeTensor) for x in found), found
        print(implementation, *(tuple(x.shape) for x in found))

for implementation in IMPLEMENTATIONS:
    if implementation == "triton":
        continue  # interpreted, it has no compiled code
    fake(implementation, implementation != "flex")
    if implementation != "flex":  # takes ten seconds to compile, and has refused before it is asked for compiled code
        with torch.no_grad():
            call(implementation, False, [torch.ones(shape) for shape in SHAPES])
        fake(implementation, True)
"""


def test_fake_tensors_never_reach_compiled_code() -> None:
    """Cold and warm, in a process of its own, as memory that is not there would end it."""
    done = subprocess.run(
        [sys.executable, "-c", IN_A_FAKE_WORLD], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr[-2000:]
    lines = done.stdout.splitlines()
    shapes = "(1, 4, 4, 3) (1, 2, 4, 3) (1, 2, 4, 3) (1, 4, 4, 3) (2, 3, 3)"
    for implementation in set(IMPLEMENTATIONS) - {"triton", "flex"}:
        assert lines.count(f"{implementation} {shapes}") == 2
    assert "flex implementation 'flex' of local_relation is compiled code: " in done.stdout
