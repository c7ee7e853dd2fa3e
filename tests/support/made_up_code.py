"""Machine code made up: instructions with the schedule that a test says."""

from collections.abc import Iterable, Sequence

from bench.offline.control import Control
from bench.offline.sass import Instruction
from bench.offline.schedule.simulation import Listing


def instruction(text: str, *, waits: Sequence[int] = (), write: int | None = None, stall: int = 1) -> Instruction:
    """An instruction of an opcode and operands; it waits for scoreboards, and sets one until its result is there."""
    opcode, _, operands = text.partition(" ")
    return Instruction("", opcode, operands, "", 0, Control(stall=stall, write=write, waits=tuple(waits)))


def loop(body: Iterable[Instruction], after: Iterable[Instruction] = ()) -> Listing:
    """A kernel that is a loop, and what follows it."""
    return Listing((), tuple(body), tuple(after))
