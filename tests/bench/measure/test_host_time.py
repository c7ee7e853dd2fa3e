"""The host's time of a call: what it is made of, and that a repeated call runs few Python functions."""

import sys
from typing import Any

import pytest
import torch

from bench.measure.host_time import PROBLEM, HostTime, functions_run, host_times
from bench.measure.workloads import build, draw
from bench.processes import spread

# Python functions that a repeated call runs, torch's and Triton's among them, with the launch left out.
MOST = {"forward, no_grad": 22, "forward, requires_grad": 24, "forward and backward": 88}
PARTS = {"forward, no_grad": 5, "forward, requires_grad": 0, "forward and backward": 6}
Found = dict[str, Any]


def measure(_: None) -> Found:
    """In a process of its own, where Triton is the real one: two measurements, and a call once they are over."""
    found: Found = {"rows": [host_times(torch.device("cpu"), 3) for _ in range(2)], "profiled": sys.getprofile()}
    try:
        build(PROBLEM, "operator", draw(PROBLEM, "operator", torch.device("cpu")), "triton").forward()
    except ValueError as error:
        found["afterwards"] = str(error)
    return found


@pytest.fixture(scope="module")
def found() -> Found:
    ((_, result),) = spread(measure, [None])
    assert isinstance(result, dict), result
    return result


def test_a_repeated_call_runs_few_functions(found: Found) -> None:
    wholes = {row.name: row.functions for row in found["rows"][0] if not row.of}
    assert wholes.keys() == MOST.keys()
    assert {name: count for name, count in wholes.items() if count > MOST[name]} == {}


def test_the_count_is_the_same_each_time(found: Found) -> None:
    first, second = ([(row.name, row.of, row.functions) for row in rows] for rows in found["rows"])
    assert first == second


def test_parts_add_up_to_their_whole(found: Found) -> None:
    rows: list[HostTime] = found["rows"][0]
    wholes = {row.name: row for row in rows if not row.of}
    assert {name: sum(row.of == name for row in rows) for name in wholes} == PARTS
    for name, whole in wholes.items():
        parts = [row for row in rows if row.of == name]
        if parts:
            assert sum(part.functions for part in parts) == whole.functions
            assert sum(part.minimum_us for part in parts) == pytest.approx(whole.minimum_us)
            assert sum(part.median_us for part in parts) == pytest.approx(whole.median_us)
        assert 0 < whole.minimum_us <= whole.median_us
    assert wholes["forward, no_grad"].minimum_us < wholes["forward and backward"].minimum_us


def test_nothing_is_left_behind(found: Found) -> None:
    assert "got cpu" in found["afterwards"]
    assert found["profiled"] is None


def test_what_an_error_interrupts_is_counted_no_more() -> None:
    def fail() -> None:
        raise ValueError("of itself")

    with pytest.raises(ValueError, match="of itself"):
        functions_run(fail)
    assert sys.getprofile() is None
    assert [name.rpartition(".")[2] for name in functions_run(lambda: None)] == ["<lambda>"]
