"""What PyTorch expects of an operator beside numbers: autocast, memory formats, determinism, transforms, devices."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.autograd import forward_ad

from kernels import IMPLEMENTATIONS, local_relation
from tests.support.cases import (
    DEVICE,
    Case,
    Inputs,
    differentiated,
    draw,
    every_implementation,
    run,
    run_forward,
    take,
)

# Forward-mode differentiation makes torch itself use what it deprecates.
pytestmark = pytest.mark.filterwarnings("ignore:`torch.jit.script` is deprecated:DeprecationWarning")

SMALL = Case(batch=1, channels=3, m=2, height=3, width=4)
AUTOCAST = [torch.bfloat16, torch.float16]


def relation(implementation: str, case: Case, *operands: Tensor | None) -> Tensor:
    query, key, value, prior = operands
    assert query is not None
    assert key is not None
    assert value is not None
    return local_relation(query, key, value, prior, implementation=implementation, **case.keywords)


def cast(inputs: Inputs, dtype: torch.dtype) -> Inputs:
    """Query, key, value and the output's gradient in a dtype; the prior as it is."""
    query, key, value, grad = (x.to(dtype) for x in (inputs.query, inputs.key, inputs.value, inputs.grad))
    return replace(inputs, query=query, key=key, value=value, grad=grad)


@every_implementation
@pytest.mark.parametrize("dtype", AUTOCAST, ids=str)
def test_autocast_casts_as_a_convolution_does(implementation: str, dtype: torch.dtype) -> None:
    """Query, key and value become its dtype, and so is the output; a float32 prior stays float32."""
    take(implementation, SMALL, backward=False)
    inputs = draw(SMALL)
    by_hand = run_forward(implementation, cast(inputs, dtype), SMALL)["output"]
    convolution = torch.nn.Conv2d(SMALL.channels, 1, 1, device=DEVICE)
    with torch.autocast(DEVICE.type, dtype), torch.no_grad():
        output = relation(implementation, SMALL, *inputs.operands)
        assert output.dtype == convolution(inputs.value).dtype == dtype
    assert torch.equal(output, by_hand)


@every_implementation
def test_autocast_gives_gradients_in_the_operands_dtypes(implementation: str) -> None:
    take(implementation, SMALL)
    inputs = draw(SMALL)

    def under_autocast(*operands: Tensor | None) -> Tensor:
        with torch.autocast(DEVICE.type, torch.bfloat16):
            return relation(implementation, SMALL, *operands)

    cast_by_hand = cast(inputs, torch.bfloat16)
    expected = run(implementation, cast_by_hand, SMALL)
    actual = differentiated(under_autocast, replace(inputs, grad=cast_by_hand.grad))
    assert {name: x.dtype for name, x in actual.items() if name != "output"} == dict.fromkeys(
        ("query", "key", "value", "prior"), torch.float32
    )
    assert {name for name in expected if not torch.equal(actual[name], expected[name].to(actual[name].dtype))} == set()


@every_implementation
def test_autocast_leaves_float64(implementation: str) -> None:
    case = replace(SMALL, dtype="float64")
    take(implementation, case)
    inputs = draw(case)
    with torch.autocast(DEVICE.type, torch.bfloat16):
        actual = run(implementation, inputs, case)
    expected = run(implementation, inputs, case)
    assert {name for name in expected if not torch.equal(actual[name], expected[name])} == set()


def test_autocast_casts_a_narrow_prior() -> None:
    """As a convolution's weight in another dtype than autocast's."""
    inputs = draw(replace(SMALL, dtype="float16"))
    assert inputs.prior is not None
    expected = relation("unfold", SMALL, *cast(inputs, torch.bfloat16).operands[:3], inputs.prior.bfloat16())
    with torch.autocast(DEVICE.type, torch.bfloat16):
        output = relation("unfold", SMALL, *inputs.operands)
    assert torch.equal(output, expected)


@every_implementation
@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("layout", ["contiguous", "channels_last"])
def test_the_output_has_the_memory_format_of_the_value(implementation: str, layout: str, channels: int) -> None:
    case = replace(SMALL, channels=channels, m=1, layout=layout)
    inputs, expected = take(implementation, case, backward=False)
    results = run_forward(implementation, inputs, case)
    assert expected.only("output").violations(results) == {}
    wanted = torch.channels_last if layout == "channels_last" and channels > 1 else torch.contiguous_format
    assert results["output"].is_contiguous(memory_format=wanted)


@contextmanager
def deterministic() -> Iterator[None]:
    """The mode in which torch refuses what has no order, and fills fresh memory with NaN, as these tests do anyway."""
    torch.use_deterministic_algorithms(True)
    try:
        yield
    finally:
        torch.use_deterministic_algorithms(False)


