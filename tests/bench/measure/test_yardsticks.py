"""The yardsticks against convolutions written as sums, and copies against the bytes that they move."""

from itertools import product

import pytest
import torch
from torch import Tensor

from bench.case.axes import MODES_OF
from bench.case.case import Case
from bench.cost.complexity import min_bytes
from bench.cost.yardsticks import YARDSTICKS, replaced_channels
from bench.device.timers import Call
from bench.measure.yardsticks import TIMED
from kernels import Problem
from tests.support.bench_cases import CPU, problem


@pytest.mark.parametrize(
    ("channels", "replaced"), [(100, 64), (200, 128), (400, 256), (800, 512), (64, 40), (1024, 656), (3, 8)]
)
def test_channels_of_the_convolution_that_is_replaced(channels: int, replaced: int) -> None:
    assert replaced_channels(channels) == replaced


def timed(one: Case) -> Call:
    """What is timed of a yardstick that is no network."""
    return TIMED[one.implementation](one, CPU)


def output_of(name: str, posed: Problem) -> Tensor:
    out = timed(Case(posed, "operator", "forward", name))()
    assert isinstance(out, Tensor)
    return out


def drawn(posed: Problem, weight: tuple[int, ...], channels: int) -> tuple[Tensor, Tensor]:
    """The convolution's input and weight: the same generator gives them again."""
    generator = torch.Generator().manual_seed(0)
    source = torch.randn(posed.batch, channels, posed.height, posed.width, generator=generator)
    return source, torch.randn(weight, generator=generator)


def summed(source: Tensor, weight: Tensor, posed: Problem, padding: int, dilation: int, *, dense: bool) -> Tensor:
    """A convolution, tap by tap."""
    k, s = weight.shape[2], posed.stride
    padded = torch.nn.functional.pad(source, [padding] * 4)
    sizes = [(size + 2 * padding - dilation * (k - 1) - 1) // s + 1 for size in (posed.height, posed.width)]
    out = torch.zeros(posed.batch, weight.shape[0], *sizes)
    for u, v in product(range(k), repeat=2):
        rows, columns = (
            slice(at * dilation, at * dilation + (n - 1) * s + 1, s) for at, n in zip((u, v), sizes, strict=True)
        )
        window = padded[:, :, rows, columns]
        tap = weight[:, :, u, v]
        out += torch.einsum("oc,nchw->nohw", tap, window) if dense else tap.view(-1, 1, 1) * window
    return out


@pytest.mark.parametrize("stride", [1, 2])
def test_the_dense_convolution(stride: int) -> None:
    posed = problem(channels=25, m=4, stride=stride, height=7, kernel_size=5, padding=2)
    source, weight = drawn(posed, (16, 16, 3, 3), 16)
    expected = summed(source, weight, posed, 1, 1, dense=True)
    assert expected.shape[2:] == (posed.out_height, posed.out_width)
    torch.testing.assert_close(output_of("conv3x3", posed), expected, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("options", [{}, {"stride": 2}, {"dilation": 2, "padding": 4}, {"padding": 0}], ids=str)
def test_the_depthwise_convolution(options: dict[str, int]) -> None:
    posed = problem(**{"kernel_size": 5, "padding": 2, "height": 9, "width": 8, **options})
    source, weight = drawn(posed, (6, 1, 5, 5), 6)
    expected = summed(source, weight, posed, posed.padding, posed.dilation, dense=False)
    assert expected.shape[2:] == (posed.out_height, posed.out_width)
    torch.testing.assert_close(output_of("depthwise", posed), expected, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("name", ["conv3x3", "depthwise"])
def test_backward_gives_both_gradients(name: str) -> None:
    for mode in ("backward", "forward_backward"):
        grads = timed(Case(problem(dtype="bfloat16"), "layer", mode, name))()
        assert isinstance(grads, tuple)
        channels = replaced_channels(6) if name == "conv3x3" else 6
        assert [tuple(grad.shape) for grad in grads] == [
            (2, channels, 5, 4),
            (channels, channels if name == "conv3x3" else 1, 3, 3),
        ]
        assert {grad.dtype for grad in grads} == {torch.bfloat16}
        assert grads[0].is_contiguous(memory_format=torch.channels_last)


@pytest.mark.parametrize("mode", MODES_OF["layer"])
def test_multiply_adds_of_the_convolutions(mode: str) -> None:
    posed = problem(stride=2, channels=50)
    pixels, passes = 2 * 3 * 2, {"forward": 1, "backward": 2, "forward_backward": 3}[mode]
    for name, per_pixel in {"conv3x3": 32 * 32 * 9, "depthwise": 50 * 9}.items():
        counts = YARDSTICKS[name].counts(Case(posed, "operator", mode, name))
        assert counts == {"macs": pixels * per_pixel, "flops": 2 * passes * pixels * per_pixel}


@pytest.mark.parametrize("scope", ["operator", "layer"])
@pytest.mark.parametrize("mode", MODES_OF["layer"])
def test_a_copy_moves_the_least_bytes(scope: str, mode: str) -> None:
    one = Case(problem(dtype="bfloat16"), scope, mode, "copy")
    copied = timed(one)()
    assert isinstance(copied, Tensor)
    assert bool((copied == 1).all())
    least = min_bytes(one.problem, scope, mode)
    assert 2 * copied.nbytes in (least, least + 1)
    assert YARDSTICKS["copy"].counts(one) == {"min_bytes": least}
