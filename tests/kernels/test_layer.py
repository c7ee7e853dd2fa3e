"""The layer against its parts put together by hand, and what torch asks of a module."""

import copy
import pickle
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from kernels import IMPLEMENTATIONS, LocalRelation2d, Problem, unsupported
from tests.support.cases import DEVICE, as_array
from tests.support.oracle import Options, local_relation, out_size

SHAPE = (2, 12, 9, 8)
LAYERS: dict[str, dict[str, Any]] = {
    "defaults": {"kernel_size": 7},
    "stride 2": {"kernel_size": 3, "stride": 2},
    "stride 3, padding 0": {"kernel_size": 3, "stride": 3, "padding": 0},
    "stride 2, dilation 2, padding 1": {"kernel_size": 3, "stride": 2, "dilation": 2, "padding": 1},
    "kernel 4, stride 2": {"kernel_size": 4, "stride": 2, "padding": 1},
    "kernel 2": {"kernel_size": 2, "padding": 0},
    "5 channels a group": {"kernel_size": 3, "m": 5, "channel_order": "strided"},
    "prior table": {"kernel_size": 3, "prior": "table"},
    "no prior": {"kernel_size": 3, "prior": "none", "padding_mode": "zeros"},
    "biases": {"kernel_size": 3, "bias": True, "composability": "squared_difference"},
    "wide prior": {"kernel_size": 3, "prior_hidden": 20, "composability": "absolute_difference"},
}


def build(**options: Any) -> LocalRelation2d:
    """A layer of 12 channels in float64, a prior table filled with normal numbers."""
    torch.manual_seed(0)
    layer = LocalRelation2d(SHAPE[1], **{"implementation": "unfold", "m": 4, **options})
    layer.to(DEVICE, torch.float64)
    if options.get("prior") == "table":
        with torch.no_grad():
            layer.get_parameter("prior.table").normal_()
    return layer


def image(*shape: int, dtype: torch.dtype = torch.float64) -> Tensor:
    return torch.randn(shape or SHAPE, generator=torch.Generator().manual_seed(1)).to(DEVICE, dtype)


