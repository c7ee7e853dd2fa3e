"""What a kernel's machine code consists of: its loops, its instructions by unit, the bytes it moves. Text → numbers.

The text is nvdisasm's (`nvdisasm -c -hex`), and cuobjdump's for the resources.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from .control import Control, decode

UNITS = ("fp32", "fp64", "mufu", "memory", "integer", "conversion", "predicate", "other")
# The first pattern that an instruction's opcode and operands begin with names its unit.
_PATTERNS: Sequence[tuple[str, str]] = (
    ("conversion", r"(F2F|F2FP|F2I|I2F|I2FP|I2I|FRND|PRMT|HADD2\.F32)\b"),
    # A bfloat16 becomes a float32 by a shift of 16 bits, or by a mask for the upper one of two.
    ("conversion", r"(SHF\.L\.U32|USHF\.L\.U32) .*, 0x10, U?RZ"),
    ("conversion", r"IMAD\.(U32|SHL\.U32|SHL) .*, 0x10000, RZ"),
    ("conversion", r"LOP3\.LUT .*, 0xffff0000, RZ"),
    ("other", r"IMAD\.MOV\b"),
    ("other", r"HFMA2(\.MMA)? \S+, -RZ, RZ, "),
    ("fp32", r"(FFMA2?|FADD2?|FMUL2?|FMNMX3?|FSEL|FSET|FSWZADD|FCHK|HFMA2|HADD2|HMUL2|HMNMX2|FHFMA|FHADD)\b"),
    ("fp64", r"(DFMA|DADD|DMUL|DMNMX)\b"),
    ("mufu", r"MUFU\b"),
    ("memory", r"(LD|LDG|LDS|LDL|LDC|LDCU|ULDC|LDGSTS|LDSM|ST|STG|STS|STL|ATOM|ATOMG|ATOMS|RED)\b"),
    ("predicate", r"U?(ISETP|PLOP3|P2R|R2P|SEL|VOTE|VOTEU)\b|(FSETP|DSETP|HSETP2)\b"),
    ("predicate", r"(BRA|BRX|BSSY|BSYNC|BREAK|WARPSYNC|CALL|RET|EXIT|BMOV|YIELD|NOP)\b"),
    ("integer", r"U?(IADD|IADD3|IMAD|IMNMX|IABS|LEA|LOP3|SHF|SGXT|POPC|FLO|BREV|BMSK|VIADD|VIMNMX|VIMNMX3)\b"),
    ("integer", r"(VIADDMNMX|IMUL|ISCADD|LOP|SHL|SHR|XMAD|IDP)\b"),
)
_UNIT_PATTERNS = tuple((unit, re.compile(pattern)) for unit, pattern in _PATTERNS)
_LINE = re.compile(r"\s*/\*([0-9a-f]+)\*/\s+(?:@(!?U?P\w+)\s+)?([A-Z][\w.]*)\s*(.*?)\s*;")
# The lower half of an instruction's word stands behind it, the upper half by itself in the next line.
_HALVES = re.compile(r"(/\* 0x[0-9a-f]{16} \*/)\s*\n\s*(?=/\* 0x[0-9a-f]{16} \*/)")
_WORD = re.compile(r"/\* 0x([0-9a-f]{16}) \*/(?=/\* 0x([0-9a-f]{16}) \*/)")
_LABEL = re.compile(r"([.$\w]+):\s*$")
_TARGET = re.compile(r"(.*)`\(([.$\w]+)\)")
_WIDTHS = {"U8": 1, "S8": 1, "U16": 2, "S16": 2, "64": 8, "128": 16, "256": 32}
# A call whose subroutine never returns is how some code leaves a loop.
_JUMPS = ("BRA", "CALL")
_INDIRECT = ("BRX", "BRXU", "JMP", "JMX")


class SassError(ValueError):
    """The text is not what the disassembler writes, or the code branches in a way that is not followed."""


@dataclass(frozen=True)
class Instruction:
    """One instruction: its predicate or "", its opcode with modifiers, its operands, the label that it branches to.

    Its address is in bytes from the kernel's start, and its schedule that of its word, where the text has it.
    """

    guard: str
    opcode: str
    operands: str
    target: str
    address: int
    control: Control = field(default_factory=Control)

    @property
    def base(self) -> str:
        """The opcode without modifiers."""
        return self.opcode.partition(".")[0]

    @property
    def unit(self) -> str:
        """The unit that executes it: one of UNITS."""
        text = f"{self.opcode} {self.operands}"
        return next((unit for unit, pattern in _UNIT_PATTERNS if pattern.match(text)), "other")

    @property
    def width(self) -> int:
        """Bytes per thread of a load or store."""
        return next((_WIDTHS[part] for part in self.opcode.split(".") if part in _WIDTHS), 4)


@dataclass(frozen=True)
class Code:
    """A kernel's reachable instructions in order, and its loops, largest first: those in no other loop."""

    instructions: tuple[Instruction, ...]
    loops: tuple[tuple[Instruction, ...], ...]


def by_unit(instructions: Sequence[Instruction]) -> dict[str, int]:
    """How many of the instructions each unit executes."""
    counts = dict.fromkeys(UNITS, 0)
    for instruction in instructions:
        counts[instruction.unit] += 1
    return counts


