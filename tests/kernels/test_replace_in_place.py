"""Swapping in place: modules in any container or in several places, all or nothing, and what is refused."""

import re
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from kernels import LocalRelation2d, replace_spatial_convs


def conv(channels: int = 8, **options: Any) -> nn.Conv2d:
    return nn.Conv2d(channels, channels, 3, padding=1, **options)


def names_of_layers(model: nn.Module) -> list[str]:
    modules = model.named_modules(remove_duplicate=False)
    return [name for name, module in modules if isinstance(module, LocalRelation2d)]


def test_containers() -> None:
    model = nn.ModuleDict(
        {
            "list": nn.ModuleList([conv(), nn.ReLU(), conv()]),
            "deep": nn.Sequential(nn.Sequential(conv()), nn.ModuleDict({"inner": conv()})),
        }
    )
    places = ["list.0", "list.2", "deep.0.0", "deep.1.inner"]
    assert list(replace_spatial_convs(model).replaced) == places
    assert names_of_layers(model) == places
    assert [type(module).__name__ for module in model["list"].children()] == [
        "LocalRelation2d",
        "ReLU",
        "LocalRelation2d",
    ]


def test_one_convolution_in_several_places_becomes_one_layer() -> None:
    shared, block = conv(), nn.Sequential(conv())
    model = nn.Sequential(shared, nn.ReLU(), shared, nn.Sequential(shared), block, block)
    record = replace_spatial_convs(model, 3)
    places = ["0", "2", "3.0", "4.0", "5.0"]
    assert list(record.replaced) == places
    assert names_of_layers(model) == places
    assert model[0] is model[2] is model.get_submodule("3.0")
    assert model[4] is model[5] is block
    assert len({id(model.get_submodule(place)) for place in places}) == 2


def test_a_convolution_with_two_names_in_one_module() -> None:
    model = nn.ModuleDict({"a": conv()})
    model["b"] = model["a"]
    assert list(replace_spatial_convs(model).replaced) == ["a", "b"]
    assert model["a"] is model["b"]
    assert names_of_layers(model) == ["a", "b"]


@pytest.mark.parametrize("dtype", [torch.float64, torch.bfloat16])
@pytest.mark.parametrize("train", [True, False])
def test_dtype_and_training_flag_are_kept(dtype: torch.dtype, train: bool) -> None:
    model = nn.Sequential(conv(), nn.BatchNorm2d(8)).to(dtype).train(train)
    model[0].requires_grad_(False)
    replace_spatial_convs(model, 3, implementation="unfold")
    assert {module.training for module in model[0].modules()} == {train}
    assert {tensor.dtype for tensor in model[0].state_dict().values()} == {dtype}
    assert all(parameter.requires_grad for parameter in model[0].parameters())
    assert model(torch.ones(1, 8, 5, 5, dtype=dtype)).dtype == dtype


@pytest.mark.parametrize("device", ["meta", pytest.param("cuda", marks=pytest.mark.gpu)])
def test_device_is_kept(device: str) -> None:
    """Of each convolution by itself."""
    model = nn.Sequential(conv(device=device), conv())
    replace_spatial_convs(model, 3, implementation="unfold")
    places = [{tensor.device.type for tensor in layer.state_dict().values()} for layer in model.children()]
    assert places == [{device}, {"cpu"}]
    assert model[0](torch.ones(1, 8, 5, 5, device=device)).shape == (1, 8, 5, 5)


def test_where_chooses_among_those_that_could_be_replaced() -> None:
    model = nn.Sequential(conv(), nn.Conv2d(8, 8, 1), conv(dilation=1), conv(16))
    asked: list[tuple[str, nn.Conv2d]] = []

    def where(name: str, module: nn.Conv2d) -> bool:
        asked.append((name, module))
        return module.in_channels == 8 and name != "0"

    convs = {name: model.get_submodule(name) for name in ("0", "2", "3")}
    record = replace_spatial_convs(model, where=where)
    assert asked == list(convs.items())
    assert list(record.replaced) == ["2"]
    assert record.left == {"0": "left out by `where`", "1": "1×1", "3": "left out by `where`"}


def test_again_leaves_the_layers_and_what_is_in_them() -> None:
    model = nn.Sequential(conv(), conv())
    replace_spatial_convs(model, 3, where=lambda name, _: name == "0")
    first = model[0]
    record = replace_spatial_convs(model, 5)
    assert (list(record.replaced), record.left) == (["1"], {})
    assert model[0] is first
    assert "kernel_size=5" in repr(model[1])


