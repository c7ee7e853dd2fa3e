"""Timers that know nothing of each other, pretended: how far they are apart, and which say nothing."""

from collections.abc import Callable
from typing import Any

import pytest
import torch

from bench.device import opinions
from bench.device.doctor import CHECKS, Examination
from tests.support.bench_cases import CPU

CUDA = torch.device("cuda")
Pretended = dict[str, float | Exception]


def timer(answer: float | Exception) -> Callable[..., float]:
    def timed(*_: Any) -> float:
        if isinstance(answer, Exception):
            raise answer
        return answer

    return timed


ANSWERS: dict[str, tuple[Pretended, str, str]] = {
    "agreed": ({"events": 0.1, "graph": 0.102, "Proton": 0.1, "CUPTI": 0.099}, "PASS", "3.0% apart"),
    "apart": ({"events": 0.1, "graph": 0.1, "Proton": 0.08, "CUPTI": 0.1}, "WARN", "25.0% apart"),
    "one is absent": (
        {"events": 0.1, "CUPTI": 0.1, "Proton": opinions.Unheard("triton.profiler is not installed")},
        "PASS",
        "Proton: triton.profiler is not installed",
    ),
    "one alone": ({"events": 0.1, "CUPTI": RuntimeError("CUPTI is in use\nby another")}, "WARN", "CUPTI is in use"),
    "none": ({"events": RuntimeError()}, "WARN", "no timer tells; events: RuntimeError"),
}


@pytest.mark.parametrize(("answers", "verdict", "found"), ANSWERS.values(), ids=ANSWERS)
def test_how_far_they_are_apart(monkeypatch: pytest.MonkeyPatch, answers: Pretended, verdict: str, found: str) -> None:
    monkeypatch.setattr(opinions, "TIMERS", {name: timer(answer) for name, answer in answers.items()})
    check = CHECKS["agreement"](Examination(CUDA, lambda _: lambda: None))
    assert check is not None
    assert (check.verdict, found in check.found) == (verdict, True), check.found
    assert bool(check.advice) is (verdict == "WARN")


def test_a_cpu_has_one_timer() -> None:
    assert CHECKS["agreement"](Examination(CPU, lambda _: lambda: None)) is None


def test_protons_tree_is_summed_over_its_leaves() -> None:
    leaf = {"frame": {"name": "kernel"}, "metrics": {"time (ns)": 2e3, "count": 1}, "children": []}
    tree = {"metrics": {"time (ns)": 4e3}, "children": [leaf, {"metrics": {}, "children": [leaf]}]}
    assert opinions._leaves_ns(tree) == 4e3


@pytest.mark.gpu
def test_a_gpus_timers_agree() -> None:
    a = torch.ones(2048, 2048, device=CUDA)
    heard, _ = opinions.opinions(lambda: torch.mm(a, a), CUDA)
    assert {"events", "CUPTI"} <= heard.keys()
    assert max(heard.values()) <= 1.25 * min(heard.values())
