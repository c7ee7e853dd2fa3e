"""Whole networks as cases: what is timed against plain PyTorch, and what the check before timing catches."""

from collections.abc import Callable
from functools import partial
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.nn.functional import cross_entropy

from bench.case.case import Case
from bench.device.timing import Timing
from bench.measure import prepared_network
from bench.measure.prepared_network import CLASSES, PreparedNetworks
from bench.measure.runner import Runner
from kernels import (
    BottleneckNet,
    LocalRelation2d,
    Problem,
    Stage,
    convolution_stem,
    relation_stem,
    resnet,
    spatial_conv,
)
from kernels.implementations import chunked
from tests.support.bench_cases import CPU, every_device, network_case

TIMING = Timing(seconds=0.0, min_samples=2, warmup_seconds=0.0, block_seconds=0.0)


STAGES = (Stage(1, 8, 16), Stage(1, 12, 24, stride=2))
OPTIONS = ("kernel_size", "m", "dilation", "composability", "padding_mode", "channel_order")


def small_network(problem: Problem, _: int, implementation: str, device: torch.device) -> BottleneckNet:
    """LR-Net of two blocks, whatever the depth, with a layer in its stem and of each stride."""
    options = {name: getattr(problem, name) for name in OPTIONS}
    spatial = partial(LocalRelation2d, implementation=implementation, **options)
    return BottleneckNet(relation_stem(problem.channels, 16, spatial), STAGES, spatial, CLASSES).to(device)


def small_resnet(problem: Problem, _: int, device: torch.device) -> BottleneckNet:
    return BottleneckNet(convolution_stem(problem.channels, 16), STAGES, spatial_conv, CLASSES).to(device)


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """Networks of two blocks stand in for those of depth 26, where nothing depends on the depth."""
    monkeypatch.setattr(prepared_network, "relation_network", small_network)
    monkeypatch.setattr(prepared_network, "convolution_network", small_resnet)


def prepared(one: Case, device: torch.device = CPU) -> PreparedNetworks:
    return PreparedNetworks(one.problem, one.depth, device)


@pytest.mark.usefixtures("small")
@every_device
@pytest.mark.parametrize("mode", ["forward", "training"])
@pytest.mark.parametrize("implementation", ["chunked", "unfold", "resnet"])
def test_a_measured_network(device: torch.device, implementation: str, mode: str) -> None:
    runner, one = Runner(device, TIMING), network_case(implementation, mode)
    step = runner.prepare(one)
    assert step.status is None, step.reason
    if implementation == "resnet":
        assert step.columns.keys() <= {"peak_mib", "reserved_mib", "driver_mib"}
    else:
        assert 0 <= step.columns["error"] <= 1e-4
        assert step.columns["predicted_mib"] > 0
    require_times(runner, one)


def require_times(runner: Runner, one: Case) -> None:
    """A prepared network is timed as a whole."""
    measured = runner.round(one)
    assert measured.latency is not None
    assert len(measured.latency.samples_ms) >= 2
    assert measured.parts == {}


@every_device
def test_a_measured_network_of_its_true_depth(device: torch.device) -> None:
    runner, one = Runner(device, TIMING), network_case(mode="training")
    step = runner.prepare(one)
    assert 0 <= step.columns["error"] <= 1e-4
    # 14.6 million weights less those that one channel and wider groups save, four bytes each.
    assert 50 <= step.columns["inputs_mib"] <= 60
    require_times(runner, one)


@pytest.mark.parametrize("mode", ["forward", "training"])
@pytest.mark.parametrize("dtype", ["float64", "bfloat16", "float16"])
def test_every_dtype_is_right(dtype: str, mode: str) -> None:
    one = network_case(mode=mode, dtype=dtype, memory_format="channels_last")
    made = prepared(one)
    error = made.error(one)
    assert 0 < error.value <= 0.7 * error.tolerance
    weights = {tensor.dtype for tensor in made.inputs(one) if tensor.is_floating_point()}
    assert weights == {torch.float64 if dtype == "float64" else torch.float32}
    assert made.images.is_contiguous(memory_format=torch.channels_last)


def test_inference_is_the_networks() -> None:
    one = network_case("resnet")
    made = prepared(one)
    network = resnet(26, in_channels=1)
    state = list(made.inputs(one))[2:]
    network.load_state_dict(dict(zip(network.state_dict(), state, strict=True)))
    out = made.timed(one)()
    assert isinstance(out, Tensor)
    assert not out.requires_grad
    torch.testing.assert_close(out, network.eval()(made.images).detach())


