"""Sizes and layouts at the edge: the right numbers, or a refusal with the reason."""

from types import SimpleNamespace

import pytest
import torch
from torch import Tensor
from torch._subclasses.fake_tensor import FakeTensorMode

from kernels import Problem, local_relation, unsupported
from tests.support.cases import (
    DEVICE,
    Case,
    Inputs,
    every_implementation,
    posed,
    refusal,
    run,
    run_forward,
    take,
)

# Cards of 48 GB have a little less for programs.
LARGE_GPU = 46_000_000_000
CASES = {
    "one pixel, one channel": Case(batch=1, channels=1, m=1, height=1, width=1),
    "one group": Case(batch=1, channels=5, m=5, height=3, width=4),
    "height 1": Case(batch=1, channels=3, m=2, height=1, width=6, kernel_size=5),
    "width 1": Case(batch=1, channels=3, m=2, height=6, width=1, kernel_size=5),
    "width 1, stride 2, zeros": Case(batch=1, channels=3, height=5, width=1, stride=2, padding_mode="zeros"),
    "one group of 1024 channels": Case(batch=1, channels=1024, m=1024, height=1, width=2),
    "1024 groups": Case(batch=1, channels=1024, m=1, height=1, width=2, kernel_size=1),
    "kernel 31": Case(batch=1, channels=1, m=1, height=2, width=2, kernel_size=31, stride=3),
    "no image": Case(batch=0, channels=3, m=2, height=3, width=4),
    "one element further on": Case(batch=1, channels=8, m=8, height=2, width=3, layout="unaligned"),
    "one element further on, channels last": Case(
        batch=1, channels=8, m=8, height=2, width=3, layout="unaligned channels last", dtype="bfloat16"
    ),
    "stride 0 over pixels, bfloat16": Case(
        batch=1, channels=4, height=3, width=2, layout="expanded_over_pixels", dtype="bfloat16"
    ),
}
every_case = pytest.mark.parametrize("case", CASES.values(), ids=CASES.keys())


@every_implementation
@every_case
def test_right_or_refused(implementation: str, case: Case) -> None:
    # Backward, 31² taps take the interpreter a quarter of a minute.
    slow = implementation == "triton" and DEVICE.type == "cpu" and case.kernel_size == 31
    backward = not slow and refusal(implementation, posed(case)[0], case) is None
    inputs, expected = take(implementation, case, backward=backward)
    if backward:
        assert expected.violations(run(implementation, inputs, case)) == {}
    else:
        assert expected.only("output").violations(run_forward(implementation, inputs, case)) == {}


@pytest.mark.gpu
@every_case
def test_right_on_a_gpu(case: Case) -> None:
    """The fused kernels again, so that the tests marked `gpu` have them."""
    inputs, expected = take("triton", case)
    assert expected.violations(run("triton", inputs, case)) == {}


@pytest.mark.gpu
def test_an_aligned_call_before_an_unaligned_one_on_a_gpu() -> None:
    test_an_aligned_call_before_an_unaligned_one("triton")


@every_implementation
def test_an_aligned_call_before_an_unaligned_one(implementation: str) -> None:
    """What was compiled for aligned tensors is not what runs on others."""
    case = Case(batch=1, channels=8, m=8, height=2, width=3, layout="channels_last")
    inputs, expected = take(implementation, case, backward=False)
    assert expected.only("output").violations(run_forward(implementation, inputs, case)) == {}

    def further_on(x: Tensor, by: int) -> Tensor:
        """The same tensor in the same layout, some elements further on in its storage."""
        larger = x.new_full((x.numel() + by,), torch.nan)
        return larger[by:].as_strided(x.shape, x.stride()).copy_(x)

    for by in (1, 2, 4):
        query, key, value, grad = (further_on(x, by) for x in (inputs.query, inputs.key, inputs.value, inputs.grad))
        assert value.data_ptr() % 64 == 4 * by or DEVICE.type == "cpu"
        moved = Inputs(query=query, key=key, value=value, prior=inputs.prior, grad=grad)
        assert expected.only("output").violations(run_forward(implementation, moved, case)) == {}
        if refusal(implementation, inputs, case) is None:
            assert expected.violations(run(implementation, moved, case)) == {}


def test_more_programs_than_a_grid_takes_are_refused() -> None:
    take("triton", CASES["one group"])
    problem = Problem(batch=2**40, channels=1, height=1, width=1, kernel_size=1, m=1)
    assert "2³¹" in str(unsupported("triton", problem, DEVICE))


