"""What is known to run out of memory: larger along an axis, never smaller, and never another's."""

from typing import Any

import pytest

from bench.case.case import Case
from bench.run.capacity import Outgrown
from tests.support.bench_cases import case

LARGER: dict[str, dict[str, Any]] = {
    "batch": {"batch": 3},
    "channels": {"channels": 8},
    "image": {"height": 6, "width": 9},
    "window": {"kernel_size": 5, "padding": 2},
    "batch, with gradients": {"batch": 3, "mode": "backward"},
}
NOT_LARGER: dict[str, dict[str, Any]] = {
    "itself": {},
    "smaller": {"batch": 1},
    "larger and smaller": {"batch": 3, "channels": 5},
    "a larger window with a smaller output": {"kernel_size": 5},
    "another implementation": {"batch": 3, "implementation": "unfold"},
    "another dtype": {"batch": 3, "dtype": "float64"},
    "another m": {"batch": 3, "m": 2},
    "the layer": {"batch": 3, "scope": "layer"},
}


@pytest.mark.parametrize("changes", LARGER.values(), ids=LARGER.keys())
def test_larger_cases_are_outgrown(changes: dict[str, Any]) -> None:
    outgrown = Outgrown()
    assert outgrown.reason(case(**changes)) is None
    outgrown.add(case())
    assert outgrown.reason(case(**changes)) == f"predicted: out of memory already at {case().label()}: not tried"


@pytest.mark.parametrize("changes", NOT_LARGER.values(), ids=NOT_LARGER.keys())
def test_others_are_tried(changes: dict[str, Any]) -> None:
    assert Outgrown([case()]).reason(case(**changes)) is None


def test_without_gradients_less_is_needed() -> None:
    assert Outgrown([case(mode="backward")]).reason(case(batch=3)) is None


def test_the_cache_makes_no_difference() -> None:
    larger = case(batch=3)
    cold = Case(larger.problem, larger.scope, larger.mode, larger.implementation, "cold")
    assert Outgrown([case()]).reason(cold) is not None
