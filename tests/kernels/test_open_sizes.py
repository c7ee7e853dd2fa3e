"""Sizes that stay open: one compiled function, or exported program, is right for images of any number and size."""

from dataclasses import replace
from functools import partial

import pytest
import torch
from torch import Tensor, nn

from kernels import IMPLEMENTATIONS, local_relation
from kernels.implementations import compiled
from tests.support.cases import differentiated, every_implementation, expected_of, posed, take
from tests.support.drivers import CASE, OTHER_SIZES, Operator, relation

pytestmark = [
    pytest.mark.compiles,
    pytest.mark.filterwarnings("ignore:`torch.jit.*` is deprecated:DeprecationWarning"),
]


@pytest.fixture(autouse=True)
def nothing_compiled_inside(monkeypatch: pytest.MonkeyPatch) -> None:
    """What `compiled` compiles for itself runs as it is; test_compiled.py compiles it."""
    monkeypatch.setattr(compiled, "_compiled", partial)


@pytest.mark.parametrize(
    "implementation",
    [
        pytest.param(name, marks=[pytest.mark.extended] if one.transformable else [])
        for name, one in IMPLEMENTATIONS.items()
    ],
)
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