def bytes_of(instructions: Sequence[Instruction], opcode: str) -> int:
    """Bytes per thread that the loads or stores of an opcode ("LDG", "STL", …) move."""
    return sum(one.width for one in instructions if one.base == opcode)


def spill_bytes(instructions: Sequence[Instruction]) -> int:
    """Bytes per thread that found no register: stored to local memory or loaded from it, the larger of the two."""
    return max(bytes_of(instructions, "STL"), bytes_of(instructions, "LDL"))


def parse_resources(text: str) -> Mapping[str, int]:
    """The resources of the one kernel in a binary, as cuobjdump names them: REG, STACK, SHARED, LOCAL and others.

    Raises:
        SassError: The text has no such line.
    """
    line = re.search(r"REG:\d+.*", text)
    if line is None:
        raise SassError(f"cuobjdump reports no resource usage: {text[:200]!r}")
    return {name: int(number) for name, number in re.findall(r"(\w+):(\d+)", line.group())}


def parse_code(text: str) -> Code:
    """The code in a disassembly.

    A loop is a natural one: what can reach the branch back to its head without leaving through that head. Every
    instruction of it counts once, also where a branch may skip it; a subroutine that it calls is not part of it.

    Raises:
        SassError: There are no instructions, or a branch's target is unknown.
    """
    instructions, labels = _read(text)
    after = _successors(instructions, labels)
    blocks = _blocks(after)
    bodies = [{index for head in body for index in blocks[head].members} for body in _natural_loops(blocks)]
    outermost = [body for body in bodies if not any(body < other for other in bodies)]
    loops = sorted((tuple(instructions[i] for i in sorted(body)) for body in outermost), key=len, reverse=True)
    reached = sorted(index for block in blocks.values() for index in block.members)
    return Code(tuple(instructions[index] for index in reached), tuple(loops))


def _read(text: str) -> tuple[list[Instruction], dict[str, int]]:
    """Instructions in order, and the index of the one after each label."""
    instructions: list[Instruction] = []
    labels: dict[str, int] = {}
    for line in _HALVES.sub(r"\1", text).splitlines():
        label, match = _LABEL.match(line), _LINE.match(line)
        if label:
            labels[label.group(1)] = len(instructions)
        elif match:
            address, guard, opcode, operands = match.groups()
            target = _TARGET.match(operands) if opcode.startswith(_JUMPS) else None
            place = target.group(2) if target else ""
            word = _WORD.search(line)
            control = decode(int(word.group(2) + word.group(1), 16)) if word else Control()
            instructions.append(Instruction(guard or "", opcode, operands, place, int(address, 16), control))
    if not instructions:
        raise SassError(f"there are no instructions in the disassembly: {text[:200]!r}")
    return instructions, labels


def _successors(instructions: Sequence[Instruction], labels: Mapping[str, int]) -> list[tuple[int, ...]]:
    """The instructions that may follow each."""
    after = []
    for index, one in enumerate(instructions):
        target = labels.get(one.target)
        if one.base in _INDIRECT or (one.base == "BRA" and target is None):
            raise SassError(f"the target of {one.opcode} {one.operands} is not known")
        # A branch's condition is its guard, or a predicate before its target.
        always = one.guard in ("", "PT") and not re.match(r"!?U?P\d", one.operands)
        leaves = one.base in ("BRA", "EXIT", "RET")
        following = () if (leaves and always) or index + 1 == len(instructions) else (index + 1,)
        after.append(following if target is None else (*following, target))
    return after


@dataclass(frozen=True)
class _Block:
    """Instructions that run one after another, and the first instructions of the blocks that may follow."""

    members: range
    successors: tuple[int, ...]


def _blocks(after: Sequence[tuple[int, ...]]) -> dict[int, _Block]:
    """The blocks that the first instruction can reach, by their first instruction."""
    heads = {0, *(target for index, targets in enumerate(after) for target in targets if targets != (index + 1,))}
    found: dict[int, _Block] = {}
    waiting = [0]
    while waiting:
        head = waiting.pop()
        if head in found:
            continue
        last = head
        while after[last] == (last + 1,) and last + 1 not in heads:
            last += 1
        found[head] = _Block(range(head, last + 1), after[last])
        waiting += after[last]
    return found


def _natural_loops(blocks: Mapping[int, _Block]) -> Iterator[set[int]]:
    """The blocks of each loop; loops with one head are one."""
    dominators = _dominators(blocks)
    before: dict[int, set[int]] = {head: set() for head in blocks}
    for head, block in blocks.items():
        for successor in block.successors:
            before[successor].add(head)
    for head in blocks:
        latches = {last for last in before[head] if head in dominators[last]}
        body, waiting = {head}, list(latches)
        while waiting:
            block_head = waiting.pop()
            if block_head not in body:
                body.add(block_head)
                waiting += before[block_head]
        if latches:
            yield body


def _dominators(blocks: Mapping[int, _Block]) -> dict[int, set[int]]:
    """The blocks that every way from the first one to a block passes, itself included."""
    dominators = {head: set(blocks) for head in blocks}
    dominators[0] = {0}
    changed = True
    while changed:
        changed = False
        for head, block in blocks.items():
            for successor in block.successors:
                narrowed = dominators[successor] & (dominators[head] | {successor})
                changed |= narrowed != dominators[successor]
                dominators[successor] = narrowed
    return dominators
