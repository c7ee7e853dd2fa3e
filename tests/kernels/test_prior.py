"""The geometric prior: its grid and its network."""

import pytest
import torch

from kernels import GeometricPrior, TablePrior
from tests.support.launches import Launches


def offsets(kernel_size: int) -> list[float]:
    return [0.0] if kernel_size == 1 else [2 * u / (kernel_size - 1) - 1 for u in range(kernel_size)]


@pytest.mark.parametrize("kernel_size", [1, 2, 3, 4, 7])
def test_grid_holds_dy_and_dx(kernel_size: int) -> None:
    position = GeometricPrior(4, kernel_size).position
    steps = torch.tensor(offsets(kernel_size))
    torch.testing.assert_close(position[0], steps[:, None].expand(kernel_size, kernel_size))
    torch.testing.assert_close(position[1], steps[None].expand(kernel_size, kernel_size))


@pytest.mark.parametrize(("groups", "hidden", "width"), [(8, None, 4), (1, None, 1), (3, 7, 7)])
def test_network_of_each_offset(groups: int, hidden: int | None, width: int) -> None:
    """project·relu(expand·(dy, dx) + bias), tap by tap."""
    prior = GeometricPrior(groups, 5, hidden)
    assert prior.expand.weight.shape == (width, 2, 1, 1)
    with torch.no_grad():
        output = prior()
        assert prior.expand.bias is not None
        expand, project = prior.expand.weight.flatten(1), prior.project.weight.flatten(1)
        for u, dy in enumerate(offsets(5)):
            for v, dx in enumerate(offsets(5)):
                middle = (expand @ torch.tensor([dy, dx]) + prior.expand.bias).relu()
                torch.testing.assert_close(output[:, u, v], project @ middle)


def test_table_is_learned_and_zero_at_first() -> None:
    prior = TablePrior(3, 5)
    output = prior()
    assert output.shape == (3, 5, 5)
    assert not output.any()
    output.sum().backward()
    assert prior.table.grad is not None
    torch.testing.assert_close(prior.table.grad, torch.ones(3, 5, 5))


def test_autocast_leaves_the_prior_in_full_precision() -> None:
    prior = GeometricPrior(8, 3)
    with torch.autocast("cpu", torch.bfloat16):
        inside = prior()
    assert torch.equal(inside, prior())
    assert inside.dtype == torch.float32


@pytest.mark.parametrize("train", [True, False])
def test_no_convolution_rounds_the_network(train: bool) -> None:
    """On a GPU one of float32 would be of TF32; matrix products are not, unless somebody asks for it."""
    prior = GeometricPrior(8, 7).train(train)
    with Launches() as counted:
        prior()
    assert {name for name in counted.counts if "conv" in name} == set()
    assert {"addmm", "mm"} <= set(counted.counts)


def test_the_network_lies_in_memory_as_the_kernels_read_it() -> None:
    assert GeometricPrior(8, 7)().permute(1, 2, 0).is_contiguous()
