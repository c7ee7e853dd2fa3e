"""The table of implementations: what `auto` stands for, and how the reasons reach the user."""

import types
from dataclasses import replace

import pytest
import torch

from kernels import IMPLEMENTATIONS, Problem, local_relation, problem_of, registry, resolve, unsupported
from tests.support.cases import DEVICE, Case, draw, every_implementation

PROBLEM = Problem(batch=1, channels=4, height=5, width=5, kernel_size=3, m=2, padding=1)


@every_implementation
def test_modules_offer_the_interface(implementation: str) -> None:
    entry = IMPLEMENTATIONS[implementation]
    module = entry.module
    assert entry.summary
    assert callable(module.run)
    reason = module.unsupported(PROBLEM, DEVICE, backward=True)
    assert reason is None or isinstance(reason, str)
    assert unsupported(implementation, PROBLEM, DEVICE) == reason


@every_implementation
@pytest.mark.parametrize("backward", [False, True])
def test_memory_is_predicted_and_grows_with_the_batch(implementation: str, backward: bool) -> None:
    module = IMPLEMENTATIONS[implementation].module
    one, many = (replace(PROBLEM, batch=batch, height=64, width=64, channels=32) for batch in (8, 64))
    output = many.batch * many.channels * many.out_height * many.out_width * 4
    assert module.extra_bytes(many, DEVICE, backward=backward) >= output * (2 if backward else 1)
    assert module.extra_bytes(many, DEVICE, backward=backward) > module.extra_bytes(one, DEVICE, backward=backward)


@pytest.mark.parametrize("name", ["", "auto", "cuda"])
def test_unknown_names_are_refused(name: str) -> None:
    with pytest.raises(ValueError, match=f"implementation .*unfold.*, got '{name}'"):
        unsupported(name, PROBLEM, DEVICE)


def test_auto_is_the_first_that_takes_the_problem() -> None:
    reasons = {name: unsupported(name, PROBLEM, DEVICE) for name in IMPLEMENTATIONS}
    assert resolve(PROBLEM, DEVICE) == next(name for name, reason in reasons.items() if reason is None)


def fakes(reasons: dict[str, str | None]) -> dict[str, object]:
    """Implementations that give the reasons; those without one fill the output with their place."""

    def fake(place: int, reason: str | None) -> object:
        module = types.SimpleNamespace(
            unsupported=lambda *_, **__: reason, run=lambda _, __, ___, value, ____: torch.full_like(value, place)
        )
        return types.SimpleNamespace(module=module, options=frozenset(), transformable=True)

    return {name: fake(place, reason) for place, (name, reason) in enumerate(reasons.items())}


def test_auto_passes_over_those_that_refuse(monkeypatch: pytest.MonkeyPatch) -> None:
    table = fakes({"first": "no GPU", "second": None, "third": None})
    monkeypatch.setattr(registry, "IMPLEMENTATIONS", table)
    monkeypatch.setattr("kernels.functional.IMPLEMENTATIONS", table)
    case = Case()
    query, key, value, prior = draw(case).operands
    assert resolve(PROBLEM, DEVICE) == "second"
    assert local_relation(query, key, value, prior, kernel_size=3, m=2).eq(1).all()
    with pytest.raises(ValueError, match="'first' does not take this case: no GPU"):
        local_relation(query, key, value, prior, kernel_size=3, m=2, implementation="first")


def test_every_reason_is_given_where_none_takes_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(registry, "IMPLEMENTATIONS", fakes({"first": "no GPU", "second": "too large"}))
    with pytest.raises(ValueError, match="first: no GPU; second: too large"):
        resolve(PROBLEM, DEVICE)


@pytest.mark.parametrize(
    ("case", "expected"),
    [
        (Case(), {}),
        (Case(stride=2, dilation=2, padding=1), {"stride": 2, "dilation": 2, "padding": 1}),
        (Case(layout="channels_last"), {"memory_format": "channels_last"}),
        (Case(prior=None, dtype="bfloat16"), {"prior": False, "dtype": "bfloat16"}),
        (Case(m=4, channels=10), {"m": 4, "channels": 10}),
    ],
    ids=["defaults", "window", "channels last", "dtype, no prior", "groups"],
)
def test_problem_of_names_the_problem(case: Case, expected: dict[str, object]) -> None:
    base = {"batch": 2, "channels": 6, "height": 7, "width": 5, "kernel_size": 3, "m": 2, "padding": 1}
    problem = problem_of(*draw(case).operands, **{**case.keywords, "padding": case.options.padding})
    assert problem == Problem(**{**base, **expected})  # type: ignore[arg-type]
    assert hash(problem) == hash(replace(problem))
    assert problem != replace(problem, batch=7)
