"""Loops, units and widths read out of small disassemblies written by hand."""

import pytest

from bench.offline.sass import (
    UNITS,
    Code,
    SassError,
    by_unit,
    bytes_of,
    parse_code,
    parse_resources,
    spill_bytes,
)


def listing(*lines: str) -> str:
    """Text as nvdisasm writes it: labels at the margin, an address before each instruction."""
    texts, address = ["//--------------------- .text.kernel ---------", '\t.section\t.text.kernel,"ax",@progbits'], 0
    for line in lines:
        if line.endswith(":"):
            texts.append(line)
        else:
            guard, _, rest = line.rpartition("| ")
            texts.append(f"        /*{address:04x}*/  {guard:>16} {rest} ;")
            address += 16
    return "\n".join(texts)


def opcodes(code: Code) -> list[list[str]]:
    """The opcodes of each loop."""
    return [[one.opcode for one in loop] for loop in code.loops]


# What nvdisasm writes after every kernel: a trap that nothing reaches, and padding.
TRAP = (".L_x_9:", "BRA `(.L_x_9)", "NOP", ".L_x_10:")
SIMPLE = ("MOV R1, c[0x0][0x28]", ".L_x_0:", "FADD R2, R2, R3", "FMUL R3, R2, R2", "@P0| BRA `(.L_x_0)", "EXIT", *TRAP)


def test_a_loop_runs_from_its_label_to_the_branch_back() -> None:
    code = parse_code(listing(*SIMPLE))
    assert opcodes(code) == [["FADD", "FMUL", "BRA"]]
    assert [one.opcode for one in code.instructions] == ["MOV", "FADD", "FMUL", "BRA", "EXIT"]


def test_what_a_branch_skips_inside_counts() -> None:
    skip = ("@!P1| BRA `(.L_x_1)", "FADD R9, R9, R9", ".L_x_1:", "@P0| BRA `(.L_x_0)", "EXIT")
    assert opcodes(parse_code(listing(".L_x_0:", "FMUL R3, R2, R2", *skip))) == [["FMUL", "BRA", "FADD", "BRA"]]


def test_a_part_moved_behind_the_loop_is_of_it_and_no_loop_of_its_own() -> None:
    lines = (".L_x_0:", "FADD R2, R2, R3", "@P1| BRA `(.L_x_2)", ".L_x_1:", "FMUL R3, R2, R2", "@P0| BRA `(.L_x_0)")
    behind = ("STG.E desc[UR4][R2.64], R3", "EXIT", ".L_x_2:", "MUFU.EX2 R4, R4", "BRA `(.L_x_1)", *TRAP)
    assert opcodes(parse_code(listing(*lines, *behind))) == [["FADD", "BRA", "FMUL", "BRA", "MUFU.EX2", "BRA"]]


def test_a_loop_in_a_loop_is_part_of_it() -> None:
    lines = (".L_x_0:", "FADD R2, R2, R3", ".L_x_1:", "FMUL R3, R2, R2", "@P1| BRA `(.L_x_1)", "@P0| BRA `(.L_x_0)")
    assert opcodes(parse_code(listing(*lines, "EXIT"))) == [["FADD", "FMUL", "BRA", "BRA"]]


def test_several_loops_come_largest_first() -> None:
    first = (".L_x_0:", "FADD R2, R2, R3", "@P0| BRA `(.L_x_0)")
    second = (".L_x_1:", "FMUL R2, R2, R3", "FMUL R3, R3, R3", "@P0| BRA `(.L_x_1)")
    assert opcodes(parse_code(listing(*first, *second, "EXIT"))) == [["FMUL", "FMUL", "BRA"], ["FADD", "BRA"]]


def test_unrolled_code_has_no_loop() -> None:
    code = parse_code(listing("FADD R2, R2, R3", "FADD R2, R2, R4", "EXIT", *TRAP))
    assert code.loops == ()
    assert len(code.instructions) == 3


def test_a_predicate_may_stand_before_the_target() -> None:
    code = parse_code(listing(".L_x_0:", "FADD R2, R2, R3", "BRA.U UP0, `(.L_x_0)", "STG.E [R2], R3", "EXIT", *TRAP))
    assert opcodes(code) == [["FADD", "BRA.U"]]
    assert code.instructions[-2].opcode == "STG.E"


def test_a_loop_may_be_left_by_a_call_that_never_returns() -> None:
    lines = (
        ".L_x_1:",
        "FADD R2, R2, R3",
        "@!P1| CALL.REL.NOINC `(.L_x_0)",
        "BRA `(.L_x_1)",
        ".L_x_0:",
        "STG.E [R2], R3",
    )
    code = parse_code(listing(*lines, "EXIT", *TRAP))
    assert opcodes(code) == [["FADD", "CALL.REL.NOINC", "BRA"]]
    assert [one.opcode for one in code.instructions[-2:]] == ["STG.E", "EXIT"]


def test_a_subroutine_is_not_part_of_the_loop_that_calls_it() -> None:
    lines = (".L_x_0:", "CALL.REL.NOINC `($divide)", "FADD R2, R2, R3", "@P0| BRA `(.L_x_0)", "EXIT")
    code = parse_code(listing(*lines, "$divide:", "MUFU.RCP R5, R6", "RET.REL.NODEC R20 `(kernel)", *TRAP))
    assert opcodes(code) == [["CALL.REL.NOINC", "FADD", "BRA"]]
    assert len(code.instructions) == 6


def test_what_a_guarded_exit_leaves_goes_on() -> None:
    code = parse_code(listing("@!P3| EXIT", "STG.E [R2], R3", "EXIT", *TRAP))
    assert [one.opcode for one in code.instructions] == ["EXIT", "STG.E", "EXIT"]


