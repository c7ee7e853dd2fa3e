"""The warps of a scheduler on made-up code, whose time is known."""

import pytest

from bench.offline.sass import Instruction
from bench.offline.schedule.rates import MEMORIES, QUEUES, Capability, UnknownInstructionError
from bench.offline.schedule.simulation import Listing, Simulated, Walk, simulate
from tests.support.made_up_code import instruction, loop

HOPPER: Capability = (9, 0)
AMPERE: Capability = (8, 0)
FFMA, MUFU, LOP3 = "FFMA R0, R0, R1, R2", "MUFU.EX2 R0, R1", "LOP3.LUT R0, R1, R2, RZ, 0xc0, !PT"
LDG = "LDG.E.128 R4, desc[UR4][R2.64]"
HITS = (0.0,)


def run(body: list[Instruction], warps: int, slots: int | None = None, capability: Capability = HOPPER) -> Simulated:
    """What warps make of a loop of one iteration that finds all in the L1."""
    return simulate(loop(body), [Walk(HITS)] * warps, slots or warps, capability)


def cycles(body: list[Instruction], warps: int, slots: int | None = None, capability: Capability = HOPPER) -> int:
    """Cycles until the last instruction is issued."""
    return run(body, warps, slots, capability).finished[-1] + 1


def test_a_dependent_chain_takes_its_stalls() -> None:
    chain = [instruction(FFMA, stall=4)] * 100
    assert cycles(chain, 1) == 99 * 4 + 1
    # Three more warps fit in its gaps, and of eight each waits for a turn.
    assert cycles(chain, 4) == 400
    assert cycles(chain, 8) == 800
    assert run(chain, 1).waited[50].stall == 3


def test_a_full_pipe_is_what_binds() -> None:
    free = [instruction(FFMA)] * 100
    assert cycles(free, 4) == 400
    # 64 lanes a multiprocessor: every other cycle.
    assert cycles(free, 4, capability=AMPERE) == 799
    alu = [instruction(LOP3)] * 100
    assert cycles(alu, 4) == 799
    assert sum(one.turn for one in run(alu, 4).waited) > 0


def test_two_pipes_share_the_issue_slots() -> None:
    mixed = [instruction(FFMA), instruction(LOP3)] * 100
    # 200 cycles of the ALU and 100 of the multiply–adds in 200 slots.
    assert cycles(mixed, 1) == pytest.approx(200, abs=1)
    assert cycles(mixed, 4) == pytest.approx(800, abs=4)


def test_exponentials_bind_a_loop() -> None:
    body = [instruction(MUFU), *[instruction(FFMA)] * 3]
    walks = [Walk((0.0,) * 50)] * 4
    assert simulate(loop(body), walks, 4, HOPPER).finished[-1] == pytest.approx(8 * 4 * 50, abs=8 * QUEUES["mufu"] + 8)


@pytest.mark.parametrize(("missing", "beyond", "level"), [(0.0, 0.0, "l1"), (1.0, 0.0, "l2"), (1.0, 1.0, "dram")])
def test_a_scoreboard_holds_until_the_load_is_there(missing: float, beyond: float, level: str) -> None:
    body = [instruction(LDG, write=3), instruction(FFMA), instruction(FFMA, waits=[3])]
    done = simulate(loop(body), [Walk((missing,), beyond)], 1, HOPPER)
    latency = getattr(MEMORIES[HOPPER], level)
    assert done.finished == (latency,)
    assert done.waited[2].scoreboard == latency - 2
    assert done.waited[1].scoreboard == 0


def test_of_loads_so_many_miss_as_is_said() -> None:
    body = [instruction(LDG, write=0), instruction(FFMA, waits=[0])]
    memory = MEMORIES[HOPPER]
    done = simulate(loop(body), [Walk((0.25,) * 8)], 1, HOPPER)
    assert done.finished[-1] == 6 * (memory.l1 + 1) + 2 * (memory.l2 + 1) - 1


def test_other_warps_hide_a_wait() -> None:
    body = [instruction(LDG, write=0), instruction(FFMA, waits=[0]), *[instruction(FFMA)] * 98]
    assert cycles(body, 1) == 100 + 36
    # All four ask at first, and then there is always one that goes on.
    assert cycles(body, 4) == 400 + 37 - 4
    # One after another nothing is hidden.
    assert cycles(body, 4, slots=1) == 4 * 136


def test_a_queue_takes_loads_until_it_is_full() -> None:
    loads = [instruction(LDG)] * (QUEUES["l1"] + 1)
    # A load of 16 bytes a thread keeps the L1 for 16 cycles; behind that and a full queue a load waits.
    assert cycles(loads, 1) == QUEUES["l1"] + 1
    assert cycles([*loads, instruction(LDG)], 1) == 16 + 1


def test_the_scheduler_stays_with_a_warp_and_then_takes_the_youngest() -> None:
    body = [*[instruction(FFMA)] * 10, instruction(FFMA, stall=20), instruction(FFMA)]
    # The youngest pauses from 10 to 30, but the oldest is at work until 32; the others may go on at 41 and 52.
    assert run(body, 3).finished == (33, 41, 52)


def test_warps_start_when_others_end() -> None:
    body = [instruction(FFMA, stall=4)] * 25
    assert cycles(body, 6, slots=2) == pytest.approx(3 * 97, abs=3)


def test_what_is_around_the_loop_is_walked_once() -> None:
    around = instruction("IMAD.MOV.U32 R1, RZ, RZ, R2", stall=5)
    listing = Listing((around,), (instruction(FFMA),), (around,))
    assert simulate(listing, [Walk((0.0,) * 10)], 1, HOPPER).finished == (5 + 10,)
    assert simulate(listing, [Walk(())], 1, HOPPER).finished == (5,)


def test_an_instruction_without_a_rate_is_named() -> None:
    with pytest.raises(UnknownInstructionError, match=r"HGMMA.64x8x16.F32: add it to bench/offline/schedule/rates.py"):
        run([instruction("HGMMA.64x8x16.F32 R0, R1")], 1)
