"""Control words as CuAssembler and the cicuvc notes give them, and as nvdisasm's text has them."""

import pytest

from bench.offline.control import Control, decode
from bench.offline.sass import parse_code

# Lines of the fused kernels for sm_90, and what the fields of their upper halves are, read by hand.
LINES = """\
        /*0000*/                   LDC R1, c[0x0][0x28] ;              /* 0x00000a00ff017b82 */
                                                                       /* 0x000e300000000800 */
.L_x_0:
        /*0010*/                   S2R R2, SR_TID.X ;                  /* 0x0000000000027919 */
                                                                       /* 0x000ea20000002100 */
        /*0020*/                   PRMT R56, RZ, 0x7610, R56 ;         /* 0x00007610ff387816 */
                                                                       /* 0x000fc40000000038 */
        /*0030*/              @!P1 LOP3.LUT R0, R2, 0x7f, RZ, 0xc0, !PT ;  /* 0x0000007f02007812 */
                                                                       /* 0x004fe400078ec0ff */
        /*0040*/                   STG.E.128 desc[UR4][R2.64], R4 ;    /* 0x0000000402007986 */
                                                                       /* 0x0103e2000c101d04 */
        /*0050*/               @P0 BRA `(.L_x_0) ;                     /* 0xfffffffc00f00947 */
                                                                       /* 0x000fea000383ffff */
        /*0060*/                   EXIT ;                              /* 0x000000000000794d */
                                                                       /* 0x000fea0003800000 */
"""
FIELDS = (
    Control(stall=8, stays=True, write=0),
    Control(stall=1, stays=True, write=2),
    Control(stall=2, stays=False),
    Control(stall=2, stays=True, waits=(2,)),
    Control(stall=1, stays=True, read=1, waits=(4,)),
    Control(stall=5, stays=True),
    Control(stall=5, stays=True),
)


def test_words_of_a_listing() -> None:
    code = parse_code(LINES)
    assert tuple(one.control for one in code.instructions) == FIELDS
    assert [one.address for one in code.instructions] == list(range(0, 0x70, 0x10))
    assert [one.opcode for one in code.loops[0]] == ["S2R", "PRMT", "LOP3.LUT", "STG.E.128", "BRA"]


@pytest.mark.parametrize("field", range(6))
def test_each_scoreboard_has_its_bit(field: int) -> None:
    empty = (7 << 5 | 7 << 8) << 105
    assert decode(empty) == Control(stall=0, stays=False)
    assert decode(empty | 1 << 105 + 11 + field).waits == (field,)
    assert decode(empty & ~(7 << 110) | field << 110).write == field
    assert decode(empty & ~(7 << 113) | field << 113).read == field


def test_text_without_words_has_no_schedule() -> None:
    (one,) = parse_code("        /*0000*/   EXIT ;\n").instructions
    assert one.control == Control()