UNIT_OF = {
    "FFMA R1, R2, R3, R4": "fp32",
    "FFMA2 R2, R4.F32x2.HI_LO, R6.F32, R8.F32x2.HI_LO": "fp32",
    "FMNMX R1, R2, R3, !PT": "fp32",
    "FSEL R1, R2, -INF , P1": "fp32",
    "HFMA2 R1, R2, R3, R4": "fp32",
    "DFMA R2, R4, R6, R8": "fp64",
    "MUFU.EX2 R1, R2": "mufu",
    "LDG.E.128 R4, desc[UR8][R2.64]": "memory",
    "STS [R3], R4": "memory",
    "ULDC.64 UR8, c[0x0][0x208]": "memory",
    "IMAD.WIDE R2, R3, 0x4, R4": "integer",
    "LEA.HI.X.SX32 R5, R4, R57, 0x1, P1": "integer",
    "UIADD3 UR4, UR4, 0x1, URZ": "integer",
    "LOP3.LUT R1, R2, 0x7, RZ, 0xc0, !PT": "integer",
    "SHF.L.U32 R2, R3, 0x3, RZ": "integer",
    "F2FP.BF16.F32.PACK_AB R4, R5, R6": "conversion",
    "PRMT R7, R8, 0x7632, R7": "conversion",
    "HADD2.F32 R4, -RZ, R5.H0_H0": "conversion",
    "SHF.L.U32 R4, R5, 0x10, RZ": "conversion",
    "IMAD.U32 R4, R5, 0x10000, RZ": "conversion",
    "LOP3.LUT R4, R5, 0xffff0000, RZ, 0xc0, !PT": "conversion",
    "ISETP.GE.AND P0, PT, R2, R3, PT": "predicate",
    "UISETP.NE.U32.AND UP0, UPT, UR4, UR5, UPT": "predicate",
    "FSETP.NEU.AND P1, PT, R2, -INF , PT": "predicate",
    "PLOP3.LUT P0, PT, P1, P2, PT, 0x80, 0x0": "predicate",
    "P2R R2, PR, RZ, 0x4": "predicate",
    "MOV R2, R3": "other",
    "IMAD.MOV.U32 R2, RZ, RZ, R3": "other",
    "HFMA2.MMA R2, -RZ, RZ, 0, 0": "other",
    "CS2R R2, SRZ": "other",
    "BAR.SYNC.DEFER_BLOCKING 0x0": "other",
    "SHFL.BFLY PT, R3, R2, 0x10, 0x1f": "other",
}


@pytest.mark.parametrize(("text", "unit"), UNIT_OF.items(), ids=UNIT_OF)
def test_every_instruction_has_its_unit(text: str, unit: str) -> None:
    code = parse_code(listing(text, "EXIT"))
    assert by_unit(code.instructions[:1]) == {**dict.fromkeys(UNITS, 0), unit: 1}
    assert code.instructions[0].unit == unit


def test_units_add_up_to_all_instructions() -> None:
    code = parse_code(listing(*UNIT_OF, "EXIT"))
    assert sum(by_unit(code.instructions).values()) == len(UNIT_OF) + 1


WIDTHS = {
    "LDG.E R4, desc[UR8][R2.64]": 4,
    "LDG.E.U16 R4, desc[UR8][R2.64]": 2,
    "LDG.E.U8.CONSTANT R4, desc[UR8][R2.64]": 1,
    "LDG.E.64 R4, desc[UR8][R2.64]": 8,
    "LDG.E.128 R4, desc[UR8][R2.64]": 16,
    "LDG.E.LTC128B R4, desc[UR8][R2.64]": 4,
    "LDG.E.LTC128B.64.CONSTANT R4, desc[UR8][R2.64]": 8,
}


@pytest.mark.parametrize(("text", "width"), WIDTHS.items(), ids=WIDTHS)
def test_loads_have_widths(text: str, width: int) -> None:
    assert bytes_of(parse_code(listing(f"@P3| {text}", "STG.E.128 [R2], R4", "EXIT")).instructions, "LDG") == width


def test_spills_are_what_passes_through_local_memory() -> None:
    # As ptxas says of this code: 12 bytes spill stores, 16 bytes spill loads.
    lines = ("STL [R1], R5", "STL.64 [R1+0x8], R6", "LDL.LU R5, [R1]", "LDL R5, [R1]", "LDL.64 R6, [R1+0x8]", "EXIT")
    assert spill_bytes(parse_code(listing(*lines)).instructions) == 16
    assert spill_bytes(parse_code(listing(*SIMPLE)).instructions) == 0


RESOURCES = """
Resource usage:
 Common:
  GLOBAL:0
 Function local_relation_key_kernel:
  REG:255 STACK:24 SHARED:0 LOCAL:0 CONSTANT[0]:632 TEXTURE:0 SURFACE:0 SAMPLER:0
"""


def test_resources() -> None:
    used = parse_resources(RESOURCES)
    assert (used["REG"], used["STACK"], used["SHARED"], used["LOCAL"]) == (255, 24, 0, 0)


def test_what_is_no_disassembly_is_refused() -> None:
    with pytest.raises(SassError, match="no instructions"):
        parse_code("nvdisasm fatal: not a cubin")
    with pytest.raises(SassError, match="no resource usage"):
        parse_resources("cuobjdump info: no entry function")


@pytest.mark.parametrize("branch", ["BRX R2 -0x30", "BRA `(.L_x_7)"])
def test_a_branch_to_an_unknown_place_is_refused(branch: str) -> None:
    with pytest.raises(SassError, match="target of"):
        parse_code(listing(*SIMPLE[:-5], branch, "EXIT"))
