"""What the geometric prior must not keep: what hooks, adapters, flags or modes change; and how it is made."""

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode

from kernels import GeometricPrior


class Doubling(torch.nn.Module):
    """An adapter around a convolution, which a flag switches on: nothing of it is in the weights."""

    def __init__(self, base: torch.nn.Conv2d) -> None:
        super().__init__()
        self.base, self.enabled = base, False

    def forward(self, x: Tensor) -> Tensor:
        return self.base(x) * (2 if self.enabled else 1)  # type: ignore[no-any-return]


class Switched(torch.nn.Conv2d):
    """A convolution of a user's own, with the same flag."""

    enabled = False

    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x) * (2 if self.enabled else 1)


def wrap(prior: GeometricPrior) -> Callable[[], None]:
    adapter = Doubling(prior.project)
    prior.project = adapter  # type: ignore[assignment]
    return lambda: setattr(adapter, "enabled", True)


def derive(prior: GeometricPrior) -> Callable[[], None]:
    project = Switched(prior.project.in_channels, prior.project.out_channels, 1, bias=False)
    prior.project = project
    return lambda: setattr(project, "enabled", True)


def patch_forward(prior: GeometricPrior) -> Callable[[], None]:
    adapter = Doubling(torch.nn.Conv2d(prior.project.in_channels, prior.project.out_channels, 1, bias=False))
    prior.project.forward = adapter.forward  # type: ignore[method-assign, assignment]
    return lambda: setattr(adapter, "enabled", True)


def hook_later(prior: GeometricPrior) -> Callable[[], None]:
    def switch() -> None:
        prior.project.register_forward_hook(lambda _, __, output: output * 2)

    return switch


def hook_before_later(prior: GeometricPrior) -> Callable[[], None]:
    def switch() -> None:
        prior.project.register_forward_pre_hook(lambda _, inputs: (inputs[0] * 2,))

    return switch


class Twice(GeometricPrior):
    """A prior of a user's own."""

    factor = 1.0

    def _evaluate(self) -> Tensor:
        return super()._evaluate() * self.factor


@pytest.mark.parametrize("prepare", [wrap, derive, patch_forward, hook_later, hook_before_later])
def test_what_the_weights_do_not_tell_is_not_kept(prepare: Callable[[GeometricPrior], Callable[[], None]]) -> None:
    """Adapters, flags and hooks change an evaluation without a change of weights."""
    torch.manual_seed(0)
    prior = GeometricPrior(8, 3).eval()
    switch = prepare(prior)
    with torch.no_grad():
        before = prior()
        switch()
        after = prior()
    torch.testing.assert_close(after, 2 * before)


def test_a_prior_of_a_users_own_is_not_kept() -> None:
    prior = Twice(8, 3).eval()
    with torch.no_grad():
        before = prior()
        prior.factor = 2.0
        torch.testing.assert_close(prior(), 2 * before)


def test_hooks_are_called_each_time() -> None:
    prior = GeometricPrior(8, 3).eval()
    with torch.no_grad():
        prior()
        called: list[None] = []
        handle = prior.expand.register_forward_hook(lambda *_: called.append(None))
        for _ in range(5):
            prior()
        handle.remove()
        with torch.nn.modules.module.register_module_forward_hook(lambda *_: called.append(None)):
            prior()
    assert len(called) == 5 + 3  # the last for the prior and both of its convolutions


def test_a_function_mode_sees_each_evaluation() -> None:
    """It may change what a convolution gives."""

    class Doubled(TorchFunctionMode):
        def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
            result = func(*args, **(kwargs or {}))
            return 2 * result if func is torch.conv2d else result

    prior = GeometricPrior(8, 3).eval()
    with torch.no_grad():
        before = prior()
        with Doubled():
            assert not torch.equal(prior(), before)
        assert torch.equal(prior(), before)


def test_the_default_device_changes_nothing() -> None:
    """The grid of offsets is made where the weights are."""
    torch.manual_seed(0)
    expected = GeometricPrior(8, 3)
    with torch.device("meta"):
        torch.manual_seed(0)
        prior = GeometricPrior(8, 3, device="cpu")
    assert torch.equal(prior(), expected())


@pytest.mark.parametrize("kernel_size", [1, 2, 5])
def test_reset_after_to_empty(kernel_size: int) -> None:
    torch.manual_seed(0)
    expected = GeometricPrior(8, kernel_size)
    prior = GeometricPrior(8, kernel_size, device="meta").to_empty(device="cpu")
    torch.manual_seed(0)
    prior.reset_parameters()
    assert torch.equal(prior(), expected())
    steps = torch.linspace(-1, 1, kernel_size) if kernel_size > 1 else torch.zeros(1)
    torch.testing.assert_close(prior.position, torch.stack(torch.meshgrid(steps, steps, indexing="ij")))