@every_implementation
def test_deterministic_mode(implementation: str) -> None:
    """Nothing raises, and results are those of the other mode, bit for bit."""
    if implementation == "flex" and DEVICE.type == "cuda":
        pytest.skip("FlexAttention sums the prior's gradient in any order on a GPU, and says so: test_flex.py")
    inputs, expected = take(implementation, SMALL)
    with deterministic():
        first, second = (run(implementation, inputs, SMALL) for _ in range(2))
    usual = run(implementation, inputs, SMALL)
    assert expected.violations(first) == {}
    assert {name for name in first if not torch.equal(first[name], second[name])} == set()
    assert {name for name in first if not torch.equal(first[name], usual[name])} == set()


def _forward_mode(function: Callable[[Tensor], Tensor], x: Tensor) -> Any:
    with forward_ad.dual_level():
        return function(forward_ad.make_dual(x, torch.ones_like(x)))


TRANSFORMS: dict[str, Callable[[Callable[[Tensor], Tensor], Tensor], Any]] = {
    "vmap": lambda function, x: torch.func.vmap(function)(x[None]),
    "grad": lambda function, x: torch.func.grad(lambda y: function(y).sum())(x),
    "jvp": lambda function, x: torch.func.jvp(function, (x,), (x,)),
    "forward mode": _forward_mode,
}
TRANSFORMABLE = [name for name, entry in IMPLEMENTATIONS.items() if entry.transformable]
every_transform = pytest.mark.parametrize("transform", TRANSFORMS.values(), ids=TRANSFORMS.keys())


@every_transform
@pytest.mark.parametrize("implementation", [name for name in IMPLEMENTATIONS if name not in TRANSFORMABLE])
def test_transforms_are_refused(implementation: str, transform: Callable[..., Any]) -> None:
    """In words, and not with a tangent that is silently zero."""
    take(implementation, SMALL, backward=transform is TRANSFORMS["grad"])
    query, *rest = draw(SMALL).operands
    with pytest.raises(RuntimeError, match=rf"{implementation!r} of local_relation .*torch\.func.*'unfold'"):
        transform(lambda x: relation(implementation, SMALL, x, *rest), query)


@every_transform
@pytest.mark.parametrize("implementation", TRANSFORMABLE)
def test_transforms_are_taken(implementation: str, transform: Callable[..., Any]) -> None:
    query, *rest = draw(SMALL).operands
    transform(lambda x: relation(implementation, SMALL, x, *rest), query)


def test_derivatives_by_transforms_are_right() -> None:
    query, *rest = draw(replace(SMALL, dtype="float64")).operands
    direction = torch.ones_like(query)

    def function(x: Tensor) -> Tensor:
        return relation("unfold", SMALL, x, *rest)

    tangent = torch.func.jvp(function, (query,), (direction,))[1]
    step = 1e-6
    difference = (function(query + step * direction) - function(query - step * direction)) / (2 * step)
    torch.testing.assert_close(tangent, difference, rtol=1e-6, atol=1e-8)
    stacked = torch.stack([query, 2 * query])
    torch.testing.assert_close(torch.func.vmap(function)(stacked), torch.stack([function(x) for x in stacked]))


def test_the_operator_itself_refuses_vmap() -> None:
    """Also where nobody asks before: under torch.compile, or called by its name in torch.ops."""
    take("triton", SMALL)
    from kernels.implementations.triton_fused import operator  # noqa: PLC0415

    query, *rest = draw(SMALL).operands
    arguments = (*rest, [3, 2, 1, 1, 1], "multiplication,mask,consecutive", False)
    with pytest.raises(RuntimeError, match=r"'triton' of local_relation .*torch\.func.*'unfold'"):
        torch.func.vmap(lambda x: operator._forward(x, *arguments)[0])(query[None])


@pytest.mark.gpu
@pytest.mark.parametrize("implementation", ["triton", "compiled", "flex", "chunked"])
def test_another_gpu_than_the_current_one(implementation: str) -> None:
    if torch.cuda.device_count() < 2:
        pytest.skip("needs two CUDA GPUs")
    case = Case(channels=16, m=8, height=9, width=11)
    inputs = draw(case)
    query, key, value, prior, grad = (None if x is None else x.to("cuda:1") for x in (*inputs.operands, inputs.grad))
    there = Inputs(query=query, key=key, value=value, prior=prior, grad=grad)  # type: ignore[arg-type]
    here, results = run(implementation, inputs, case), run(implementation, there, case)
    assert torch.cuda.current_device() == 0
    assert {x.device for x in results.values()} == {torch.device("cuda:1")}
    torch.testing.assert_close({name: x.to("cuda:0") for name, x in results.items()}, here)