@pytest.mark.usefixtures("small")
def test_a_step_of_training_goes_down_the_gradient() -> None:
    one = network_case(mode="training")
    made = prepared(one)
    network = made._network("chunked")
    before = [weight.detach().clone() for weight in network.parameters()]
    loss = cross_entropy(network.train()(made.images), made.labels)
    grads = torch.autograd.grad(loss, list(network.parameters()))
    made.timed(one)()
    for weight, old, grad in zip(network.parameters(), before, grads, strict=True):
        torch.testing.assert_close(weight.detach() - old, -1e-4 * grad, rtol=1e-2, atol=1e-7)
        assert weight.grad is None
    # Checked is what was drawn, however often it was trained.
    assert made.error(one).value <= 1e-4


@pytest.mark.usefixtures("small")
def test_a_step_is_as_long_where_the_loss_is_scaled(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("bench.measure.prepared_network._LEARNING_RATE", 1.0)
    steps = []
    for dtype in ("float32", "float16"):
        one = network_case(mode="training", dtype=dtype, height=64, width=64)
        made = prepared(one)
        weight = made._network("chunked").classifier.weight
        before = weight.detach().clone()
        made.timed(one)()
        steps.append(weight.detach() - before)
    assert float((steps[0] - steps[1]).norm() / steps[0].norm()) < 0.5


Run = Callable[..., Tensor]
SPOILED: dict[str, Callable[[Run], Run]] = {
    "a key without gradient": lambda right: lambda p, q, k, *rest: right(p, q, k.detach() + 0 * k, *rest),
    "no prior": lambda right: lambda p, q, k, v, prior, *rest: right(p, q, k, v, 0 * prior, *rest),
    "windows a pixel off": lambda right: (
        lambda p, q, k, v, *rest: right(p, q, k.roll(1, -1).contiguous(), v.roll(1, -1).contiguous(), *rest)
    ),
    "images mixed up": lambda right: lambda *all_: right(*all_).flip(0),
    "a number that is none": lambda right: lambda *all_: right(*all_) * torch.nan,
}


def require_incorrect(spoil: Any, monkeypatch: pytest.MonkeyPatch, **sizes: Any) -> None:
    monkeypatch.setattr(chunked, "run", spoil(chunked.run))
    step = Runner(CPU, TIMING).prepare(network_case(mode="training", m=8, **sizes))
    assert step.status == "incorrect"


@pytest.mark.usefixtures("small")
@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
@pytest.mark.parametrize("spoil", SPOILED.values(), ids=SPOILED.keys())
def test_wrong_layers_are_incorrect(spoil: Any, dtype: str, monkeypatch: pytest.MonkeyPatch) -> None:
    require_incorrect(spoil, monkeypatch, dtype=dtype)


@pytest.mark.parametrize("name", ["a key without gradient", "windows a pixel off"])
def test_wrong_layers_are_incorrect_at_their_true_depth(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Those that the tolerance is measured by, and large enough for every stage to have windows not all border."""
    require_incorrect(SPOILED[name], monkeypatch, dtype="bfloat16", height=64, width=64)


@pytest.mark.usefixtures("small")
def test_torch_compile_takes_the_whole_network(monkeypatch: pytest.MonkeyPatch) -> None:
    # Without the code generator, which takes a minute.
    monkeypatch.setattr(torch, "compile", partial(torch.compile, backend="eager"))
    for mode in ("forward", "training"):
        one = network_case("unfold", mode, torch_compile=True)
        made = prepared(one)
        made.timed(one)()
        assert made.error(one).value <= 1e-4
        # Once for all turns.
        assert made._run(one) is made._run(one)


@pytest.mark.usefixtures("small")
def test_a_wrong_compiler_is_caught_in_training(monkeypatch: pytest.MonkeyPatch) -> None:
    def doubling(run: Callable[..., Tensor], **_: Any) -> Callable[..., Tensor]:
        return lambda network, images: 2 * run(network, images)

    monkeypatch.setattr(torch, "compile", doubling)
    for mode in ("forward", "training"):
        one = network_case(mode=mode, torch_compile=True)
        error = prepared(one).error(one)
        assert error.value > error.tolerance
