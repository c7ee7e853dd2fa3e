"""What a repeated call need not find out again is not found out again, and is never wrong for it."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.utils.flop_counter import FlopCounterMode

from bench.measure.host_time import functions_run
from kernels import IMPLEMENTATIONS, FusedTuner, Problem, local_relation, registry
from kernels.plain import forget, keep, kept
from tests.support.cases import DEVICE, Case, draw, every_implementation, run, take

SMALL = Case(batch=1, channels=4, m=2, height=3, width=4)

FOUND_OUT = ("Problem.__post_init__", "problem_of", "settings_of", "path_of", "geometry_of", "unsupported", "_key")


@pytest.mark.parametrize("implementation", ["triton", "chunked", "unfold"])
def test_nothing_is_decided_again(implementation: str) -> None:
    inputs, _ = take(implementation, SMALL)
    first, *again = [functions_run(lambda: run(implementation, inputs, SMALL)) for _ in range(3)]
    assert {"Problem.__post_init__", "problem_of", "unsupported"} <= set(first)
    for functions in again:
        assert set(FOUND_OUT) & set(functions) == set()


TRAPS: dict[str, tuple[dict[str, Any], type[Exception], str]] = {
    "a float": ({"kernel_size": 3.0}, TypeError, "kernel_size"),
    "a bool": ({"stride": True}, TypeError, "stride"),
    "a list": ({"kernel_size": [3]}, TypeError, "kernel_size"),
    "another m": ({"m": 4}, ValueError, "query must have shape"),
    "another implementation": ({"implementation": "unfolded"}, ValueError, "implementation"),
    "a budget": ({"memory_budget": 1 << 20, "implementation": "unfold"}, ValueError, "memory_budget"),
}


@pytest.mark.parametrize(("change", "error", "said"), TRAPS.values(), ids=TRAPS)
def test_what_equals_a_known_call_is_checked_all_the_same(
    change: dict[str, Any], error: type[Exception], said: str
) -> None:
    operands = draw(SMALL).operands
    options = {**SMALL.keywords, "implementation": "unfold", "stride": 1}
    local_relation(*operands, **options)
    with pytest.raises(error, match=said):
        local_relation(*operands, **{**options, **change})


def test_every_fact_of_the_tensors_counts() -> None:
    """A call that differs from a known one in a tensor's shape, dtype, device or class is checked anew."""
    query, key, value, prior = draw(SMALL).operands
    local_relation(query, key, value, prior, **SMALL.keywords, implementation="unfold")
    changes: list[tuple[Any, ...]] = [
        (query[:, :1], key, value, prior),
        (query, key.double(), value, prior),
        (query, key, value.to("meta"), prior),
        (query, key, value[0], prior),
        (query, key, value, [[1.0]]),
        (query, None, value, prior),
    ]
    for operands in changes:
        with pytest.raises((TypeError, ValueError), match=r"query|key|value|prior"):
            local_relation(*operands, **SMALL.keywords, implementation="unfold")


@every_implementation
@pytest.mark.parametrize("mode", [FlopCounterMode, FakeTensorMode], ids=lambda mode: mode.__name__)
def test_a_mode_leaves_nothing_behind(implementation: str, mode: Callable[..., Any]) -> None:
    """What a mode makes of a call, an error too, holds for that call alone."""
    inputs, expected = take(implementation, SMALL, backward=False)
    options = {**SMALL.keywords, "implementation": implementation}
    arguments = {"display": False} if mode is FlopCounterMode else {"allow_non_fake_inputs": True}
    for _ in range(2):
        try:
            with torch.no_grad(), mode(**arguments):
                local_relation(*inputs.operands, **options)
        except RuntimeError as refused:
            assert implementation in str(refused)  # noqa: PT017
        with torch.no_grad():
            output = local_relation(*inputs.operands, **options)
        assert type(output) is Tensor
        assert expected.only("output").violations({"output": output}) == {}


