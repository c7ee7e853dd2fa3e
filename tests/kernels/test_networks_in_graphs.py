"""Networks under torch.compile, in one graph, and torch.export."""

from functools import partial

import pytest
import torch

from kernels import BottleneckNet, LocalRelation2d, Stage, relation_stem
from tests.support.cases import DEVICE

pytestmark = pytest.mark.compiles

STAGES = (Stage(1, 6, 12, stride=2),)


def network() -> BottleneckNet:
    """A network that takes 8×8 pixels and more."""
    torch.manual_seed(0)
    spatial = partial(LocalRelation2d, kernel_size=3, m=4, implementation="unfold")
    return BottleneckNet(relation_stem(1, 8, spatial), STAGES, spatial, classes=3).to(DEVICE)


def test_one_graph_for_every_size() -> None:
    module = network()
    compiled = torch.compile(module, fullgraph=True, backend="eager", dynamic=True)
    for batch, height, width in ((2, 16, 24), (3, 17, 9)):
        x = torch.randn(batch, 1, height, width, device=DEVICE)
        torch.testing.assert_close(compiled(x), module(x))


def test_export_with_any_number_of_images() -> None:
    module, x = network().eval(), torch.randn(2, 1, 16, 16, device=DEVICE)
    exported = torch.export.export(module, (x,), dynamic_shapes=({0: torch.export.Dim("batch", min=2)},))
    many = torch.randn(5, 1, 16, 16, device=DEVICE)
    torch.testing.assert_close(exported.module()(many), module(many))
