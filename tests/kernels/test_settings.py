"""Launch settings change how the kernels run and not what they compute; found ones are kept per GPU."""

import json
from dataclasses import asdict, replace
from itertools import chain
from pathlib import Path
from typing import Any

import pytest
import torch

from kernels import FusedTuner, Problem, problem_of
from kernels.plain import forget
from tests.support.cases import Case, run, take

pytest.importorskip("triton")

from kernels.implementations.triton_fused import plans, tuned
from kernels.implementations.triton_fused.geometry import geometry_of
from kernels.implementations.triton_fused.settings import (
    KERNELS,
    Kernel,
    Settings,
    alternatives,
    heuristic,
    tiled,
)

CPU = torch.device("cpu")
SMALL_ROWS = Case(batch=1, channels=8, m=4, height=5, width=9)
SETTINGS: dict[str, tuple[Case, dict[str, Any]]] = {
    "one column": (SMALL_ROWS, {"columns": 1}),
    "three columns": (SMALL_ROWS, {"columns": 3}),
    "seven columns": (SMALL_ROWS, {"columns": 7}),
    "more columns than the row has": (replace(SMALL_ROWS, width=5), {"columns": 7}),
    "a row per program": (SMALL_ROWS, {"rows": 1}),
    "a row per program, kernel 5": (replace(SMALL_ROWS, kernel_size=5), {"rows": 1}),
    "a row per program, zeros": (replace(SMALL_ROWS, padding_mode="zeros"), {"rows": 1}),
    "a row per program, stride 2": (replace(SMALL_ROWS, stride=2, kernel_size=5), {"rows": 1, "columns": 2}),
    "a row per program, stride 3": (replace(SMALL_ROWS, stride=3, height=7), {"rows": 1, "columns": 3}),
    "a row per program, dilation 2": (replace(SMALL_ROWS, dilation=2, kernel_size=5), {"rows": 1}),
    "a row per program, stride 2, dilation 3": (
        replace(SMALL_ROWS, stride=2, dilation=3, height=8),
        {"rows": 1, "columns": 2},
    ),
    "a row per program, no padding": (replace(SMALL_ROWS, padding=0), {"rows": 1}),
    "whole rows": (replace(SMALL_ROWS, width=4, kernel_size=5), {"rows": 1, "columns": 4}),
    "whole rows in strips": (replace(SMALL_ROWS, width=4, kernel_size=5), {"rows": 2, "columns": 4}),
    "whole rows, stride 2": (replace(SMALL_ROWS, width=7, stride=2), {"rows": 1, "columns": 4}),
    "whole rows in bfloat16": (
        replace(SMALL_ROWS, width=4, kernel_size=5, dtype="bfloat16"),
        {"rows": 1, "columns": 4},
    ),
    "strips of 8": (SMALL_ROWS, {"rows": 8}),
    "strips of 3": (SMALL_ROWS, {"rows": 3}),
    "two groups side by side": (SMALL_ROWS, {"lane_groups": 2}),
    "more groups side by side than there are": (SMALL_ROWS, {"lane_groups": 8}),
    "groups side by side, a row per program": (SMALL_ROWS, {"lane_groups": 4, "rows": 1}),
    "slices of two channels": (SMALL_ROWS, {"members": 2}),
    "slices of three channels": (SMALL_ROWS, {"members": 3}),
    "one warp": (SMALL_ROWS, {"lanes": 32}),
    "eight warps": (SMALL_ROWS, {"lanes": 256}),
    "one warp, a row per program, slices": (SMALL_ROWS, {"lanes": 32, "rows": 1, "members": 2}),
    "wide window, a row per program": (replace(SMALL_ROWS, kernel_size=9, height=3), {"rows": 1}),
}


