"""`native` beside what every implementation is tested for: threads, extremes, conversions, PyTorch's own checks."""

from collections.abc import Iterator
from dataclasses import replace

import pytest
import torch
from torch import Tensor, nn

from kernels import LocalRelation2d, local_relation, problem_of
from kernels.implementations.native import operator
from kernels.implementations.native.launch import options_of
from tests.support.cases import DEVICE, Case, draw, run, take

pytestmark = pytest.mark.skipif(DEVICE.type != "cpu", reason="the C++ kernels run on a CPU")

CASES = {
    "7×7, ragged groups": Case(batch=2, channels=20, m=8, height=23, width=19, kernel_size=7),
    "stride 2, channels last": Case(
        channels=9, m=4, height=21, width=18, kernel_size=5, stride=2, layout="channels_last"
    ),
    "bfloat16, dilation 2, zeros": Case(
        height=22, width=15, dilation=2, dtype="bfloat16", padding_mode="zeros", composability="squared_difference"
    ),
    "a thread begins within a pair of rows of keys": Case(batch=2, channels=9, m=8, height=61, width=8, kernel_size=7),
    "the same, one channel, dilation 3": Case(
        batch=1, channels=2, m=1, height=70, width=69, kernel_size=5, stride=2, padding=3, dilation=3
    ),
    "float64, one group": Case(batch=1, channels=3, m=3, height=40, width=9, kernel_size=4, padding=1, dtype="float64"),
}


@pytest.fixture
def count_of_threads() -> Iterator[None]:
    before = torch.get_num_threads()
    yield
    torch.set_num_threads(before)


@pytest.mark.usefixtures("count_of_threads")
@pytest.mark.parametrize("case", CASES.values(), ids=CASES.keys())
def test_any_number_of_threads_gives_the_same_bits(case: Case) -> None:
    inputs, expected = take("native", case)
    torch.set_num_threads(1)
    alone = run("native", inputs, case)
    assert expected.violations(alone) == {}
    for threads in (2, 3, 7):
        torch.set_num_threads(threads)
        together = run("native", inputs, case)
        assert {name for name in alone if not torch.equal(alone[name], together[name])} == set()


@pytest.mark.parametrize("kernel_size", [3, 7])
@pytest.mark.parametrize("composability", ["multiplication", "squared_difference", "absolute_difference"])
def test_weights_of_a_constant_map_of_10_000(composability: str, kernel_size: int) -> None:
    """Every tap weighs the same however large the logits: where windows are whole, y is a mean, and dΣy/dx is 1."""
    generator = torch.Generator().manual_seed(0)
    value = torch.randn(1, 4, 20, 21, generator=generator).requires_grad_()
    query = torch.full((1, 2, 20, 21), 1e4).requires_grad_()
    key = torch.full((1, 2, 20, 21), 1e4).requires_grad_()
    output = local_relation(
        query, key, value, kernel_size=kernel_size, m=2, composability=composability, implementation="native"
    )
    whole, edge = nn.functional.avg_pool2d(value, kernel_size, 1), kernel_size - 1
    inner = output[..., edge // 2 : -edge // 2 or None, edge // 2 : -edge // 2 or None]
    torch.testing.assert_close(inner, whole, rtol=1e-5, atol=1e-6)
    (grad,) = torch.autograd.grad(output.sum(), value)
    inner = grad[..., edge:-edge, edge:-edge]
    torch.testing.assert_close(inner, torch.ones_like(inner), rtol=1e-5, atol=0)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last])
def test_every_narrow_number_passes_unchanged(dtype: torch.dtype, layout: torch.memory_format) -> None:
    """With one tap the output is the value, infinities and subnormal numbers too; −0 becomes 0, as in any sum."""
    every = torch.arange(-(2**15), 2**15, dtype=torch.int16).view(dtype).reshape(1, 8, 128, 64)
    value = every.contiguous(memory_format=layout)
    query = torch.zeros(1, 1, 128, 64, dtype=dtype)
    output = local_relation(query, query, value, kernel_size=1, implementation="native")
    assert torch.equal(output.isnan(), value.isnan())
    kept = ~value.isnan()
    assert torch.equal(output[kept], value[kept])


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_results_are_rounded_to_the_nearest(dtype: torch.dtype) -> None:
    """As torch rounds them: the mean of two neighbouring numbers, half-way between them, among the rest."""
    generator = torch.Generator().manual_seed(0)
    bits = torch.randint(0, 2**15, (1, 1, 2, 4000), dtype=torch.int16, generator=generator)
    bits[:, :, 1] = bits[:, :, 0] ^ 1
    value = bits.view(dtype)
    value = torch.where(value.isfinite(), value, torch.ones_like(value)).repeat_interleave(2, 3)
    query = torch.zeros(1, 1, 1, 4000, dtype=dtype)
    key = torch.zeros(1, 1, 2, 8000, dtype=dtype)
    output = local_relation(query, key, value, kernel_size=2, padding=0, stride=2, implementation="native")
    wide = value.float()[..., ::2]
    assert torch.equal(output, ((2 * wide[:, :, :1] + 2 * wide[:, :, 1:]) / 4).to(dtype))