def test_shapes_beyond_two_to_the_31() -> None:
    """What a compiler is told of tensors that this machine could not hold."""
    take("triton", CASES["one group"])
    with FakeTensorMode():
        value = torch.empty(33, 1024, 1024, 64, dtype=torch.bfloat16).permute(0, 3, 1, 2).requires_grad_()
        query, key = (torch.empty(33, 8, 1024, 1024, dtype=torch.bfloat16, requires_grad=True) for _ in range(2))
        output = local_relation(query, key, value, kernel_size=3, m=8, implementation="triton")
        gradients = torch.autograd.grad(output, (query, key, value), torch.empty_like(output))
    assert value.numel() > 2**31
    assert output.shape == value.shape
    assert output.stride() == value.stride()
    assert [x.shape for x in gradients] == [query.shape, key.shape, value.shape]


def relation_and_gradients(operands: list[Tensor], grad: Tensor) -> list[Tensor]:
    """The fused kernels' output, and its gradients, for a window of 3×3 and groups of 8 channels."""
    leaves = [x.detach().requires_grad_() for x in operands]
    output = local_relation(*leaves, kernel_size=3, m=8, implementation="triton")
    return [output.detach(), *torch.autograd.grad(output, leaves, grad)]


@pytest.fixture
def a_large_gpu() -> None:
    """The largest of these problems takes 37 GiB."""
    skip_on_a_small_gpu()


def skip_on_a_small_gpu() -> None:
    has = torch.cuda.get_device_properties(DEVICE).total_memory
    if has < LARGE_GPU:
        pytest.skip(f"needs a GPU of 48 GB, this one has {has / 1e9:.0f}")


def test_a_gpu_of_24_gb_is_spared(monkeypatch: pytest.MonkeyPatch) -> None:
    total = [25_300_000_000]
    monkeypatch.setattr(torch.cuda, "get_device_properties", lambda _: SimpleNamespace(total_memory=total[0]))
    with pytest.raises(pytest.skip.Exception, match="needs a GPU of 48 GB, this one has 25"):
        skip_on_a_small_gpu()
    total[0] = 47_700_000_000
    skip_on_a_small_gpu()


def test_what_needs_a_large_gpu_says_so() -> None:
    """Every test on a GPU of more elements than 2³¹."""
    large = [one for name, one in globals().items() if name.startswith("test_") and "more_than_two_to" in name]
    assert len(large) == 3
    for one in large:
        assert [mark.args for mark in one.pytestmark if mark.name == "usefixtures"] == [("a_large_gpu",)]


def drawn(*shape: int) -> Tensor:
    return torch.randn(shape, device=DEVICE, dtype=torch.bfloat16)


@pytest.mark.gpu
@pytest.mark.usefixtures("a_large_gpu")
@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last], ids=["contiguous", "channels last"])
def test_a_batch_of_more_than_two_to_the_31_elements(layout: torch.memory_format) -> None:
    """The last image has the output and the gradients that it has alone."""
    shapes = [(33, channels, 1024, 1024) for channels in (8, 8, 64, 64)]
    *operands, grad = (drawn(*shape).contiguous(memory_format=layout) for shape in shapes)
    assert operands[2].numel() > 2**31
    whole = relation_and_gradients(operands, grad)
    alone = relation_and_gradients([x[-1:].clone() for x in operands], grad[-1:].clone())
    assert all(torch.equal(one[-1:], other) for one, other in zip(whole, alone, strict=True))


@pytest.mark.gpu
@pytest.mark.usefixtures("a_large_gpu")
def test_an_image_of_more_than_two_to_the_31_elements() -> None:
    """Its last rows have the output and the gradients that they have with few rows above them."""
    size, rows = 5800, 16
    shapes = [(1, channels, size, size) for channels in (8, 8, 64, 64)]
    *operands, grad = (drawn(*shape).contiguous(memory_format=torch.channels_last) for shape in shapes)
    assert operands[2].numel() > 2**31
    whole = relation_and_gradients(operands, grad)
    alone = relation_and_gradients([x[:, :, -rows:].clone() for x in operands], grad[:, :, -rows:].clone())
    for one, other in zip(whole, alone, strict=True):
        # Two rows from the cut on, nothing knows of it: gradients see a window's window.
        torch.testing.assert_close(one[:, :, -rows + 2 :], other[:, :, 2:])


@pytest.mark.gpu
@pytest.mark.usefixtures("a_large_gpu")
def test_chunks_of_more_than_two_to_the_31_elements() -> None:
    query, key, value = (drawn(33, channels, 1024, 1024) for channels in (8, 8, 64))
    with torch.no_grad():
        whole = local_relation(query, key, value, kernel_size=3, m=8, implementation="chunked")[-1:]
        last = [x[-1:].clone() for x in (query, key, value)]
        alone = local_relation(*last, kernel_size=3, m=8, implementation="chunked")
    assert torch.equal(whole, alone)