@pytest.mark.parametrize(("case", "change"), SETTINGS.values(), ids=SETTINGS.keys())
def test_settings_do_not_change_results(case: Case, change: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    inputs, expected = take("triton", case)

    def changed(kernel: Kernel, problem: Problem, _: torch.device) -> Settings:
        wanted = replace(heuristic(kernel, problem), **change)
        return wanted if kernel != "key" else replace(wanted, columns=-(-wanted.columns // case.stride) * case.stride)

    monkeypatch.setattr(plans, "settings_of", changed)
    forget()
    assert expected.violations(run("triton", inputs, case)) == {}


def problem_of_stage(**changes: Any) -> Problem:
    stage: dict[str, Any] = {"channels": 200, "height": 28, "width": 28, "kernel_size": 7, "m": 8, "padding": 3}
    return Problem(**{"batch": 64, "dtype": "bfloat16", **stage, **changes})


@pytest.mark.parametrize("kernel", KERNELS)
@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"channels": 800, "height": 7, "width": 7},
        {"channels": 1, "m": 1},
        {"channels": 1024, "m": 1024},
        {"kernel_size": 31, "padding": 15},
        {"kernel_size": 13, "padding": 6, "height": 14, "width": 14},
        {"stride": 2},
        {"stride": 5},
        {"dtype": "float64"},
        {"batch": 0},
        {"height": 1, "width": 1},
    ],
    ids=str,
)
def test_every_lane_has_a_place(kernel: Kernel, changes: dict[str, Any]) -> None:
    problem = problem_of_stage(**changes)
    chosen = heuristic(kernel, problem)
    geometry = geometry_of(kernel, problem, chosen)
    height, width = tiled(kernel, problem)
    lanes_needed = problem.batch * height * -(-width // chosen.columns) * problem.groups * geometry.slices
    assert plans.Launch(kernel, problem, chosen, CPU).grid[0] * chosen.lanes >= lanes_needed
    assert geometry.slices * geometry.pieces * geometry.piece >= min(problem.m, problem.channels)
    assert kernel != "key" or chosen.columns % problem.stride == 0


def test_row_programs_skip_only_where_masked() -> None:
    masked, zeros = problem_of_stage(height=14), problem_of_stage(height=14, padding_mode="zeros")
    assert geometry_of("forward", masked, heuristic("forward", masked)).skips_rows
    assert not geometry_of("forward", zeros, heuristic("forward", zeros)).skips_rows


@pytest.mark.parametrize("kernel", KERNELS)
def test_alternatives_hold_the_heuristic_and_are_distinct(kernel: Kernel) -> None:
    for problem in (problem_of_stage(), problem_of_stage(stride=3), problem_of_stage(height=7, width=7, prior=False)):
        chosen = asdict(heuristic(kernel, problem))
        tried = {field: alternatives(kernel, problem, field) for field in chosen}
        assert all(chosen[field] in values for field, values in tried.items())
        assert all(len(set(values)) == len(values) for values in tried.values())
        assert sum(len(values) - 1 for values in tried.values()) >= 10


def test_a_group_that_some_channels_lack_needs_no_more_registers_unless_they_lie_apart() -> None:
    """Of 100 channels in groups of 8 the last group has 4, and yet all are loaded four at a time."""
    whole, short, apart = (problem_of_stage(channels=channels) for channels in (200, 100, 203))
    strided = problem_of_stage(channel_order="strided")
    for kernel in KERNELS:
        limits = [heuristic(kernel, problem).registers for problem in (whole, short, apart, strided)]
        assert limits[0] == limits[1] < limits[2] == limits[3]


def test_settings_name_every_field() -> None:
    assert str(Settings(4, 1, 8, 16, 128, 168)) == "c4-r1-g8-m16-l128-x168"


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda _: "NVIDIA H200")
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda _: (9, 0))
    tuned._read.cache_clear()
    return tuned.path_of("NVIDIA H200")


