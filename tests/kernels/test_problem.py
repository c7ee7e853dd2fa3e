"""Sizes that follow from a problem, against the oracle's own counting."""

import pytest

from kernels import Problem
from tests.support.oracle import Options, groups_of, out_size, window

PROBLEMS = [
    Problem(batch=1, channels=c, height=h, width=w, kernel_size=k, m=m, stride=s, padding=p, dilation=d)
    for c, m in ((1, 1), (100, 8), (6, 8))
    for h, w in ((7, 12), (13, 9))
    for k, p, d in ((1, 0, 1), (2, 0, 3), (3, 1, 1), (4, 2, 2), (5, 3, 2), (7, 3, 1))
    for s in (1, 2, 3, 5)
]


def options_of(problem: Problem) -> Options:
    names = (
        "kernel_size",
        "m",
        "stride",
        "padding",
        "dilation",
        "composability",
        "padding_mode",
        "channel_order",
    )
    return Options(**{name: getattr(problem, name) for name in names})


@pytest.mark.parametrize("problem", PROBLEMS, ids=str)
def test_sizes(problem: Problem) -> None:
    options = options_of(problem)
    assert problem.groups == groups_of(problem.channels, problem.m)
    assert problem.out_height == out_size(problem.height, options)
    assert problem.out_width == out_size(problem.width, options)


@pytest.mark.parametrize("problem", PROBLEMS, ids=str)
def test_centres_are_the_middle_taps(problem: Problem) -> None:
    options, middle = options_of(problem), (problem.kernel_size - 1) // 2
    rows, columns = problem.centres
    expected = [
        (row, column)
        for i in range(problem.out_height)
        for j in range(problem.out_width)
        for u, v, row, column in window(i, j, problem.height, problem.width, options)
        if u == v == middle
    ]
    centres = [(row, column) for row in range(problem.height)[rows] for column in range(problem.width)[columns]]
    assert centres == expected
    assert len(expected) == problem.out_height * problem.out_width


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        ({"batch": -1}, ValueError, "batch .*-1"),
        ({"channels": 0}, ValueError, "channels .*0"),
        ({"height": 2.0}, TypeError, r"height .*2\.0"),
        ({"width": True}, TypeError, "width .*True"),
        ({"dtype": "int8"}, ValueError, "dtype .*float32.*'int8'"),
        ({"memory_format": "nhwc"}, ValueError, "memory_format .*channels_last.*'nhwc'"),
        ({"prior": None}, TypeError, "prior .*None"),
    ],
)
def test_refusals(change: dict[str, object], error: type[Exception], message: str) -> None:
    sizes = {"batch": 1, "channels": 4, "height": 5, "width": 5, "kernel_size": 3, "m": 2}
    with pytest.raises(error, match=message):
        Problem(**{**sizes, **change})  # type: ignore[arg-type]
