"""Cycles by pipe, warps needed, and the time of a launch, on made-up code."""

from dataclasses import replace

import pytest

pytest.importorskip("triton")

from bench.cost.chips import CHIPS
from bench.offline.sass import Code, Instruction
from bench.offline.schedule.report import pipe_cycles, ready_warps, schedule_of
from kernels import CompiledKernel
from tests.support.made_up_code import instruction
from tests.support.not_compiled import binary
from tests.support.offline_reports import STAGE_28

FFMA, LOP3, MUFU = "FFMA R0, R0, R1, R2", "LOP3.LUT R0, R1, R2, RZ, 0xc0, !PT", "MUFU.EX2 R0, R1"
BODY = (
    [instruction(FFMA)] * 4 + [instruction(LOP3)] * 3 + [instruction(MUFU, stall=5), instruction("LDG.E.64 R2, [R4]")]
)


def test_cycles_by_pipe() -> None:
    assert pipe_cycles(BODY, (9, 0)) == {"issue": 9, "fma": 4, "alu": 6, "mufu": 8, "l1": 8, "fp64": 0}
    # A100: 64 multiply–adds a clock.
    assert pipe_cycles(BODY, (8, 0))["fma"] == 8
    assert pipe_cycles([instruction("FFMA2 R0, R2, R4, R0")], (10, 0))["fma"] == 2
    assert pipe_cycles([instruction("DFMA R0, R2, R4, R0")], (12, 0))["fp64"] == 64
    assert [pipe_cycles([instruction("IADD R0, R2, R4")], cap)["alu"] for cap in ((9, 0), (12, 0))] == [2, 1]


@pytest.mark.parametrize(("width", "cycles"), {"U16": 4, "32": 4, "64": 8, "128": 16}.items())
def test_a_load_keeps_the_l1_by_its_bytes(width: str, cycles: int) -> None:
    assert pipe_cycles([instruction(f"LDG.E.{width} R4, [R2]")], (9, 0))["l1"] == cycles


def test_ready_warps_are_stalls_per_instruction() -> None:
    assert ready_warps(BODY) == pytest.approx((8 + 5) / 9)
    assert ready_warps([instruction(FFMA, stall=0)]) == 1


def code_of(body: list[Instruction]) -> Code:
    """Code that is a loop, its instructions at addresses of their own."""
    placed = tuple(replace(one, address=16 * place) for place, one in enumerate(body))
    return Code(placed, (placed,))


def launched(programs: int) -> CompiledKernel:
    """A kernel with so many programs of four warps, one to each scheduler."""
    return replace(binary("forward", STAGE_28), programs=programs)


def test_a_full_pipe_is_the_time_of_a_launch() -> None:
    body = [instruction(LOP3)] * 100
    code = code_of(body)
    h100 = CHIPS["H100 SXM"]
    found = schedule_of(launched(132 * 40), code, code.loops[0], 1, 0.25)
    assert found.slots == 4
    # 40 warps a scheduler, seven window rows of 100 instructions that take two cycles each.
    cycles = 40 * 7 * 200
    assert found.us["H100 SXM"] == pytest.approx(cycles / h100.clock_ghz / 1e3, rel=0.01)
    assert found.cycles_per_tap == pytest.approx(7 * 200 / (7 * 28), rel=0.01)  # four columns
    assert len(found.waited) == 100
    assert found.walked == 1


def test_rows_that_a_program_skips_are_not_walked() -> None:
    code = code_of([instruction(FFMA)] * 10)
    compiled = binary("forward", replace(STAGE_28, height=7, width=7, channels=800))
    # Of seven window rows 4, 5, 6, 7, 6, 5 and 4 lie inside the image.
    assert schedule_of(compiled, code, code.loops[0], 1, 0.25).walked == pytest.approx(37 / 49)


def test_a_launch_is_as_long_as_its_busiest_scheduler() -> None:
    code = code_of([instruction(FFMA, stall=4)] * 100)
    times = [
        schedule_of(launched(programs), code, code.loops[0], 1, 0.25).us["H200 SXM"]
        for programs in (1, 132, 133, 132 * 4, 132 * 400)
    ]
    # Up to four warps of a scheduler take no longer than one; what is moved bounds the shortest.
    assert times[0] == times[1] == pytest.approx(times[2], rel=0.01) == pytest.approx(times[3], rel=0.01)
    assert times[4] == pytest.approx(100 * 2800 / 1980, rel=0.02)


def test_memory_bounds_what_the_schedule_does_not() -> None:
    code = code_of([instruction("NOP")])
    found = schedule_of(launched(10), code, code.loops[0], 1, 0.25)
    assert found.us["H200 SXM"] < found.us["H100 SXM"]
    assert found.us["H100 SXM"] == pytest.approx(13.5, rel=0.01)  # as the table of bounds has it