class Stubborn(nn.ModuleDict):
    """Takes a layer of local relations in one place only."""

    def __setattr__(self, name: str, value: Any) -> None:
        if name == "second" and isinstance(value, LocalRelation2d):
            raise RuntimeError("not here")
        super().__setattr__(name, value)


def refuse(name: str, _: nn.Conv2d) -> bool:
    if name == "second":
        raise RuntimeError("not this one")
    return True


FAILURES: dict[str, tuple[dict[str, Any], type[Exception], str]] = {
    "m 0": ({"m": 0}, ValueError, "m must be at least 1, got 0"),
    "m of a float": ({"m": 8.0}, TypeError, r"m must be an int, got 8\.0"),
    "kernel_size 0": ({"kernel_size": 0}, ValueError, "kernel_size must be at least 1, got 0"),
    "kernel_size 4": ({"kernel_size": 4}, ValueError, "kernel_size must be odd.*, got 4"),
    "kernel_size of a pair": ({"kernel_size": (3, 3)}, TypeError, r"kernel_size .*\(3, 3\)"),
    "prior": ({"prior": "tables"}, ValueError, "prior must be one of network, table, none, got 'tables'"),
    "prior_hidden": ({"prior": "none", "prior_hidden": 3}, ValueError, "prior_hidden .*3 with prior='none'"),
    "implementation": ({"implementation": "cuda"}, ValueError, "implementation .*got 'cuda'"),
    "composability": ({"composability": "dot"}, ValueError, "composability .*got 'dot'"),
    "padding_mode": ({"padding_mode": "reflect"}, ValueError, "padding_mode .*got 'reflect'"),
    "channel_order": ({"channel_order": "random"}, ValueError, "channel_order .*got 'random'"),
    "stride": ({"stride": 2}, TypeError, "options must be among composability.*, got stride"),
    "where raises": ({"where": refuse}, RuntimeError, "not this one"),
    "a place that cannot be set": ({}, RuntimeError, "not here"),
}


@pytest.mark.parametrize(("options", "error", "message"), FAILURES.values(), ids=FAILURES)
def test_a_failure_changes_nothing(options: dict[str, Any], error: type[Exception], message: str) -> None:
    model = Stubborn({"first": conv(), "second": conv(), "third": nn.Sequential(conv(16))})
    before = dict(model.named_modules())
    with pytest.raises(error, match=message):
        replace_spatial_convs(model, **options)
    assert dict(model.named_modules()) == before


@pytest.mark.parametrize("failing", ["second", "third"])
def test_a_layer_that_cannot_be_built_changes_nothing(failing: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Out of memory, say, for the last one."""
    model = nn.ModuleDict({"first": conv(2), "second": conv(3), "third": conv(4)})
    channels, before = model[failing].in_channels, dict(model.named_modules())
    build = LocalRelation2d.__init__

    def fail(self: LocalRelation2d, channels_of_one: int, *arguments: Any, **options: Any) -> None:
        if channels_of_one == channels:
            raise torch.OutOfMemoryError
        build(self, channels_of_one, *arguments, **options)

    monkeypatch.setattr(LocalRelation2d, "__init__", fail)
    with pytest.raises(torch.OutOfMemoryError):
        replace_spatial_convs(model)
    assert dict(model.named_modules()) == before


class Plain(nn.Module):
    """No convolution that a layer could stand for."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, 8, 3, padding=1)
        self.grouped = nn.Sequential(conv(groups=8), conv(groups=8))
        self.last = nn.Conv2d(8, 8, 1)

    def forward(self, x: Tensor) -> Tensor:
        return self.last(self.grouped(self.stem(x)))  # type: ignore[no-any-return]


NOTHING: dict[str, tuple[Callable[[], Any], type[Exception], str]] = {
    "none fits": (
        Plain,
        ValueError,
        "nothing to replace: in and out channels differ (3 → 8): stem; grouped (8): grouped.0, grouped.1; 1×1: last",
    ),
    "no convolution": (lambda: nn.Linear(3, 4), ValueError, "Linear has nothing to replace: it has no convolution"),
    "itself a convolution": (
        lambda: conv(2),
        TypeError,
        "a model that is itself a convolution cannot be swapped in place, got Conv2d(2, 2, kernel_size=(3, 3)",
    ),
    "a tensor": (lambda: torch.zeros(1), TypeError, "model must be an nn.Module, got Tensor tensor([0.])"),
    "a class": (lambda: Plain, TypeError, "model must be an nn.Module, got type <class"),
}


@pytest.mark.parametrize(("build", "error", "message"), NOTHING.values(), ids=NOTHING)
def test_refusals(build: Callable[[], Any], error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=re.escape(message)):
        replace_spatial_convs(build())
