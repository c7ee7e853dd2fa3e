"""What is known of a case before it runs."""

import pytest
import torch

from bench.case.case import Case
from bench.measure import preflight
from kernels import IMPLEMENTATIONS, Problem, resolve

CPU = torch.device("cpu")
PROBLEM = Problem(batch=2, channels=3, height=64, width=64, kernel_size=3, m=8, padding=1)


def taken(scope: str, depth: int = 0) -> set[str]:
    cases = (Case(PROBLEM, scope, "forward", name, depth=depth) for name in IMPLEMENTATIONS)
    return {case.implementation for case in cases if preflight.taken_by_auto(case, CPU)}


def test_one_implementation_is_what_auto_takes() -> None:
    assert taken("operator") == {resolve(PROBLEM, CPU, backward=False)}


def test_a_network_is_autos_where_all_its_layers_are(monkeypatch: pytest.MonkeyPatch) -> None:
    def by_width(problem: Problem, _: torch.device, *, backward: bool) -> str:
        assert not backward
        return "native" if problem.width > narrow else "unfold"

    monkeypatch.setattr(preflight, "resolve", by_width)
    narrow = 0
    assert taken("network", depth=26) == {"native"}
    narrow = 8
    assert taken("network", depth=26) == set()
