"""Which loads of a kernel miss, by places counted one by one."""

from collections import Counter
from dataclasses import replace
from typing import get_args

import pytest

pytest.importorskip("triton")

from bench.offline.schedule import reuse
from bench.offline.schedule.reuse import Held, walks
from kernels import Problem
from kernels.implementations.triton_fused.settings import Kernel
from tests.support.not_compiled import binary
from tests.support.offline_reports import STAGE_28

KERNELS: tuple[Kernel, ...] = get_args(Kernel)
SMALL = Problem(batch=3, channels=40, height=9, width=11, kernel_size=3, m=8, padding=1, dtype="bfloat16")
PROBLEMS = {
    "strips": SMALL,
    "rows": replace(SMALL, channels=400, height=5, width=6),
    "strided": replace(SMALL, stride=2),
    "sliced": replace(SMALL, m=20),
    "dilated": replace(SMALL, dilation=2, padding=2),
}


@pytest.mark.parametrize("kernel", KERNELS)
@pytest.mark.parametrize("problem", PROBLEMS.values(), ids=PROBLEMS)
def test_every_pixel_and_group_has_one_lane(kernel: Kernel, problem: Problem) -> None:
    compiled = binary(kernel, problem)
    lanes = [lane for program in range(compiled.programs) for lane in reuse._lanes(compiled, program)]
    assert len(lanes) == compiled.lanes
    height, width = (problem.height, problem.width) if kernel == "key" else (problem.out_height, problem.out_width)
    columns = range(0, width, compiled.geometry.columns)
    expected = {
        (image, y, x, part)
        for image in range(problem.batch)
        for y in range(height)
        for x in columns
        for part in range(compiled.geometry.parts)
    }
    counts = Counter((lane.image, lane.y, lane.x, lane.part) for lane in lanes if lane)
    assert counts.keys() == expected
    assert set(counts.values()) == {1}


@pytest.mark.parametrize("kernel", KERNELS)
@pytest.mark.parametrize("problem", PROBLEMS.values(), ids=PROBLEMS)
def test_iterations_are_the_kernels(kernel: Kernel, problem: Problem) -> None:
    compiled = binary(kernel, problem)
    found = [len(reuse._missing(compiled, program, 4)) for program in range(compiled.programs)]
    assert sum(found) / len(found) == pytest.approx(compiled.iterations, rel=0.02)


def test_a_strip_misses_where_a_row_is_new() -> None:
    # Four rows of a strip side by side in lanes, and a group in each: 4 rows × 8 columns of 4 for 4 groups.
    problem = replace(STAGE_28, batch=1, channels=32, height=32, width=32, kernel_size=3, padding=1)
    compiled = binary("forward", problem)
    assert (compiled.geometry.rows, compiled.geometry.columns, compiled.geometry.parts) == (4, 4, 4)
    # The second strip, rows and their neighbours inside the image: four rows of places at first, then one at a time.
    steps = reuse._missing(compiled, 1, 1)
    assert [new for new, _ in steps] == [4 * 32 * 4, 32 * 4, 32 * 4]
    # A warp has two blocks of columns in all four rows, so each has lanes in the new row; a border column is no load.
    assert [shares[1] for _, shares in steps] == [1.0] * 3
    assert [shares[0] for _, shares in steps] == [1.0] * 3


def test_a_cache_that_holds_nothing_misses_always(monkeypatch: pytest.MonkeyPatch) -> None:
    compiled = binary("forward", STAGE_28)
    held = walks(compiled, Held(4), 4)
    monkeypatch.setattr(reuse, "_bytes_of_place", lambda _: 10**9)
    thrashed = walks(compiled, Held(4), 4)
    assert all(some.missing <= more.missing for some, more in zip(held, thrashed, strict=True))
    assert thrashed[0].beyond < held[0].beyond


def test_what_comes_from_beyond_the_l2_comes_once() -> None:
    # A row is read by the programs of up to seven rows, and a column by up to three of a row.
    compiled = binary("forward", replace(STAGE_28, channels=400, height=14, width=14))
    assert compiled.geometry.rows == 1
    (walk,) = walks(compiled, Held(3), 1)
    assert 1 / 7 / 3 < walk.beyond < 2 / 7


def test_rows_of_an_unrolled_loop_are_one_iteration() -> None:
    compiled = binary("forward", STAGE_28)
    (single,), (double,) = walks(compiled, Held(4), 1), walks(compiled, Held(4, rows=2), 1)
    assert len(single.missing) == 7
    assert len(double.missing) == 4
    assert double.missing[0] == pytest.approx(sum(single.missing[:2]) / 2)


def test_warps_that_wait_for_each_other_miss_as_the_worst() -> None:
    compiled = binary("forward", STAGE_28)
    apart = walks(compiled, Held(4), 4)
    together = walks(compiled, Held(4, in_step=True), 4)
    assert all(all(map(float.__le__, one.missing, other.missing)) for one, other in zip(apart, together, strict=True))
    assert sum(map(sum, (one.missing for one in apart))) < sum(map(sum, (one.missing for one in together)))
