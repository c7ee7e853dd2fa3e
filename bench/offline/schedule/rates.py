"""How fast a multiprocessor executes each instruction, and how long one waits for a result: all numbers of the model.

The sources, by the mark that stands with a number:
- [guide]: CUDA C++ Programming Guide, throughput of native arithmetic instructions; XLA's cuda_core_info_table agrees.
- [ptxas]: the cycles that NVIDIA's assembler leaves between two such instructions of a warp if the second waits for
  nothing, in the fused kernels' binaries for compute capability 8.0, 9.0, 10.0 and 12.0.
- [A]: Huerta, Abaie Shoushtary, Cruz, González, "Analyzing Modern NVIDIA GPU cores" (arXiv 2503.20481).
- [H]: HPMLL/NVIDIA-Hopper-Benchmark (arXiv 2402.13499), RRZE gpu-cache; where these name a range, its middle.
- [L]: "Non-Uniform L2 Cache Latency … of an NVIDIA L40" (arXiv 2606.22588).
- [assumed]: nobody has measured it that we know of.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field

from ...cost.chips import MULTIPROCESSORS
from ..sass import Instruction

Capability = tuple[int, int]

# A multiprocessor has four schedulers, each with its own pipes; what follows is of one of them.
SCHEDULERS = 4
_THREADS = 32
PIPES = ("issue", "fma", "alu", "mufu", "l1", "fp64")
# Instructions that a pipe takes in before the first has left it: five to memory [A]; for exponentials [assumed].
QUEUES: Mapping[str, int] = {"l1": 5, "mufu": 5}
# Cycles until a load or store has read its registers [A].
READ_CYCLES = 11


@dataclass(frozen=True)
class Rate:
    """Instructions that run alike.

    Args:
        pattern: What their opcode with modifiers begins with.
        pipe: The pipe that they take; None for those that take an issue slot alone.
        threads: Threads per clock and multiprocessor, itself or as a field of `Multiprocessor`.
        latency: Cycles to the result, for those that set a scoreboard until it is there.
        other: `threads` where a compute capability has another number.
    """

    pattern: str
    pipe: str | None
    threads: int | str = 128
    latency: int = 0
    other: Mapping[Capability, int] = field(default_factory=dict)


RATES = (
    # Two multiply–adds of a thread in one slot take twice as long [ptxas].
    Rate(r"(FFMA|FADD|FMUL)2\b", "fma", 64),
    Rate(r"(FFMA|FADD|FMUL|FSWZADD)\b", "fma", "fp32"),  # [guide]
    Rate(r"(IMAD|HFMA2|HADD2|HMUL2|FHFMA|FHADD|IDP)\b", "fma", 64),  # [ptxas], [guide] for IMAD
    Rate(r"(DFMA|DADD|DMUL|DSETP|DMNMX)\b", "fp64", "fp64", 16),  # [guide], latency [assumed]
    # Of Blackwell's GeForce all 128 lanes add integers [ptxas].
    Rate(r"(IADD3?|VIADD|FSEL|ISETP|FSETP|MOV|CS2R)\b", "alu", 64, 0, {(12, 0): 128}),
    Rate(
        r"(LOP3|SHF|PRMT|LEA|FMNMX3?|F2FP|I2FP|SEL|IABS|PLOP3|P2R|R2P|VOTEU?|SGXT|BMSK)\b", "alu", 64
    ),  # [guide], [ptxas]
    Rate(r"(VI|I)(MNMX3?|ADDMNMX)\b", "alu", 64),  # [guide]
    Rate(r"MUFU\b", "mufu", "exp", 30),  # [guide], [ptxas]; latency [H]: 17 to 44
    Rate(r"(F2F|F2I|I2F|FRND|POPC|FLO|BREV)\b", "mufu", 16, 30),  # [guide], latency as MUFU [assumed]
    Rate(r"SHFL\b", "l1", 32, 24),  # [guide], [ptxas]; latency [A]
    Rate(r"(LDS|LDSM|STS|STSM)\b", "l1", 32, 29),  # [ptxas]; latency [H]
    Rate(r"(LDG|LDL|STG|STL|ATOMG?|ATOMS|RED)\b", "l1", 32),  # [ptxas]; latency by where the data lie
    Rate(r"(LDC|LDCU|ULDC)\b", None, 128, 30),  # latency of a constant in the cache [assumed]
    Rate(r"(S2R|S2UR|R2UR)\b", None, 128, 25),  # [assumed]
    # Branches, barriers, the uniform pipe: their stalls are in the control words.
    Rate(
        r"(U[A-Z]|BRA|BRX|BSSY|BSYNC|BREAK|WARPSYNC|CALL|RET|EXIT|BMOV|YIELD|NOP|BAR|DEPBAR|MEMBAR|ERRBAR|CCTL)", None
    ),
)
_COMPILED = tuple((re.compile(rate.pattern), rate) for rate in RATES)
_OF_MEMORY = re.compile(r"(LDG|LDL|STG|STL|LDS|STS|ATOM|RED)")


@dataclass(frozen=True)
class Memory:
    """Cycles to data in the L1, in the L2 and beyond, and the bytes of a multiprocessor's L1 and shared memory."""

    l1: int
    l2: int
    dram: int
    l1_bytes: int


# L2 of GPUs in two halves: the mean of near (264 to 284) and far (470 to 500) [H]. L1 32 to 41, DRAM 495 to 650 [H].
_TWO_HALVES = Memory(l1=37, l2=380, dram=570, l1_bytes=256 * 1024)
_ONE = Memory(l1=37, l2=279, dram=570, l1_bytes=128 * 1024)  # [L]
MEMORIES: Mapping[Capability, Memory] = {
    (8, 0): Memory(l1=37, l2=380, dram=570, l1_bytes=192 * 1024),
    (8, 6): _ONE,
    (8, 9): _ONE,
    (9, 0): _TWO_HALVES,
    (10, 0): _TWO_HALVES,  # [assumed]
    (12, 0): _ONE,  # [assumed]
}


class UnknownInstructionError(ValueError):
    """The model has no rate for an instruction."""


@dataclass(frozen=True)
class Demand:
    """What an instruction takes: its pipe, the cycles that it keeps it, and the cycles to its result."""

    pipe: str | None
    cycles: int
    latency: int
    loads: bool


def demand_of(instruction: Instruction, capability: Capability) -> Demand:
    """What an instruction takes on one scheduler of a compute capability.

    Raises:
        UnknownInstructionError: There is no rate for it.
    """
    rate = next((rate for pattern, rate in _COMPILED if pattern.match(instruction.opcode)), None)
    if rate is None:
        raise UnknownInstructionError(
            f"the schedule's model has no rate for {instruction.opcode}: add it to bench/offline/schedule/rates.py"
        )
    number = rate.other.get(capability, rate.threads)
    threads = getattr(MULTIPROCESSORS[capability], number) if isinstance(number, str) else number
    cycles = _THREADS * SCHEDULERS // threads
    if _OF_MEMORY.match(instruction.opcode):  # 128 bytes a clock: a word of each thread at the rate above
        cycles *= max(1, instruction.width // 4)
    return Demand(rate.pipe, cycles if rate.pipe else 0, rate.latency, instruction.base == "LDG")