def by_hand(layer: LocalRelation2d, x: Tensor, **options: Any) -> Tensor:
    """Convolutions of the image, the oracle on the query at window centres, a convolution of its output."""
    k, d = options["kernel_size"], options.get("dilation", 1)
    padding = options.get("padding", d * (k - 1) // 2)
    settings = Options(
        kernel_size=k,
        m=options.get("m", 4),
        stride=options.get("stride", 1),
        padding=padding,
        dilation=d,
        composability=options.get("composability", "multiplication"),
        padding_mode=options.get("padding_mode", "mask"),
        channel_order=options.get("channel_order", "consecutive"),
    )
    rows, columns = (
        [i * settings.stride - padding + d * ((k - 1) // 2) for i in range(out_size(size, settings))]
        for size in x.shape[2:]
    )
    query = F.conv2d(x, layer.query.weight, layer.query.bias)[:, :, rows][:, :, :, columns]
    key = F.conv2d(x, layer.key.weight, layer.key.bias)
    prior = None if layer.prior is None else as_array(layer.prior())
    grad = torch.zeros(*x.shape[:2], len(rows), len(columns))
    operands = as_array(query), as_array(key), as_array(x), prior
    relation = local_relation(operands, as_array(grad), settings)
    output = torch.from_numpy(relation.values["output"]).to(DEVICE)
    return F.conv2d(output, layer.output.weight, layer.output.bias)


@pytest.mark.parametrize("options", LAYERS.values(), ids=LAYERS.keys())
def test_the_layer_is_its_parts(options: dict[str, Any]) -> None:
    layer, x = build(**options), image()
    torch.testing.assert_close(layer(x), by_hand(layer, x, **options))


@pytest.mark.parametrize("implementation", [name for name in IMPLEMENTATIONS if name != "triton"])
def test_every_implementation_serves_the_layer(implementation: str) -> None:
    problem = Problem(batch=2, channels=12, height=9, width=8, kernel_size=3, m=4, padding=1, dtype="float64")
    reason = unsupported(implementation, problem, DEVICE)
    if reason is not None:
        pytest.skip(reason)
    layer, x = build(kernel_size=3, implementation=implementation), image()
    torch.testing.assert_close(layer(x), by_hand(layer, x, kernel_size=3))


def test_parameters() -> None:
    """C²(2/m + 1) weights and a prior network of 2·h + h + h·G, whatever the window."""
    counts = {k: sum(p.numel() for p in LocalRelation2d(64, k, m=8).parameters()) for k in (3, 7)}
    assert counts == dict.fromkeys((3, 7), 64 * 64 * 5 // 4 + 3 * 4 + 4 * 8)
    biased = LocalRelation2d(64, 7, m=8, bias=True)
    assert sum(p.numel() for p in biased.parameters()) == counts[7] + 8 + 8 + 64


@pytest.mark.parametrize("options", LAYERS.values(), ids=LAYERS.keys())
def test_state_dict_round_trip(options: dict[str, Any]) -> None:
    layer, x = build(**options), image()
    other = build(**options)
    with torch.no_grad():
        for parameter in other.parameters():
            parameter.add_(1)
    assert not torch.equal(other(x), layer(x))
    other.load_state_dict(layer.state_dict())
    assert torch.equal(other(x), layer(x))


@pytest.mark.parametrize("train", [True, False])
@pytest.mark.parametrize("prior", ["network", "table", "none"])
def test_copies(prior: str, train: bool) -> None:
    """A copy made before or after a forward pass computes the same, and does not follow the original."""
    layer, x = build(kernel_size=3, prior=prior).train(train), image()
    with torch.no_grad():
        before = layer(x)
        copies = [copy.deepcopy(layer), pickle.loads(pickle.dumps(layer))]  # noqa: S301
        for parameter in layer.parameters():
            parameter.mul_(2)
        for one in copies:
            assert torch.equal(one(x), before)
        assert not torch.equal(layer(x), before)


def test_backward_again_and_again() -> None:
    """Three steps accumulate three times the gradient of one; each builds its own graph."""
    layer, x = build(kernel_size=3), image()
    layer(x).sum().backward()
    once = {name: parameter.grad.clone() for name, parameter in layer.named_parameters() if parameter.grad is not None}
    assert once.keys() == dict(layer.named_parameters()).keys()
    for _ in range(2):
        layer(x).sum().backward()
    for name, gradient in once.items():
        torch.testing.assert_close(layer.get_parameter(name).grad, 3 * gradient)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16])
def test_other_dtypes(dtype: torch.dtype) -> None:
    """The layer in a dtype is as far from float64 as a chain of a few roundings in it may be."""
    layer, x = build(kernel_size=3), image()
    exact = layer(x)
    narrow = layer.to(dtype)
    output = narrow(x.to(dtype))
    assert output.dtype == dtype
    tolerance = 8 * torch.finfo(dtype).eps
    torch.testing.assert_close(output.double(), exact, rtol=tolerance, atol=tolerance)


def test_autocast_is_the_layer_in_bfloat16_with_the_prior_in_float32() -> None:
    """The convolutions run in bfloat16, the value follows, the prior keeps its float32."""
    layer, x = build(kernel_size=3).float(), image(dtype=torch.float32)
    with torch.autocast(DEVICE.type, torch.bfloat16):
        output = layer(x)
    cast = copy.deepcopy(layer).bfloat16()
    cast.prior = layer.prior
    assert output.dtype == torch.bfloat16
    torch.testing.assert_close(output, cast(x.bfloat16()), rtol=0, atol=0)


def test_autocast_trains_float32_parameters() -> None:
    layer, x = build(kernel_size=3).float(), image(dtype=torch.float32)
    with torch.autocast(DEVICE.type, torch.bfloat16):
        layer(x).float().square().mean().backward()
    narrow = {name: parameter.grad for name, parameter in layer.named_parameters()}
    layer.zero_grad()
    layer(x).square().mean().backward()
    for name, parameter in layer.named_parameters():
        gradient = narrow[name]
        assert gradient is not None
        assert parameter.grad is not None
        assert gradient.dtype == torch.float32
        difference = (gradient - parameter.grad).norm() / parameter.grad.norm()
        assert difference < 16 * torch.finfo(torch.bfloat16).eps, name


@pytest.mark.parametrize("stride", [1, 2])
def test_channels_last(stride: int) -> None:
    layer, x = build(kernel_size=3, stride=stride), image()
    layer.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    output = layer(x.contiguous(memory_format=torch.channels_last))
    assert output.is_contiguous(memory_format=torch.channels_last)
    torch.testing.assert_close(output, build(kernel_size=3, stride=stride)(x))


def test_empty_batch() -> None:
    layer = build(kernel_size=3)
    x = image(0, *SHAPE[1:]).requires_grad_()
    output = layer(x)
    output.sum().backward()
    assert output.shape == x.shape
    gradients = [parameter.grad for parameter in layer.parameters()]
    assert all(gradient is not None and not gradient.any() for gradient in gradients)


def test_extra_repr() -> None:
    layer = LocalRelation2d(16, 5, m=4, stride=2, padding_mode="zeros", implementation="chunked")
    assert layer.extra_repr() == (
        "16, kernel_size=5, m=4, stride=2, padding=2, dilation=1, composability='multiplication', "
        "padding_mode='zeros', channel_order='consecutive', implementation='chunked'"
    )
    assert layer.extra_repr() in repr(layer)


def test_the_constructor_places_parameters() -> None:
    layer = LocalRelation2d(8, 3, m=4, device="meta", dtype=torch.bfloat16)
    tensors = [*layer.parameters(), *layer.buffers()]
    assert {(tensor.device.type, tensor.dtype) for tensor in tensors} == {("meta", torch.bfloat16)}
