"""The named sweeps, and how overrides change them."""

from collections.abc import Iterable
from itertools import groupby
from typing import Any

import pytest

from bench.case.axes import MODES_OF, Value
from bench.case.case import Case
from bench.case.networks import layer_problems
from bench.case.sweeps import SWEEPS, Sweep, case_count, expand, require_sweep
from bench.cost.yardsticks import YARDSTICKS
from bench.errors import UsageError
from kernels import IMPLEMENTATIONS

every_sweep = pytest.mark.parametrize("name", SWEEPS)
STAGES = ((64, 224, 2), (100, 56, 1), (200, 28, 1), (400, 14, 1), (800, 7, 1))
BLOCKS = Sweep("two blocks", {"hw": (14,)}, ({"kernel_size": (3, 5)}, {"m": (1, 8)}))


def seen(cases: Iterable[Case], *fields: str) -> set[Any]:
    """The combinations of some parameters' values that occur; plain values for one parameter."""
    rows = [case.parameters() for case in cases]
    return {row[fields[0]] if len(fields) == 1 else tuple(row[field] for field in fields) for row in rows}


def swept(**overrides: tuple[Value, ...]) -> list[Case]:
    """The cases of the two blocks."""
    return expand(BLOCKS, overrides, ["unfold"])


def yardsticks_of(name: str, scope: str) -> list[str]:
    """The yardsticks of a sweep in a scope."""
    return [one for one, entry in YARDSTICKS.items() if SWEEPS[name].yardsticks and scope in entry.scopes]


@every_sweep
def test_cases_are_valid_and_occur_once(name: str) -> None:
    cases = expand(SWEEPS[name], {})
    assert len(cases) == len(set(cases)) > 0
    beside = {one for scope in seen(cases, "scope") for one in yardsticks_of(name, scope)}
    assert seen(cases, "implementation") == {*SWEEPS[name].implementations, *beside}
    assert all(case.mode in MODES_OF[case.scope] for case in cases)
    assert all(case.problem.out_height * case.problem.out_width > 0 for case in cases)


@every_sweep
def test_cases_of_one_problem_are_together(name: str) -> None:
    cases = expand(SWEEPS[name], {})
    runs = [key for key, _ in groupby(cases, key=lambda case: (case.problem, case.scope))]
    assert len(runs) == len(set(runs))
    for _, grouped in groupby(cases, key=lambda case: (case.problem, case.scope)):
        group = list(grouped)
        measured = len(SWEEPS[name].implementations) + len(yardsticks_of(name, group[0].scope))
        assert len(group) == measured * len(seen(group, "mode", "cache"))


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
    assert seen(cases, "mode") == set(MODES_OF["operator"])
    assert seen(cases, "dtype", "memory_format") == {("bfloat16", "channels_last")}
    assert all(one.problem.height == one.problem.width for one in cases)


def test_stages_are_those_of_lr_net_50() -> None:
    cases = expand(SWEEPS["stages"], {}, ["triton"])
    assert seen(cases, "channels", "height", "stride") == set(STAGES)
    assert seen(cases, "channels", "scope") == {(c, scope) for c, _, _ in STAGES for scope in ("operator", "layer")}


def test_gpu_has_stages_and_axes_in_every_way() -> None:
    cases = expand(SWEEPS["gpu"], {})
    operator = [one for one in cases if one.scope == "operator"]
    ways = {(mode, cache) for mode in ("forward", "forward_backward") for cache in ("cold", "hot")}
    assert seen(operator, "mode", "cache") == {*ways, ("backward", "cold")}
    for dtype in ("bfloat16", "float32"):
        its = [one for one in operator if one.problem.dtype == dtype]
        assert seen(its, "channels", "height", "stride") >= set(STAGES)
        for field in ("kernel_size", "m", "channels", "height", "stride"):
            base = {"channels": 200, "height": 28, "width": 28, "kernel_size": 7, "m": 8, "stride": 1, "padding": 3}
            elsewhere = [name for name in base if name not in (field, "width", "padding")]
            on_axis = [one for one in its if all(one.parameters()[name] == base[name] for name in elsewhere)]
            assert len(seen(on_axis, field)) >= (2 if field == "stride" else 3)
    # What matters most comes first: the run may be cut short.
    assert seen(cases[: 5 * len(ways) * 5], "channels", "height", "stride") <= set(STAGES)


def test_yardsticks_are_asked_for_or_not() -> None:
    plain, beside = (expand(BLOCKS, {}, ["unfold"], yardsticks=wanted) for wanted in (None, True))
    assert [one for one in beside if one.yardstick is None] == plain
    assert len(beside) == len(plain) * 4
    assert seen(beside, "implementation") == {"unfold", "conv3x3", "depthwise", "copy"}
    assert {one.yardstick is None for one in expand(SWEEPS["stages"], {}, ["unfold"], yardsticks=False)} == {True}


def test_quick_is_for_a_cpu() -> None:
    cases = expand(SWEEPS["quick"], {})
    assert seen(cases, "dtype") == {"float32"}
    assert max(case.problem.batch * case.problem.channels * case.problem.height**2 for case in cases) <= 2**19


def test_cpu_has_each_stage_of_its_networks_beside_the_convolution() -> None:
    cases = expand(SWEEPS["cpu"], {})
    operators = [one for one in cases if one.scope == "operator"]
    posed = seen(operators, "batch", "channels", "height", "width", "stride")
    for network in (one for one in cases if one.implementation == "resnet"):
        layers = layer_problems(network.problem, network.depth)
        kept = {(one.batch, one.channels, one.height, one.width, one.stride) for one in (layers[0], layers[-1])}
        assert kept <= posed
    for problem in {one.problem for one in operators}:
        assert {one.implementation for one in operators if one.problem == problem} >= {"native", "unfold", "conv3x3"}
    assert seen(cases, "dtype", "kernel_size", "m") == {("float32", 7, 8)}


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


def test_quick_leaves_out_what_compiles_for_long_unless_it_is_asked_for() -> None:
    assert seen(expand(SWEEPS["quick"], {}), "implementation") == set(IMPLEMENTATIONS) - {"flex"}
    assert seen(expand(SWEEPS["quick"], {}, ["flex"]), "implementation") == {"flex"}
    assert seen(expand(SWEEPS["gpu"], {}), "implementation") >= set(IMPLEMENTATIONS)


@pytest.mark.parametrize("name", SWEEPS)
def test_cases_are_counted_without_making_them_all(name: str) -> None:
    assert case_count(SWEEPS[name]) == len(expand(SWEEPS[name], {}))
