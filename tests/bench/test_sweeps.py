"""The named sweeps, and how overrides change them."""

from collections.abc import Iterable
from itertools import groupby
from typing import Any

import pytest

from bench.axes import MODES, UsageError, Value
from bench.cases import Case
from bench.sweeps import SWEEPS, Sweep, expand, require_sweep
from kernels import IMPLEMENTATIONS

every_sweep = pytest.mark.parametrize("name", SWEEPS)
BLOCKS = Sweep("two blocks", {"hw": (14,)}, ({"kernel_size": (3, 5)}, {"m": (1, 8)}))


def seen(cases: Iterable[Case], *fields: str) -> set[Any]:
    """The combinations of some parameters' values that occur; plain values for one parameter."""
    rows = [case.parameters() for case in cases]
    return {row[fields[0]] if len(fields) == 1 else tuple(row[field] for field in fields) for row in rows}


def swept(**overrides: tuple[Value, ...]) -> list[Case]:
    """The cases of the two blocks."""
    return expand(BLOCKS, overrides, ["unfold"])


@every_sweep
def test_cases_are_valid_and_occur_once(name: str) -> None:
    cases = expand(SWEEPS[name], {})
    assert len(cases) == len(set(cases)) > 0
    assert seen(cases, "implementation") == set(IMPLEMENTATIONS)
    assert all(case.mode in MODES and case.problem.out_height * case.problem.out_width > 0 for case in cases)


@every_sweep
def test_cases_of_one_problem_are_together(name: str) -> None:
    cases = expand(SWEEPS[name], {})
    of_each = len(IMPLEMENTATIONS) * len(seen(cases, "mode"))
    runs = [key for key, _ in groupby(cases, key=lambda case: (case.problem, case.scope))]
    assert len(runs) == len(set(runs))
    for _, group in groupby(cases, key=lambda case: (case.problem, case.scope)):
        assert len(list(group)) == of_each


def test_axes_are_those_of_the_design() -> None:
    cases = expand(SWEEPS["axes"], {}, ["triton"])
    centre = {"batch": 64, "channels": 200, "height": 28, "width": 28, "kernel_size": 7, "m": 8, "stride": 1}
    ranges = {
        ("kernel_size",): (3, 13),
        ("m",): (1, 32),
        ("channels",): (64, 1024),
        ("height", "width"): (7, 224),
        ("stride",): (1, 4),
    }
    along: dict[tuple[str, ...], set[Any]] = {fields: set() for fields in ranges}
    for one in cases:
        row = one.parameters()
        moved = tuple(field for field, value in centre.items() if row[field] != value)
        # One axis at a time: what differs from the centre is one axis, and nothing at the centre itself.
        assert moved in (*ranges, ())
        for fields in ranges:
            if moved in (fields, ()):
                along[fields].add(row[fields[0]])
    for fields, (least, most) in ranges.items():
        assert (min(along[fields]), max(along[fields])) == (least, most)
        assert len(along[fields]) >= 4
    assert seen(cases, "mode") == set(MODES)
    assert seen(cases, "dtype", "memory_format") == {("bfloat16", "channels_last")}
    assert all(one.problem.height == one.problem.width for one in cases)


def test_stages_are_those_of_lr_net_50() -> None:
    cases = expand(SWEEPS["stages"], {}, ["triton"])
    sizes = {(64, 224, 2), (100, 56, 1), (200, 28, 1), (400, 14, 1), (800, 7, 1)}
    assert seen(cases, "channels", "height", "stride") == sizes
    assert seen(cases, "channels", "scope") == {(c, scope) for c, _, _ in sizes for scope in ("operator", "layer")}


def test_quick_is_for_a_cpu() -> None:
    cases = expand(SWEEPS["quick"], {})
    assert seen(cases, "dtype") == {"float32"}
    assert max(case.problem.batch * case.problem.channels * case.problem.height**2 for case in cases) <= 2**19


def test_hw_sets_height_and_width() -> None:
    assert seen(swept(hw=(9, 12)), "height", "width") == {(9, 9), (12, 12)}
    assert seen(swept(hw=(9,), height=(7,)), "height", "width") == {(7, 9)}
    assert seen(swept(height=(7,)), "height", "width") == {(7, 14)}
    assert seen(swept(height=(7, 8), width=(9,)), "height", "width") == {(7, 9), (8, 9)}


def test_no_override_leaves_the_blocks() -> None:
    assert seen(swept(), "kernel_size", "m") == {(3, 8), (5, 8), (7, 1), (7, 8)}


def test_one_value_fixes_an_axis_everywhere() -> None:
    assert seen(swept(kernel_size=(9,)), "kernel_size", "m") == {(9, 8), (9, 1)}
    assert seen(swept(channels=(10,)), "channels") == {10}
    assert len(swept(kernel_size=(9,), m=(8,), mode=("forward",))) == 1


def test_several_values_sweep_in_the_blocks_that_sweep_the_axis() -> None:
    cases = swept(kernel_size=(9, 11, 13))
    assert seen(cases, "kernel_size", "m") == {(9, 8), (11, 8), (13, 8), (7, 1), (7, 8)}


def test_several_values_sweep_throughout_where_no_block_does() -> None:
    cases = swept(channels=(8, 16))
    assert seen(cases, "kernel_size", "m", "channels") == {
        (k, m, c) for k, m in ((3, 8), (5, 8), (7, 1), (7, 8)) for c in (8, 16)
    }


def test_fixed_and_swept_together() -> None:
    cases = swept(kernel_size=(3, 9), m=(2,), stride=(1, 2))
    assert seen(cases, "kernel_size", "m", "stride") == {(k, 2, s) for k in (3, 7, 9) for s in (1, 2)}


def test_values_given_twice_count_once() -> None:
    assert swept(kernel_size=(3, 3), m=(8,)) == swept(kernel_size=(3, 3, 3), m=(8, 8))
    assert len(expand(BLOCKS, {}, ["unfold", "unfold"])) == len(swept())


def test_what_is_unknown_is_named() -> None:
    with pytest.raises(UsageError, match="'fast'") as of_implementation:
        expand(BLOCKS, {}, ["unfold", "fast"])
    assert all(name in str(of_implementation.value) for name in IMPLEMENTATIONS)
    with pytest.raises(UsageError, match="'quik'") as of_sweep:
        require_sweep("quik")
    assert all(name in str(of_sweep.value) for name in SWEEPS)
    assert require_sweep("quick") is SWEEPS["quick"]


def test_an_added_axis_keeps_the_cases_of_a_problem_together() -> None:
    runs = [key for key, _ in groupby(swept(height=(7, 8)), key=lambda case: (case.problem, case.scope))]
    assert len(runs) == len(set(runs)) == 8
