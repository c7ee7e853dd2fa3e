"""What an instruction says of its own schedule: stall, scoreboards set and waited for. A 128-bit word → its fields.

From Volta to Blackwell 21 bits of every instruction's word, from bit 105 on, are the schedule that the assembler made.
Fields as in CuAssembler's CuControlCode.py and cicuvc/nvidia-sass-document (notes/sm90/arch/control_codes.md).
"""

from dataclasses import dataclass

_FIRST_BIT = 105
# A field's place in the control bits, and its width.
_STALL, _STAY, _WRITE, _READ, _WAIT = (0, 4), (4, 1), (5, 3), (8, 3), (11, 6)
_NO_SCOREBOARD = 7
SCOREBOARDS = 6


@dataclass(frozen=True)
class Control:
    """The schedule of one instruction.

    Args:
        stall: Cycles from its issue until the warp's next instruction may be issued.
        stays: Whether the scheduler is to go on with this warp.
        write: The scoreboard that is set until the result is there, None without one.
        read: The scoreboard that is set until the operands are read, None without one.
        waits: The scoreboards that must be clear before it is issued.
    """

    stall: int = 1
    stays: bool = True
    write: int | None = None
    read: int | None = None
    waits: tuple[int, ...] = ()


def decode(word: int) -> Control:
    """The schedule in an instruction's 128-bit word."""
    bits = word >> _FIRST_BIT

    def field(place: tuple[int, int]) -> int:
        first, width = place
        return bits >> first & ((1 << width) - 1)

    def scoreboard(place: tuple[int, int]) -> int | None:
        number = field(place)
        return None if number == _NO_SCOREBOARD else number

    return Control(
        stall=field(_STALL),
        stays=bool(field(_STAY)),
        write=scoreboard(_WRITE),
        read=scoreboard(_READ),
        waits=tuple(number for number in range(SCOREBOARDS) if field(_WAIT) >> number & 1),
    )
