"""Training on digits: networks learn with every implementation, and the same each time."""

from collections.abc import Iterator

import numpy as np
import pytest
import torch

pytest.importorskip("sklearn")

from sklearn.datasets import load_digits

from bench.errors import UsageError
from bench.learn.training import HELD_OUT, Recipe, digits, fit, train
from bench.learn.variants import DEFAULT, VARIANTS, chosen
from kernels import IMPLEMENTATIONS, LocalRelation2d, unsupported

SHORT = Recipe(epochs=1, batch=4)
RELATION = VARIANTS["relation-k3"]


def trainable() -> list[str]:
    problem = RELATION.problem()
    assert problem is not None
    return [name for name in IMPLEMENTATIONS if unsupported(name, problem, "cpu", backward=True) is None]


@pytest.fixture(autouse=True)
def _one_thread() -> Iterator[None]:
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


def losses(implementation: str, steps: int, recipe: Recipe = SHORT) -> list[float]:
    torch.manual_seed(0)
    return fit(RELATION.network(implementation), digits(), recipe, 0, steps)


def test_the_split_is_a_stratified_partition_of_all_digits() -> None:
    data, everything = digits(), load_digits()
    parts = torch.cat([data.images, data.held_out_images]).flatten(1)
    assert parts.shape == (1797, 64)
    assert len(data.held_out_labels) == HELD_OUT
    assert parts.min() == -1
    assert parts.max() == 1
    raw = everything.images.reshape(1797, 64)
    assert sorted(map(tuple, ((parts + 1) * 8).tolist())) == sorted(map(tuple, raw.tolist()))
    counts = [np.bincount(labels) for labels in (data.labels, data.held_out_labels)]
    assert (abs(counts[0] / counts[0].sum() - counts[1] / counts[1].sum()) < 0.002).all()


@pytest.mark.extended
def test_a_relation_network_reaches_95_per_cent_on_held_out_digits() -> None:
    # Longer than the run's, so that no machine's rounding decides.
    result = train(RELATION, 0, Recipe(epochs=12), "unfold")
    assert result["held_out"] == HELD_OUT
    assert result["correct"] >= 0.95 * HELD_OUT
    assert result["accuracy"] == result["correct"] / HELD_OUT


@pytest.mark.parametrize("implementation", [name for name in trainable() if name != "unfold"])
def test_an_implementation_takes_the_same_steps(implementation: str) -> None:
    """Triton in its interpreter, and what torch.compile wraps as it is written."""
    with torch.compiler.set_stance("force_eager"):
        np.testing.assert_allclose(losses(implementation, 3), losses("unfold", 3), rtol=1e-4)


def test_a_seed_gives_the_same_network_each_time_and_another_seed_another_one() -> None:
    first, again, other = (train(VARIANTS["convolution-k3"], seed, Recipe(epochs=1), "unfold") for seed in (3, 3, 4))
    first.pop("seconds"), again.pop("seconds")
    assert first == again
    assert first["loss"] != other["loss"]


def test_training_leaves_the_callers_generator_alone() -> None:
    torch.manual_seed(5)
    before = torch.get_rng_state()
    train(VARIANTS["convolution-k3"], 0, Recipe(epochs=1, batch=600), "unfold")
    assert torch.equal(torch.get_rng_state(), before)


@pytest.mark.parametrize("name", VARIANTS)
def test_a_variants_layers_are_what_its_name_says(name: str) -> None:
    variant = VARIANTS[name]
    network = variant.network("unfold")
    layers = [module for module in network.modules() if isinstance(module, LocalRelation2d)]
    assert f"k{variant.kernel_size}" in name.split("-")
    if variant.kind == "convolution":
        assert layers == []
        windows = [m.kernel_size for m in network.modules() if isinstance(m, torch.nn.Conv2d) and m.kernel_size[0] > 1]
        assert windows == [(variant.kernel_size,) * 2] * 2
        return
    priors = {"table": "TablePrior", "none": "NoneType"}
    suffix = name.split("-")[2] if name.count("-") == 2 else ""
    assert len(layers) == 2
    for layer in layers:
        assert layer.options["kernel_size"] == variant.kernel_size
        assert layer.options["m"] == (1 if suffix == "m1" else 8)
        assert str(layer.options["composability"]).startswith(suffix if suffix in ("squared", "absolute") else "mult")
        assert type(layer.prior).__name__ == priors.get(suffix, "GeometricPrior")


def test_the_default_run_has_every_window_and_every_option() -> None:
    variants = chosen(DEFAULT)
    assert {(v.kind, v.kernel_size) for v in variants} == {
        (kind, k) for kind in ("convolution", "relation") for k in (3, 5, 7)
    }
    options = {(v.composability, v.prior, v.m) for v in variants if v.kind == "relation"}
    assert options == {(v.composability, v.prior, v.m) for v in VARIANTS.values() if v.kind == "relation"}


def test_a_pattern_that_matches_nothing_is_refused() -> None:
    with pytest.raises(UsageError, match=r"no variant is called 'relation-k9': expected patterns of convolution-k3, "):
        chosen(["relation-k3", "relation-k9"])
