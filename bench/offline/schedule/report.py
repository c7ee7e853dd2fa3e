"""What the schedule of a compiled kernel comes to: cycles by pipe, warps needed and there, and the simulated time."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from kernels import CompiledKernel

from ...cost.bounds import bounds_us, kernel_work
from ...cost.chips import CHIPS, MULTIPROCESSORS, Chip
from ..sass import Code, Instruction
from .rates import PIPES, SCHEDULERS, Capability, demand_of
from .reuse import Held, walks
from .simulation import Listing, Waited, simulate

# Warps that are simulated, as a multiple of those that a scheduler holds: the first of them start together, in the
# second half they no longer keep in step.
_GENERATIONS = 4


@dataclass(frozen=True)
class Schedule:
    """A simulated kernel.

    Args:
        loop: The instructions of its loop, those of the whole kernel where it has none.
        waited: What each of them waited for.
        slots: Warps that a scheduler holds.
        cycles_per_tap: Cycles of a scheduler per tap of a warp.
        walked: The share of a lane's taps that its loop passes over; a program may skip window rows.
        us: Microseconds of the launch by GPU.
    """

    loop: tuple[Instruction, ...]
    waited: tuple[Waited, ...]
    slots: int
    cycles_per_tap: float
    walked: float
    us: Mapping[str, float]


def pipe_cycles(body: Sequence[Instruction], capability: Capability) -> dict[str, int]:
    """Cycles that one warp keeps each pipe of its scheduler, and its issue slots, with these instructions."""
    cycles = dict.fromkeys(PIPES, 0) | {"issue": len(body)}
    for instruction in body:
        demand = demand_of(instruction, capability)
        if demand.pipe is not None:
            cycles[demand.pipe] += demand.cycles
    return cycles


def ready_warps(body: Sequence[Instruction]) -> float:
    """Warps that hide every stall, if they wait for nothing else: cycles from the first issue to the end per issue."""
    return sum(max(1, one.control.stall) for one in body) / len(body)


def schedule_of(
    compiled: CompiledKernel, code: Code, body: Sequence[Instruction], rows: int, occupied: float
) -> Schedule:
    """Simulate a kernel.

    Args:
        compiled: The kernel.
        code: All of its code.
        body: Its loop over window rows; all of its code where it has none.
        rows: Window rows in an iteration.
        occupied: The share of its warps that a multiprocessor holds.
    """
    warps_held = round(occupied * MULTIPROCESSORS[compiled.capability].warps)
    slots = max(1, warps_held // SCHEDULERS)
    held = Held(max(1, warps_held // compiled.warps), rows, any(one.base == "BAR" for one in body))
    ways = walks(compiled, held, _GENERATIONS * slots)
    done = simulate(_listing(code, body), ways, slots, compiled.capability)
    # Warps that a scheduler lets start after those that were simulated end at the rate of the second half.
    first, last = done.finished[len(ways) // 2 - 1], done.finished[-1]
    per_warp = (last - first) / (len(ways) - len(ways) // 2)

    def cycles(warps: int) -> float:
        return done.finished[warps - 1] if warps <= len(ways) else last + (warps - len(ways)) * per_warp

    us = {}
    for name, chip in CHIPS.items():
        if chip.capability == compiled.capability:
            warps = _warps_of_scheduler(compiled, chip)
            memory = bounds_us(kernel_work(compiled.problem, compiled.kernel), chip)["memory"]
            us[name] = max(memory, cycles(warps) / (chip.clock_ghz * 1e3))
    taps = compiled.taps_per_lane
    walked = compiled.iterations * compiled.taps_per_iteration / taps if code.loops else 1.0
    return Schedule(tuple(body), done.waited, slots, per_warp / taps, walked, us)


def _warps_of_scheduler(compiled: CompiledKernel, chip: Chip) -> int:
    """Warps that the busiest scheduler of a GPU issues in a launch."""
    programs = -(-compiled.programs // chip.multiprocessors)
    return -(-programs * compiled.warps // SCHEDULERS)


def _listing(code: Code, body: Sequence[Instruction]) -> Listing:
    """The kernel as it is walked: its other loops are left out, as they are in the counts."""
    if not code.loops:
        return Listing((), tuple(body), ())
    looped = {one.address for loop in code.loops for one in loop}
    outside = [one for one in code.instructions if one.address not in looped]
    before = tuple(one for one in outside if one.address < body[0].address)
    return Listing(before, tuple(body), tuple(outside[len(before) :]))
