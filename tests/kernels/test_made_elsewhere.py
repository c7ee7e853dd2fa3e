"""Layers made under another default device, or without memory, and filled later as torch's own modules are."""

import pytest
import torch
from torch import nn

from kernels import LocalRelation2d, replace_spatial_convs

every_prior = pytest.mark.parametrize("prior", ["network", "table", "none"])


@every_prior
def test_the_default_device_is_not_that_of_a_layer_with_one(prior: str) -> None:
    torch.manual_seed(0)
    expected = LocalRelation2d(6, 3, m=2, prior=prior)
    with torch.device("meta"):
        torch.manual_seed(0)
        layer = LocalRelation2d(6, 3, m=2, prior=prior, device="cpu")
    assert {tensor.device.type for tensor in layer.state_dict().values()} == {"cpu"}
    x = torch.randn(1, 6, 5, 4)
    assert torch.equal(layer(x), expected(x))


@every_prior
def test_replaced_where_the_model_is(prior: str) -> None:
    model = nn.Sequential(nn.Conv2d(4, 4, 3, padding=1))
    with torch.device("meta"):
        replace_spatial_convs(model, 3, m=2, prior=prior)
    assert {tensor.device.type for tensor in model.state_dict().values()} == {"cpu"}
    assert model(torch.randn(1, 4, 5, 5)).isfinite().all()


@every_prior
@pytest.mark.parametrize("bias", [True, False])
def test_reset_parameters_restores_everything_after_to_empty(prior: str, bias: bool) -> None:
    """Called on the layer, or on each of its modules, as FSDP does."""
    x = torch.randn(1, 6, 5, 4)
    torch.manual_seed(0)
    expected = LocalRelation2d(6, 3, m=2, prior=prior, bias=bias)
    layer = LocalRelation2d(6, 3, m=2, prior=prior, bias=bias, device="meta").to_empty(device="cpu")
    for tensor in layer.state_dict().values():
        tensor.fill_(torch.nan)
    torch.manual_seed(0)
    layer.reset_parameters()
    if prior == "network":  # the constructor draws in another order
        assert torch.equal(layer.get_buffer("prior.position"), expected.get_buffer("prior.position"))
    assert layer(x).isfinite().all()
    for tensor in layer.state_dict().values():
        tensor.fill_(torch.nan)
    for module in layer.modules():
        if module is not layer:
            module.reset_parameters()  # type: ignore[operator]
    assert layer(x).isfinite().all()
