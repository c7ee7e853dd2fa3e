"""The operator in other people's graphs: torch.library's own checks, torch.compile, torch.export, CUDA graphs."""

import importlib
from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn

from kernels import LocalRelation2d, local_relation
from tests.support.cases import DEVICE, Case, draw, take

pytestmark = [
    pytest.mark.compiles,
    # Tracing an autograd.Function, torch itself makes an instance of it.
    pytest.mark.filterwarnings("ignore:.*should not be instantiated:DeprecationWarning"),
]


def operands_of(case: Case, *, gradients: bool) -> tuple[list[Tensor | None], list[int], str]:
    """What the operators of torch.library take of a case."""
    take("triton", case)
    importlib.import_module("kernels.implementations.triton_fused.operator")  # registers the operators
    options = case.options
    tensors = [x if x is None else x.clone().requires_grad_(gradients) for x in draw(case).operands]
    integers = [options.kernel_size, options.m, options.stride, options.padding, options.dilation]
    return tensors, integers, f"{case.composability},{case.padding_mode},{case.channel_order}"


OPERATOR_CASES = {
    "without gradients": (Case(batch=1, channels=3, height=2, width=3), False),
    "stride 2, zeros": (
        Case(batch=1, channels=3, height=3, width=2, kernel_size=2, padding=0, stride=2, padding_mode="zeros"),
        True,
    ),
    "channels last, no prior": (
        Case(batch=1, channels=2, height=2, width=2, kernel_size=1, layout="channels_last", prior=None),
        True,
    ),
}


@pytest.mark.parametrize(("case", "gradients"), OPERATOR_CASES.values(), ids=OPERATOR_CASES.keys())
def test_opcheck_forward(case: Case, gradients: bool) -> None:
    tensors, integers, strings = operands_of(case, gradients=gradients)
    torch.library.opcheck(torch.ops.local_relation.forward.default, (*tensors, integers, strings, gradients))


BACKWARD_CASES = {
    "ragged groups": Case(batch=1, channels=3, height=2, width=3, kernel_size=2, padding=0),
    "bfloat16, squared difference": Case(
        batch=1, channels=2, height=2, width=2, kernel_size=1, dtype="bfloat16", composability="squared_difference"
    ),
}


@pytest.mark.parametrize("case", BACKWARD_CASES.values(), ids=BACKWARD_CASES.keys())
def test_opcheck_backward(case: Case) -> None:
    tensors, integers, strings = operands_of(case, gradients=False)
    output, softmax = torch.ops.local_relation.forward(*tensors, integers, strings, True)
    arguments = (*tensors, output, softmax, torch.ones_like(output), integers, strings)
    torch.library.opcheck(torch.ops.local_relation.backward.default, arguments)


def model(implementation: str, *, train: bool = True) -> nn.Module:
    """A small network around the layer."""
    torch.manual_seed(0)
    # Small, for the interpreter's sake.
    layer = LocalRelation2d(4, 2, m=3, stride=2, padding=0, implementation=implementation)
    return nn.Sequential(nn.Conv2d(3, 4, 1), layer, nn.ReLU(), nn.Conv2d(4, 2, 1)).to(DEVICE).train(train)


def image(batch: int = 1) -> Tensor:
    return torch.randn(batch, 3, 4, 3, generator=torch.Generator().manual_seed(batch)).to(DEVICE)


def output_and_gradients(call: Callable[[Tensor], Tensor], network: nn.Module, x: Tensor) -> list[Tensor]:
    """What a network gives as it is called, and the gradients of its parameters."""
    output = call(x)
    return [output.detach(), *torch.autograd.grad(output.float().square().sum(), list(network.parameters()))]


@pytest.mark.parametrize(
    ("implementation", "train"),
    [("triton", True), ("triton", False), ("compiled", True), ("chunked", True), ("unfold", True)],
    ids=["triton", "triton in eval", "compiled", "chunked", "unfold"],
)
def test_torch_compile_does_not_break_the_graph(implementation: str, train: bool) -> None:
    network, plain = model(implementation, train=train), model("unfold", train=train)
    compiled = torch.compile(network, backend="aot_eager", fullgraph=True)
    x = image()
    torch.testing.assert_close(output_and_gradients(compiled, network, x), output_and_gradients(plain, plain, x))
    with torch.no_grad():
        torch.testing.assert_close(compiled(x), plain(x))


def test_torch_compile_under_autocast() -> None:
    network = model("triton")
    compiled = torch.compile(network, backend="aot_eager", fullgraph=True)
    x = image()
    with torch.autocast(DEVICE.type, torch.bfloat16):
        traced = output_and_gradients(compiled, network, x)
        torch.testing.assert_close(traced, output_and_gradients(network, network, x))
    assert traced[0].dtype == torch.bfloat16


@pytest.mark.gpu
@pytest.mark.parametrize(
    ("layout", "train", "mode"),
    [
        (torch.contiguous_format, True, "default"),
        (torch.channels_last, True, "reduce-overhead"),
        (torch.channels_last, False, "default"),
    ],
    ids=["contiguous", "channels last, CUDA graphs", "channels last, eval"],
)
def test_torch_compile_generates_code(layout: torch.memory_format, train: bool, mode: str) -> None:
    """ "reduce-overhead" replays the model as CUDA graphs from its third call on."""
    network = model("triton", train=train).to(memory_format=layout)  # type: ignore[call-overload]
    compiled = torch.compile(network, fullgraph=True, mode=mode)
    for batch in (2, 2, 2, 5, 7):
        x = image(batch).contiguous(memory_format=layout)
        traced = [result.clone() for result in output_and_gradients(compiled, network, x)]
        torch.testing.assert_close(traced, output_and_gradients(network, network, x), rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("implementation", ["triton", "unfold"])
def test_torch_export(implementation: str) -> None:
    """The exported program computes the same, also for another number of images where that is left open."""
    network = model(implementation, train=False)
    program = torch.export.export(network, (image(2),), dynamic_shapes=({0: torch.export.Dim("images")},))
    operators = {str(node.target) for node in program.graph.nodes}
    assert ("local_relation.forward.default" in operators) == (implementation == "triton")
    for batch in (2, 3):
        torch.testing.assert_close(program.module()(image(batch)), network(image(batch)))


@pytest.mark.gpu
@pytest.mark.parametrize("layout", ["contiguous", "channels_last"])
@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_cuda_graphs(dtype: str, layout: str) -> None:
    """Forward and backward, captured once, give for other inputs what the calls give."""
    case = Case(batch=2, channels=20, m=8, height=9, width=11, kernel_size=5, stride=2, dtype=dtype, layout=layout)
    inputs = draw(case)
    leaves = [x.clone().requires_grad_() for x in inputs.operands if x is not None]

    def step() -> list[Tensor]:
        output = local_relation(*leaves, implementation="triton", **case.keywords)
        return [output.detach(), *torch.autograd.grad(output, leaves, inputs.grad)]

    side = torch.cuda.Stream()
    side.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(side):
        for _ in range(3):
            step()
    torch.cuda.current_stream().wait_stream(side)
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        captured = step()
    with torch.no_grad():
        for leaf in leaves:
            leaf.copy_(torch.randn_like(leaf))
    expected = step()
    graph.replay()
    torch.cuda.synchronize()
    assert all(map(torch.equal, captured, expected))
