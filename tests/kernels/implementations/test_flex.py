"""`flex`: gradients by FlexAttention's definition, what its compiled kernels give, and the sequences it is made of."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.nn.attention import flex_attention

from kernels import LocalRelation2d, Problem, local_relation, problem_of, resolve, unsupported
from kernels.implementations import flex
from kernels.implementations.flex import attention, sequence
from kernels.implementations.flex.sequence import Sequence
from tests.support.cases import DEVICE, Case, Inputs, differentiated, posed, run, run_forward
from tests.support.eager import differentiated_ahead, traced
from tests.support.oracle import QUANTITIES

pytestmark = pytest.mark.compiles

CASES = {
    "defaults": Case(),
    "squared difference, zeros, stride 2, dilation 2": Case(
        composability="squared_difference", padding_mode="zeros", stride=2, dilation=2, height=9
    ),
    "absolute difference, kernel 4, strided channels": Case(
        composability="absolute_difference", kernel_size=4, padding=1, m=4, channels=10, channel_order="strided"
    ),
    "bfloat16, channels last": Case(dtype="bfloat16", layout="channels_last", channels=16, m=8, kernel_size=5),
    "float16, no prior, m = 20": Case(dtype="float16", prior=None, channels=50, m=20, stride=3, height=9),
    "several blocks": Case(batch=1, channels=2, height=19, width=17, kernel_size=7),
    "tiles": Case(batch=1, channels=2, height=19, width=140, kernel_size=7, stride=2),
}
SIZES: dict[str, Any] = {"batch": 1, "channels": 2, "height": 3, "width": 3, "kernel_size": 3, "m": 1, "padding": 1}
every_case = pytest.mark.parametrize("case", CASES.values(), ids=CASES.keys())


@pytest.fixture(autouse=True)
def dense_flex() -> None:
    """Not here."""


def problem_of_case(inputs: Inputs, case: Case) -> Problem:
    return problem_of(*inputs.operands, **{**case.keywords, "padding": case.options.padding})


@every_case
def test_gradients_by_definition(case: Case, monkeypatch: pytest.MonkeyPatch) -> None:
    """On any device: what the kernels are generated from, differentiated by torch and by the oracle."""
    monkeypatch.setattr(attention, "_specialised", traced)
    monkeypatch.setattr(flex_attention, "_validate_device", lambda *_: None)  # it refuses gradients on a CPU
    inputs, expected = posed(case)
    problem = problem_of_case(inputs, case)
    actual = differentiated(lambda *operands: flex.run(problem, *operands), inputs)
    assert replace(expected, narrow_weights=True).violations(actual) == {}


@pytest.fixture
def ahead(monkeypatch: pytest.MonkeyPatch) -> None:
    """Gradients as torch.compile takes them, on any device, all but the code that it would generate."""
    monkeypatch.setattr(attention, "_specialised", differentiated_ahead)
    monkeypatch.setattr(flex_attention, "_validate_device", lambda *_: None)


AHEAD = ("defaults", "squared difference, zeros, stride 2, dilation 2", "bfloat16, channels last")


@pytest.mark.usefixtures("ahead")
@pytest.mark.parametrize("case", [CASES[name] for name in AHEAD], ids=AHEAD)
def test_a_graph_serves_again(case: Case) -> None:
    """What is compiled for backward may write into what it was given, and then refuses to run twice."""
    inputs, expected = posed(case)
    problem = problem_of_case(inputs, case)
    leaves = [x.clone().requires_grad_() for x in inputs.operands if x is not None]
    output = flex.run(problem, *leaves)
    for again in (True, True, False):
        gradients = torch.autograd.grad(output, leaves, inputs.grad, retain_graph=again)
        actual = dict(zip(QUANTITIES, (output.detach(), *gradients), strict=False))
        assert replace(expected, narrow_weights=True).violations(actual) == {}
    with pytest.raises(RuntimeError, match="a second time"):
        torch.autograd.grad(output, leaves, inputs.grad)


@pytest.mark.usefixtures("ahead")
def test_another_thread_differentiates() -> None:
    """On a GPU a thread of torch's own runs backward, and settings are a thread's own."""
    inputs, expected = posed(CASES["defaults"])
    problem = problem_of_case(inputs, CASES["defaults"])
    leaves = [x.clone().requires_grad_() for x in inputs.operands if x is not None]
    output = flex.run(problem, *leaves)

    def differentiate() -> tuple[Tensor, ...]:
        return torch.autograd.grad(output, leaves, inputs.grad, retain_graph=True)

    with ThreadPoolExecutor(1) as threads:
        for _ in range(2):
            gradients = threads.submit(differentiate).result()
            actual = dict(zip(QUANTITIES, (output.detach(), *gradients), strict=False))
            assert expected.violations(actual) == {}


@pytest.mark.usefixtures("ahead")
def test_what_needs_no_gradient_gets_none() -> None:
    inputs, expected = posed(CASES["defaults"])
    problem = problem_of_case(inputs, CASES["defaults"])
    value = inputs.value.clone().requires_grad_()
    output = flex.run(problem, inputs.query, inputs.key, value, inputs.prior)
    (gradient,) = torch.autograd.grad(output, value, inputs.grad)
    assert expected.only("value").violations({"value": gradient}) == {}


@pytest.mark.usefixtures("ahead")
def test_an_input_written_into_is_noticed() -> None:
    inputs, _ = posed(CASES["defaults"])
    problem = problem_of_case(inputs, CASES["defaults"])
    query, value = inputs.query.clone(), inputs.value.clone().requires_grad_()
    output = flex.run(problem, query, inputs.key, value, inputs.prior)
    query.zero_()
    with pytest.raises(RuntimeError, match="inplace"):
        torch.autograd.grad(output, value, inputs.grad)


@pytest.mark.usefixtures("ahead")
def test_second_derivatives_are_refused() -> None:
    inputs, _ = posed(CASES["defaults"])
    problem = problem_of_case(inputs, CASES["defaults"])
    query = inputs.query.clone().requires_grad_()
    output = flex.run(problem, query, inputs.key, inputs.value, inputs.prior)
    (gradient,) = torch.autograd.grad(output.square().sum(), query, create_graph=True)
    with pytest.raises(RuntimeError, match=r"'flex' .*'unfold'"):
        gradient.sum().backward()


@pytest.mark.slow
@pytest.mark.parametrize("case", [CASES["squared difference, zeros, stride 2, dilation 2"]], ids=["all options"])
def test_compiled_output(case: Case) -> None:
    """Once, as a case takes ten seconds on a CPU."""
    inputs, expected = posed(case)
    expected = replace(expected, narrow_weights=True)
    assert expected.only("output").violations(run_forward("flex", inputs, case)) == {}


COMPILED = ("squared difference, zeros, stride 2, dilation 2", "bfloat16, channels last", "tiles")


@pytest.mark.gpu
@pytest.mark.parametrize("case", [CASES[name] for name in COMPILED], ids=COMPILED)
def test_compiled_output_and_gradients(case: Case) -> None:
    inputs, expected = posed(case)
    assert replace(expected, narrow_weights=True).violations(run("flex", inputs, case)) == {}


def test_the_layer(monkeypatch: pytest.MonkeyPatch) -> None:
    torch.manual_seed(0)
    layer = LocalRelation2d(12, 3, m=4, stride=2, implementation="flex").to(DEVICE)
    x = torch.randn(2, 12, 9, 8, device=DEVICE)
    other = LocalRelation2d(12, 3, m=4, stride=2, implementation="unfold").to(DEVICE)
    other.load_state_dict(layer.state_dict())
    monkeypatch.setattr(attention, "_specialised", traced)
    with torch.no_grad():
        torch.testing.assert_close(layer(x), other(x))


@pytest.mark.parametrize("composability", ["multiplication", "squared_difference"])
def test_deterministic_mode_is_told(composability: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """What a score_mod looks up has a gradient that is summed in any order: always the prior."""
    monkeypatch.setattr(attention, "_specialised", traced)
    monkeypatch.setattr(flex_attention, "_validate_device", lambda *_: None)
    case = Case(composability=composability)
    inputs, _ = posed(case)
    problem = problem_of_case(inputs, case)

    def output_with_gradient_for(wanted: int) -> Tensor:
        operands = [
            x.clone().requires_grad_(place == wanted) for place, x in enumerate(inputs.operands) if x is not None
        ]
        output: Tensor = flex.run(problem, *operands)
        return output

    torch.use_deterministic_algorithms(True)
    try:
        with pytest.raises(RuntimeError, match=r"'flex' .*use_deterministic_algorithms"):
            output_with_gradient_for(QUANTITIES.index("prior") - 1)
        assert output_with_gradient_for(QUANTITIES.index("value") - 1).isfinite().all()
        torch.use_deterministic_algorithms(True, warn_only=True)
        with pytest.warns(UserWarning, match=r"'flex' .*use_deterministic_algorithms"):
            output_with_gradient_for(QUANTITIES.index("prior") - 1)
    finally:
        torch.use_deterministic_algorithms(False)


REFUSED: dict[str, tuple[Problem, str, bool, str]] = {
    "gradients on a CPU": (Problem(**SIZES), "cpu", True, "no backward on a CPU"),
    "float64": (Problem(**SIZES, dtype="float64"), "cpu", False, "float64"),
    "wide groups": (Problem(**{**SIZES, "channels": 256, "m": 256}), "cpu", False, "m = 256"),
    "many images": (Problem(**{**SIZES, "batch": 70000}), "cpu", False, "70000"),
    "many elements": (Problem(**{**SIZES, "batch": 256, "height": 1024, "width": 1024}), "cpu", False, "2³¹"),
    "many blocks": (Problem(**{**SIZES, "height": 2048, "width": 2048}), "cpu", False, "32768²"),
    "another device": (Problem(**SIZES), "meta", False, "not on meta"),
}


@pytest.mark.parametrize(("problem", "device", "backward", "reason"), REFUSED.values(), ids=REFUSED.keys())
def test_refusals(problem: Problem, device: str, backward: bool, reason: str) -> None:
    assert reason in str(unsupported("flex", problem, device, backward=backward))
    assert resolve(problem, device, backward=backward) != "flex"


def test_a_call_that_wants_gradients_is_refused_on_a_cpu() -> None:
    query, key, value = (torch.ones(1, 2, 3, 3, requires_grad=True) for _ in range(3))
    with pytest.raises(ValueError, match=r"'flex' .*no backward on a CPU"):
        local_relation(query, key, value, kernel_size=3, m=1, implementation="flex")


SEQUENCES = {
    "row by row": Sequence(5, 7, 1, 7),
    "several blocks": Sequence(19, 17, 1, 17),
    "tiles": Sequence(19, 37, 8, 16),
    "tiles larger than the image": Sequence(3, 5, 8, 16),
}
every_sequence = pytest.mark.parametrize("order", SEQUENCES.values(), ids=SEQUENCES.keys())


@every_sequence
def test_every_pixel_has_one_place(order: Sequence) -> None:
    rows, columns = torch.meshgrid(torch.arange(order.height), torch.arange(order.width), indexing="ij")
    places = order.index(rows, columns)
    assert order.length % sequence.BLOCK == 0
    assert places.unique().numel() == places.numel()
    assert 0 <= int(places.min()) <= int(places.max()) < order.length
    assert all(map(torch.equal, order.coordinates(places), (rows, columns)))
    filled = torch.ones(order.length, dtype=torch.bool)
    filled[places.flatten()] = False
    row, column = order.coordinates(torch.arange(order.length)[filled])
    assert ((row >= order.height) | (column >= order.width)).all()


@every_sequence
def test_images_become_sequences_and_back(order: Sequence) -> None:
    image = torch.randn(2, 3, order.height, order.width, 4)
    pixels = order.flatten(image)
    rows, columns = torch.meshgrid(torch.arange(order.height), torch.arange(order.width), indexing="ij")
    assert pixels.shape == (2, 3, order.length, 4)
    assert torch.equal(pixels[:, :, order.index(rows, columns)], image)
    assert torch.equal(order.unflatten(pixels), image)


def test_narrow_images_are_read_by_rows_and_wide_ones_by_tiles() -> None:
    narrow = Problem(**{**SIZES, "height": 28, "width": 28, "kernel_size": 7, "padding": 3})
    wide = replace(narrow, height=64, width=256)
    assert [sequence.sequences(problem)[0].rows for problem in (narrow, wide)] == [1, 8]