def test_found_settings_are_used_on_their_gpu_and_for_every_batch(cache: Path) -> None:
    problem, found = problem_of_stage(), Settings(2, 2, 0, 8, 64)
    assert tuned.remember(problem, "NVIDIA H200", {"forward": found}) == cache
    gpu = torch.device("cuda")
    assert tuned.settings_of("forward", problem, gpu) == found
    assert tuned.settings_of("forward", replace(problem, batch=1), gpu) == found
    assert tuned.settings_of("key", problem, gpu) == heuristic("key", problem)
    assert tuned.settings_of("forward", replace(problem, m=4), gpu) == heuristic("forward", replace(problem, m=4))
    assert tuned.settings_of("forward", problem, torch.device("cpu")) == heuristic("forward", problem)


@pytest.mark.usefixtures("cache")
def test_a_gpu_that_adds_pairs_has_settings_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    problem, gpu = problem_of_stage(), torch.device("cuda")
    assert tuned.settings_of("forward", problem, gpu) == heuristic("forward", problem)
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda _: (10, 0))
    assert tuned.settings_of("forward", problem, gpu) == heuristic("forward", problem, pairs=True)
    assert heuristic("forward", problem, pairs=True).registers > heuristic("forward", problem).registers


def test_findings_add_up(cache: Path) -> None:
    problem, first, second = problem_of_stage(), Settings(2, 2, 0, 8, 64), Settings(1, 1, 0, 8, 32)
    tuned.remember(problem, "NVIDIA H200", {"forward": first})
    tuned.remember(replace(problem, m=4), "NVIDIA H200", {"forward": second})
    gpu = torch.device("cuda")
    assert tuned.settings_of("forward", problem, gpu) == first
    assert tuned.settings_of("forward", replace(problem, m=4), gpu) == second
    assert [file.name for file in cache.parent.iterdir()] == [cache.name]


@pytest.mark.parametrize(
    "content",
    ["{", "[]", '{"format": 0, "settings": {}}', '{"format": 1}', '{"format": 1, "settings": {"a": {"b": 1}}}'],
)
def test_a_file_that_cannot_be_used_is_named(cache: Path, content: str) -> None:
    cache.parent.mkdir()
    cache.write_text(content)
    problem = problem_of_stage()
    with pytest.warns(UserWarning, match="settings-nvidia-h200.json is not used"):
        assert tuned.settings_of("forward", problem, torch.device("cuda")) == heuristic("forward", problem)


def test_the_file_is_readable_json(cache: Path) -> None:
    tuned.remember(problem_of_stage(), "NVIDIA H200", {"forward": Settings(2, 2, 0, 8, 64)})
    content = json.loads(cache.read_text())
    assert [entry["columns"] for entry in content["settings"].values()] == [2]


def test_sides_that_disagree_on_slices_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    inputs, _ = take("triton", SMALL_ROWS)

    def disagreeing(kernel: Kernel, problem: Problem, _: torch.device) -> Settings:
        return replace(heuristic(kernel, problem), members=2 if kernel == "key" else 4)

    monkeypatch.setattr(plans, "settings_of", disagreeing)
    forget()
    with pytest.raises(ValueError, match="it left 2 sums a pixel, expected 4"):
        run("triton", inputs, SMALL_ROWS)


@pytest.mark.parametrize("kernel", KERNELS)
def test_a_tuner_launches_its_kernel_under_any_neighbour(kernel: Kernel) -> None:
    inputs, _ = take("triton", SMALL_ROWS)
    problem = problem_of(*inputs.operands, **{**SMALL_ROWS.keywords, "padding": 1})
    tuner = FusedTuner(kernel, problem, inputs.operands, inputs.grad)
    expected = tuner.launch(tuner.settings)
    neighbours = [tuner.neighbours(tuner.settings, field)[:1] for field in ("columns", "rows", "lanes")]
    for neighbour in chain(*neighbours):
        for one, other in zip(tuner.launch(neighbour), expected, strict=True):
            torch.testing.assert_close(one, other)
