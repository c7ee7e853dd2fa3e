"""The geometric prior: its grid, its network, and what evaluation keeps between calls."""

from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from kernels import GeometricPrior, TablePrior


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


def step(prior: GeometricPrior) -> None:
    optimizer = torch.optim.SGD(prior.parameters(), 0.1)
    for parameter in prior.parameters():
        parameter.grad = torch.ones_like(parameter)
    optimizer.step()


def load(prior: GeometricPrior) -> None:
    torch.manual_seed(7)
    prior.load_state_dict(GeometricPrior(8, 3).state_dict())


def assign(prior: GeometricPrior) -> None:
    prior.load_state_dict({name: tensor + 1 for name, tensor in prior.state_dict().items()}, assign=True)


def update(prior: GeometricPrior) -> None:
    with torch.no_grad():
        prior.project.weight.add_(1)


def set_data(prior: GeometricPrior) -> None:
    prior.project.weight.data = prior.project.weight.data + 1


def replace_parameter(prior: GeometricPrior) -> None:
    prior.project.weight = torch.nn.Parameter(prior.project.weight.detach() + 1)


def move_grid(prior: GeometricPrior) -> None:
    prior.position.mul_(2)


def to_float64(prior: GeometricPrior) -> None:
    prior.double()


def train_and_back(prior: GeometricPrior) -> None:
    prior.train()
    step(prior)
    prior.eval()


CHANGES = (step, load, assign, update, set_data, replace_parameter, move_grid, to_float64, train_and_back)


@pytest.mark.parametrize("change", CHANGES)
@pytest.mark.parametrize("mode", [torch.no_grad, torch.inference_mode])
def test_kept_prior_is_never_stale(change: Callable[[GeometricPrior], None], mode: Callable[[], torch.no_grad]) -> None:
    torch.manual_seed(0)
    prior = GeometricPrior(8, 3).eval()
    with mode():
        before = prior()
    change(prior)
    with mode():
        after = prior()
    with torch.enable_grad():
        fresh: Tensor = prior().detach()
    torch.testing.assert_close(after, fresh, rtol=0, atol=0)
    assert not torch.equal(after.double(), before.double())


def test_evaluation_keeps_the_prior() -> None:
    prior = GeometricPrior(8, 3).eval()
    with torch.no_grad():
        assert prior() is prior()
    assert prior() is not prior()
    prior.train()
    with torch.no_grad():
        assert prior() is not prior()


def test_a_prior_kept_in_inference_mode_serves_training() -> None:
    """What was kept there is no use to autograd; gradients come from a fresh one."""
    prior = GeometricPrior(8, 3).eval()
    with torch.inference_mode():
        prior()
    with torch.no_grad():
        kept = prior()
    (kept * torch.ones(8, 3, 3, requires_grad=True)).sum().backward()
    prior().sum().backward()
    assert prior.project.weight.grad is not None


def test_autocast_leaves_the_prior_in_full_precision() -> None:
    prior = GeometricPrior(8, 3)
    with torch.autocast("cpu", torch.bfloat16):
        inside = prior()
    assert torch.equal(inside, prior())
    assert inside.dtype == torch.float32