def test_a_nan_is_seen_where_a_window_holds_it_and_nowhere_else() -> None:
    inputs = draw(Case(batch=1, channels=2, height=9, width=13))
    for name in ("query", "key", "value"):
        tensor = getattr(inputs, name).clone()
        tensor[0, 0, 4, 6] = torch.nan
        output = run("native", replace(inputs, **{name: tensor}), Case(batch=1, channels=2, height=9, width=13))[
            "output"
        ]
        seen = torch.zeros(9, 13, dtype=torch.bool)
        rows, columns = (slice(4, 5), slice(6, 7)) if name == "query" else (slice(3, 6), slice(5, 8))
        seen[rows, columns] = True
        assert torch.equal(output[0, 0].isnan(), seen), name


def operands_of(case: Case, *, gradients: bool) -> tuple[list[Tensor | None], list[int]]:
    """What the operators of torch.library take of a case."""
    take("native", case)
    tensors = [x if x is None else x.clone().requires_grad_(gradients) for x in draw(case).operands]
    problem = problem_of(*draw(case).operands, **{**case.keywords, "padding": case.options.padding})
    return tensors, options_of(problem)


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
    "bfloat16": (Case(batch=1, channels=2, height=2, width=2, dtype="bfloat16", prior="float32"), True),
}


@pytest.mark.compiles
@pytest.mark.parametrize(("case", "gradients"), OPERATOR_CASES.values(), ids=OPERATOR_CASES.keys())
def test_opcheck(case: Case, gradients: bool) -> None:
    tensors, options = operands_of(case, gradients=gradients)
    torch.library.opcheck(torch.ops.local_relation.native_forward.default, (*tensors, options))
    tensors, options = operands_of(case, gradients=False)
    grad = torch.ones_like(torch.ops.local_relation.native_forward(*tensors, options))
    torch.library.opcheck(torch.ops.local_relation.native_backward.default, (*tensors, grad, options))


def test_the_operator_itself_refuses_vmap() -> None:
    tensors, options = operands_of(Case(batch=1, channels=3, height=2, width=3), gradients=False)
    query, *rest = tensors
    assert query is not None
    with pytest.raises(RuntimeError, match=r"'native' of local_relation .*torch\.func.*'unfold'"):
        torch.func.vmap(lambda x: operator._forward(x, *rest, options))(query[None])


def model(*, train: bool) -> nn.Module:
    """A small network around the layer."""
    torch.manual_seed(0)
    layer = LocalRelation2d(10, 3, m=4, stride=2, implementation="native")
    return nn.Sequential(nn.Conv2d(3, 10, 1), layer, nn.ReLU(), nn.Conv2d(10, 2, 1)).train(train)


def image(batch: int) -> Tensor:
    return torch.randn(batch, 3, 9, 11, generator=torch.Generator().manual_seed(batch))


@pytest.mark.compiles
@pytest.mark.slow
def test_torch_compile_generates_code() -> None:
    network = model(train=True).to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    compiled = torch.compile(network, fullgraph=True, dynamic=True)
    for batch in (2, 5):
        x = image(batch).contiguous(memory_format=torch.channels_last)
        results = []
        for call in (compiled, network):
            output = call(x)
            results.append([output, *torch.autograd.grad(output.square().sum(), list(network.parameters()))])
        torch.testing.assert_close(*results, rtol=1e-4, atol=1e-5)


@pytest.mark.compiles
def test_torch_export() -> None:
    """The operator is one node of the program, which takes another number of images where that is left open."""
    network = model(train=False)
    program = torch.export.export(network, (image(2),), dynamic_shapes=({0: torch.export.Dim("images")},))
    assert "local_relation.native_forward.default" in {str(node.target) for node in program.graph.nodes}
    for batch in (2, 3):
        torch.testing.assert_close(program.module()(image(batch)), network(image(batch)))
