"""Training on digits: it learns with every implementation, is the same each time, and its command survives."""

from typing import Any

import pytest
import torch

from bench.learn_training import HELD_OUT, Recipe, digits, fit, train
from bench.learn_variants import VARIANTS

SHORT = Recipe(epochs=1)
LEARNING = {"recipe": {"epochs": 1}, "split": "halves", "implementation": "unfold"}


@pytest.fixture(autouse=True)
def _one_thread() -> Any:
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


def row(variant: str = "relation-k3", seed: int = 0, **changes: Any) -> dict[str, Any]:
    return {"variant": variant, "seed": seed, "status": "ok", "accuracy": 0.9, "seconds": 1.0, **changes}


def test_a_relation_network_reaches_95_per_cent_on_held_out_digits() -> None:
    result = train(VARIANTS["relation-k3"], 0, Recipe(), "unfold")
    assert result["held_out"] == HELD_OUT
    assert result["correct"] >= 0.95 * HELD_OUT
    assert result["accuracy"] == result["correct"] / HELD_OUT


def losses(implementation: str, steps: int) -> list[float]:
    torch.manual_seed(0)
    return fit(VARIANTS["relation-k3"].network(implementation), digits(), Recipe(), 0, steps)
