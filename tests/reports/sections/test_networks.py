"""Networks beside ResNets."""

import pytest

from reports.sections import networks
from reports.sections.material import Material
from tests.support.report_sections import records, table_of


def test_networks_against_resnets(gpu: Material) -> None:
    section = networks.section(gpu)
    found = {
        (row["implementation"], row["depth"], row["mode"], row["torch.compile"]): row["of ResNet's"]
        for row in records(table_of(section, "networks"))
    }
    assert found["triton", 50, "training", "True"] == pytest.approx(0.93)
    assert found["triton", 50, "training", "False"] == pytest.approx(0.8)
    assert found["unfold", 26, "forward", "False"] == pytest.approx(0.05)
    assert any(text.startswith("LR-Net-50, training: triton gives") for text in section.paragraphs)
    assert len(section.figures) == 2
    parts = records(table_of(section, "layer_parts"))
    assert [row["aggregation (%)"] for row in parts] == pytest.approx([60] * 15)
    assert [row["projections (%)"] for row in parts] == pytest.approx([35] * 15)
