"""Scope network as axes and sweeps: what poses a network, what contradicts itself, and what is known beforehand."""

from typing import Any

import pytest
import torch
from torch import nn

from bench.case.axes import parse_axis
from bench.case.case import Case
from bench.case.networks import layer_problems
from bench.case.sweeps import SWEEPS, expand
from bench.cost.complexity import paper_cost
from bench.cost.metrics import counts
from bench.errors import UsageError
from bench.measure.preflight import predicted_mib, refusal
from bench.measure.prepared_network import relation_network
from bench.results.columns import DEPTHS
from bench.results.reading import key_of
from bench.run.capacity import Outgrown
from kernels import LocalRelation2d, predicted_bytes
from kernels.implementations.triton_fused import launch
from tests.support.bench_cases import CPU, case, network_case
from tests.support.in_process import Invoke

NETWORK = ["-a", "scope=network", "-a", "depth=26", "-a", "hw=64", "-a", "C=3", "--mode", "forward", "--dry-run"]
CONTRADICTIONS = {
    "training of an operator": (["--mode", "training"], "scope operator has the modes"),
    "backward of a network": ([*NETWORK, "--mode", "backward"], "scope network has the modes forward, training"),
    "a depth of an operator": (["-a", "depth=50"], "depth is of scope network, got depth 50 in scope operator"),
    "torch.compile of a layer": (
        ["-a", "scope=layer", "-a", "torch_compile=true"],
        "torch_compile is of scope network",
    ),
    "a network of no depth": (
        ["-a", "scope=network", "--mode", "forward", "-a", "s=1"],
        "a depth of 26, 50, 101, got none",
    ),
    "an unknown depth": (["-a", "depth=34"], "axis depth takes 26 | 50 | 101, got '34'"),
    "a small image": ([*NETWORK, "-a", "H=31"], "an image of 32×32 pixels at least, got 31×64"),
    "a stride": ([*NETWORK, "-a", "s=2"], "its own stride, got stride 2"),
    "a padding": ([*NETWORK, "-a", "padding=0"], "its own padding, got padding 0"),
    "an even window": ([*NETWORK, "-a", "k=4"], "odd kernel_size, got 4"),
}


@pytest.mark.parametrize(("words", "said"), CONTRADICTIONS.values(), ids=CONTRADICTIONS.keys())
def test_contradictions_are_refused_before_any_work(invoke: Invoke, words: list[str], said: str) -> None:
    # The last mode given counts.
    code, _, error = invoke("run", "quick", "--device", "cpu", "--implementation", "unfold", *words)
    assert code == 2
    assert said in error
    assert len(error.splitlines()) == 1


def test_training_needs_something_to_normalise_over(invoke: Invoke) -> None:
    words = ["-a", "hw=32", "-a", "N=1", "--device", "cpu", "--dry-run"]
    assert "at least 2 values of a channel" in invoke("run", "networks", *words)[2]
    assert invoke("run", "networks", *words, "--mode", "forward")[0] == 0
    assert invoke("run", "networks", "-a", "hw=33", "-a", "N=1", "--device", "cpu", "--dry-run")[0] == 0


def test_a_depth_and_torch_compile_are_columns_that_tell_cases_apart() -> None:
    one = network_case(torch_compile=True)
    assert (one.parameters()["depth"], one.parameters()["torch_compile"]) == (26, True)
    assert (case().parameters()["depth"], case().parameters()["torch_compile"]) == ("", False)
    assert len({key_of(each.parameters()) for each in (one, network_case(), case())}) == 3
    assert all(isinstance(value, str | int) for value in key_of(case().parameters()))
    assert parse_axis("depth=26,101") == ("depth", (26, 101))
    assert "depth 26" in one.label()
    assert "torch.compile" in one.label()


@pytest.mark.parametrize("depth", DEPTHS)
def test_layers_are_those_that_an_image_passes(depth: int) -> None:
    posed = network_case(height=70, width=33, kernel_size=5, padding=2, m=8).problem
    network, seen = relation_network(posed, depth, "unfold", "cpu"), []

    def note(layer: nn.Module, given: tuple[torch.Tensor, ...]) -> None:
        assert isinstance(layer, LocalRelation2d)
        seen.append((*given[0].shape, layer.options["stride"], layer.options["padding"]))

    for module in network.modules():
        if isinstance(module, LocalRelation2d):
            module.register_forward_pre_hook(note)
    with torch.no_grad():
        network.eval()(torch.zeros(2, 1, 70, 33))
    found = [(p.batch, p.channels, p.height, p.width, p.stride, p.padding) for p in layer_problems(posed, depth)]
    assert found == seen


