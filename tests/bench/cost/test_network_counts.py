"""The counts by formula against a walk over the modules, the paper's figures, and what a setting refuses."""

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from bench.cost.network_counts import DESIGNS, PUBLISHED, Setting, stage_counts, total_count
from kernels import NETWORKS, BottleneckNet, build_network

# Millions of parameters and GMACs at 224×224, counted by hand from the article's table.
KNOWN = {
    "lr_net_26": (14.61, 2.38),
    "lr_net_50": (23.37, 4.03),
    "lr_net_101": (40.78, 7.50),
    "resnet_26": (16.00, 2.34),
    "resnet_50": (25.56, 4.09),
    "resnet_101": (44.55, 7.80),
}
SETTINGS: dict[str, dict[str, Any]] = {
    "default": {},
    "k = 3, m = 1": {"kernel_size": 3, "m": 1, "height": 33, "width": 95},
    "k = 13, m = 16": {"kernel_size": 13, "m": 16, "in_channels": 1, "classes": 10, "prior": "table"},
    "m = 1000": {"kernel_size": 1, "m": 1000, "in_channels": 4, "height": 64, "width": 32, "prior": "none"},
    "m = 7": {"kernel_size": 5, "m": 7, "height": 97, "width": 127, "classes": 1},
}


@contextmanager
def counting(network: nn.Module, counts: Counter[str]) -> Iterator[None]:
    """Add the multiply–adds of convolutions and linear layers to `counts`, by stage, as they run."""

    def count_for(name: str) -> Any:
        def count(module: nn.Module, _: tuple[Tensor, ...], output: Tensor) -> None:
            weight = module.get_parameter("weight")
            counts[stage_of(name)] += output.numel() * weight[0].numel()

        return count

    handles = [
        module.register_forward_hook(count_for(name))
        for name, module in network.named_modules()
        if isinstance(module, nn.Conv2d | nn.Linear) and ".prior." not in name
    ]
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()


def stage_of(name: str) -> str:
    """res1 to res5 or classes, by a module's or parameter's place in the network."""
    top, *rest = name.split(".")
    return {"stem": "res1", "classifier": "classes"}.get(top) or f"res{int(rest[0]) + 2}"


def walked(network: BottleneckNet, setting: Setting, monkeypatch: pytest.MonkeyPatch) -> tuple[Counter[str], Any]:
    """Parameters, and multiply–adds of one image without pixels, by stage."""
    parameters, macs = Counter[str](), Counter[str]()
    for name, parameter in network.named_parameters():
        parameters[stage_of(name)] += parameter.numel()
    names = iter([name for name, module in network.named_modules() if type(module).__name__ == "LocalRelation2d"])

    def relation(query: Tensor, key: Tensor, value: Tensor, _: Tensor | None, **options: Any) -> Tensor:
        output = value.new_empty(*value.shape[:2], *query.shape[2:])
        assert key.shape == (1, query.shape[1], *value.shape[2:])
        macs[stage_of(next(names))] += options["kernel_size"] ** 2 * (query.numel() + output.numel())
        return output

    monkeypatch.setattr("kernels.layer.local_relation", relation)
    image = torch.empty(1, setting.in_channels, setting.height, setting.width)
    with counting(network, macs):
        assert network.eval()(image).shape == (1, setting.classes)
    assert next(names, None) is None
    return parameters, macs


def built(name: str, setting: Setting) -> BottleneckNet:
    relation = ("kernel_size", "m", "prior") if DESIGNS[name].relation else ()
    options = {option: getattr(setting, option) for option in ("classes", "in_channels", *relation)}
    return build_network(name, **options)


@pytest.mark.parametrize("name", DESIGNS)
@pytest.mark.parametrize("options", SETTINGS.values(), ids=SETTINGS.keys())
def test_the_formula_agrees_with_a_walk(name: str, options: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    setting = Setting(**options)
    with torch.device("meta"):
        parameters, macs = walked(built(name, setting), setting, monkeypatch)
    stages = stage_counts(name, setting)
    assert {stage.name: stage.count.parameters for stage in stages} == parameters
    assert {stage.name: stage.count.macs for stage in stages} == macs
    total = total_count(name, setting)
    assert (total.parameters, total.macs) == (parameters.total(), macs.total())


@pytest.mark.parametrize("name", ["resnet_26", "resnet_50"])
def test_the_formula_agrees_with_torchs_counter(name: str) -> None:
    """torch counts convolutions and matrix products, two operations a multiply–add."""
    setting = Setting(height=96, width=64)
    counter = FlopCounterMode(display=False)
    with torch.device("meta"), counter:
        built(name, setting)(torch.empty(1, 3, 96, 64))
    assert counter.get_total_flops() == 2 * total_count(name, setting).macs


@pytest.mark.parametrize("name", KNOWN)
def test_the_papers_networks(name: str) -> None:
    total = total_count(name, Setting())
    assert (total.parameters / 1e6, total.macs / 1e9) == pytest.approx(KNOWN[name], rel=0.005)


def test_every_network_is_counted() -> None:
    assert list(DESIGNS) == list(NETWORKS) == list(KNOWN)


@pytest.mark.parametrize("source", PUBLISHED)
def test_published_parameters_are_met(source: str) -> None:
    """Within 1 %, the rounding of the figures included; only torchvision's multiply–adds are what is counted here."""
    for name, figures in PUBLISHED[source].items():
        total = total_count(name, Setting())
        assert total.parameters / 1e6 == pytest.approx(figures.parameters_m, rel=0.01)
        assert total.macs / 1e9 == pytest.approx(figures.macs_g, rel=0.0005 if source == "torchvision" else 0.1)


REFUSED: dict[str, tuple[dict[str, Any], str]] = {
    "small": ({"width": 31}, "width must be at least 32, got 31"),
    "no channels": ({"in_channels": 0}, "in_channels must be at least 1, got 0"),
    "no classes": ({"classes": 0}, "classes must be at least 1, got 0"),
    "even window": ({"kernel_size": 4}, "kernel_size must be odd, got 4"),
    "m": ({"m": 0}, "m must be at least 1, got 0"),
    "prior": ({"prior": "tables"}, "prior must be one of network, table, none, got 'tables'"),
}


@pytest.mark.parametrize(("options", "message"), REFUSED.values(), ids=REFUSED.keys())
def test_settings_that_make_no_sense(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Setting(**options)


def test_an_unknown_network() -> None:
    with pytest.raises(ValueError, match="'resnet_34': expected lr_net_26, "):
        total_count("resnet_34", Setting())