def test_another_table_of_implementations_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    operands = draw(SMALL).operands
    before = local_relation(*operands, **SMALL.keywords)
    chosen = registry.resolve(Problem(**problem()), DEVICE, backward=False)
    with monkeypatch.context() as patched:
        patched.setitem(IMPLEMENTATIONS, chosen, replace(IMPLEMENTATIONS["unfold"], summary="another"))
        assert torch.equal(local_relation(*operands, **SMALL.keywords), run_unfold(operands))
    assert torch.equal(local_relation(*operands, **SMALL.keywords), before)


def problem() -> dict[str, Any]:
    return {"batch": 1, "channels": 4, "height": 3, "width": 4, "kernel_size": 3, "m": 2, "padding": 1}


def run_unfold(operands: tuple[Tensor, Tensor, Tensor, Tensor | None]) -> Tensor:
    return local_relation(*operands, **SMALL.keywords, implementation="unfold")


def test_a_refusal_is_not_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    operands = draw(SMALL).operands
    module = IMPLEMENTATIONS["chunked"].module
    with monkeypatch.context() as patched:
        patched.setattr(module, "unsupported", lambda *_, **__: "not today")
        with pytest.raises(ValueError, match="not today"):
            local_relation(*operands, **SMALL.keywords, implementation="chunked")
    local_relation(*operands, **SMALL.keywords, implementation="chunked")


def test_found_settings_are_taken_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What a search found in this process changes the next call, which has had a plan already."""
    pytest.importorskip("triton")
    from kernels.implementations.triton_fused import plans, tuned  # noqa: PLC0415
    from kernels.implementations.triton_fused.settings import heuristic  # noqa: PLC0415

    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda _: "NVIDIA H200")
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda _: (9, 0))
    tuned._read.cache_clear()
    posed, gpu = Problem(**problem()), torch.device("cuda", 0)
    before = plans.plan_of(posed, gpu)
    assert plans.plan_of(posed, gpu) is before
    found = replace(heuristic("forward", posed), lanes=64)
    FusedTuner.remember(posed, "NVIDIA H200", {"forward": found})
    after = plans.plan_of(posed, gpu)
    assert (before.forward.geometry.lanes, after.forward.geometry.lanes) == (128, 64)
    tuned._read.cache_clear()


def test_a_launch_goes_to_the_stream_of_its_moment(monkeypatch: pytest.MonkeyPatch) -> None:
    """The current stream is asked for anew, though nothing else of a launch is: a capture has one of its own."""
    pytest.importorskip("triton")
    from kernels.implementations.triton_fused import plans, pretended  # noqa: PLC0415
    from kernels.implementations.triton_fused.settings import heuristic  # noqa: PLC0415

    posed = Problem(**problem())
    launch = plans.Launch("forward", posed, heuristic("forward", posed), torch.device("cpu"), SAVE_SOFTMAX=False)
    streams: list[int] = []
    compiled = pretended._Launched()
    compiled._run = lambda *arguments: streams.append(arguments[3])
    launch._kernel = {launch.grid: lambda *_, **__: compiled}
    current = iter((6, 7))  # the first launch is the kernel's own
    monkeypatch.setattr(pretended.Pretended, "get_current_stream", lambda *_: next(current))
    with pretended.pretended((9, 0), ()):
        for _ in range(3):
            launch()
    assert streams == [6, 7]


@every_implementation
def test_saved_tensors_may_come_back_in_another_layout(implementation: str) -> None:
    """torch's own offloading keeps shapes, and gives contiguous tensors back."""
    case = replace(SMALL, layout="channels_last", m=3, channels=6)
    inputs, expected = take(implementation, case)
    with torch.autograd.graph.saved_tensors_hooks(lambda x: x.contiguous().clone(), lambda x: x):
        assert expected.violations(run(implementation, inputs, case)) == {}


def test_a_place_starts_anew_once_it_is_large() -> None:
    place = kept()
    for number in range(5000):
        keep(place, number, number)
    assert 0 < len(place) <= 4096
    assert place[4999] == 4999
    forget()
    assert place == {}