def test_counts_of_a_network() -> None:
    posed: dict[str, Any] = {"channels": 3, "height": 224, "width": 224, "kernel_size": 7, "m": 8, "padding": 3}
    forward, training, other = (
        counts(network_case(name, mode, **posed))
        for name, mode in (("unfold", "forward"), ("unfold", "training"), ("resnet", "forward"))
    )
    # The article's 2.38 and ResNet-26's 2.34 billion an image.
    assert forward["macs"] == pytest.approx(2 * 2.38e9, rel=5e-3)
    assert other["macs"] == pytest.approx(2 * 2.34e9, rel=5e-3)
    assert forward["flops"] == 2 * forward["macs"]
    assert training == {"macs": forward["macs"], "flops": 3 * forward["flops"]}


def test_a_layers_parts_make_the_papers_cost() -> None:
    one = case(scope="layer", channels=64, m=8, stride=2, kernel_size=5, padding=2, height=8, width=8)
    found = counts(one)
    per_pixel = (5 / 8 + 1) * 64 * 2 * 8 * 8 / 4
    assert found["projections_macs"] == per_pixel * 64
    assert found["aggregation_macs"] == per_pixel * 25
    assert found["aggregation_macs"] + found["projections_macs"] == paper_cost(one.problem)
    assert counts(case()).keys() == counts(one).keys() - {"aggregation_macs", "projections_macs"}


def test_who_refuses_a_network(monkeypatch: pytest.MonkeyPatch) -> None:
    assert refusal(network_case("unfold", "training"), CPU) is None
    assert refusal(network_case("resnet", "training", torch_compile=True), CPU) is None
    assert "(the layer of 64 channels at 32×32)" in str(refusal(network_case("flex", "training"), CPU))
    assert "breaks the graph" in str(refusal(network_case("flex", torch_compile=True), CPU))
    monkeypatch.setattr(launch, "interpreting", lambda: False)
    assert "the layer of 64 channels at 32×32" in str(refusal(network_case("triton"), CPU))
    assert refusal(network_case("conv3x3"), CPU) == "conv3x3 is a yardstick of scope operator and layer"
    assert refusal(case("resnet"), CPU) == "resnet is a yardstick of scope network"


def test_predicted_memory_is_the_operators() -> None:
    forward, training = network_case(mode="forward"), network_case(mode="training")
    layers = layer_problems(forward.problem, 26)
    each = [predicted_bytes("chunked", layer, CPU, backward=False) for layer in layers]
    both = [predicted_bytes("chunked", layer, CPU, backward=True) for layer in layers]
    assert predicted_mib(forward, CPU) == max(each) / 2**20
    assert predicted_mib(training, CPU) == sum(both) / 2**20


def test_networks_by_device() -> None:
    on_cpu, on_gpu = (expand(SWEEPS["networks"].on(kind), {}) for kind in ("cpu", "cuda"))
    assert {(one.depth, one.problem.height, one.problem.batch, one.torch_compile) for one in on_cpu} == {
        (26, 64, 2, False)
    }
    assert {(one.implementation, one.mode) for one in on_cpu} == {
        (name, mode)
        for name in ("unfold", "chunked", "compiled", "native", "resnet")
        for mode in ("forward", "training")
    }
    ways = {(one.problem.dtype, one.problem.batch, one.torch_compile) for one in on_gpu}
    assert ways == {(d, n, c) for d in ("bfloat16", "float32") for n in (64, 256) for c in (False, True)}
    assert {(one.depth, one.problem.height, one.problem.memory_format) for one in on_gpu} == {
        (50, 224, "channels_last")
    }
    assert {one.implementation for one in on_gpu} >= {"triton", "resnet"}
    assert SWEEPS["quick"].on("cuda") is SWEEPS["quick"]


def test_what_ran_out_of_memory_says_nothing_of_another_depth() -> None:
    outgrown = Outgrown([network_case(batch=4)])
    assert outgrown.reason(network_case(batch=8)) is not None
    assert outgrown.reason(network_case(batch=8, torch_compile=True)) is None
    larger = network_case(batch=8)
    assert outgrown.reason(Case(larger.problem, "network", "forward", "chunked", depth=50)) is None


def test_what_cannot_be_a_value_of_an_axis_is_named() -> None:
    with pytest.raises(UsageError, match=r"torch_compile takes true \| false, got 'maybe'"):
        parse_axis("torch_compile=maybe")
