"""How many warps a multiprocessor holds at once. Free of torch.

Limits are of the CUDA C++ Programming Guide's table of technical specifications per compute capability. Registers are
handed out to a warp by 256, from one of four files; shared memory to a block by 128 bytes, 1 KiB of it the system's.
"""

from collections.abc import Mapping
from dataclasses import dataclass

_FILES, _FILE_REGISTERS, _REGISTERS_AT_ONCE = 4, 16384, 256
_SYSTEM_SHARED_BYTES, _SHARED_AT_ONCE = 1024, 128
_THREADS = 32


@dataclass(frozen=True)
class Multiprocessor:
    """What one multiprocessor holds at most: warps, blocks, and KiB of shared memory."""

    warps: int
    blocks: int
    shared_kib: int


MULTIPROCESSORS: Mapping[tuple[int, int], Multiprocessor] = {
    (8, 0): Multiprocessor(warps=64, blocks=32, shared_kib=164),
    (8, 6): Multiprocessor(warps=48, blocks=16, shared_kib=100),
    (8, 9): Multiprocessor(warps=48, blocks=24, shared_kib=100),
    (9, 0): Multiprocessor(warps=64, blocks=32, shared_kib=228),
    (10, 0): Multiprocessor(warps=64, blocks=32, shared_kib=228),
    (12, 0): Multiprocessor(warps=48, blocks=24, shared_kib=100),
}


def occupancy(capability: tuple[int, int], warps: int, registers: int, shared_bytes: int) -> float:
    """The share of its warps that a multiprocessor can hold of blocks with so many warps, each thread's registers.

    0 where not even one block fits. All of the shared memory that can be is taken as such, not as cache.
    """
    limits = MULTIPROCESSORS[capability]
    warps_of_file = _FILE_REGISTERS // _up(max(registers, 1) * _THREADS, _REGISTERS_AT_ONCE)
    shared = _up(shared_bytes + _SYSTEM_SHARED_BYTES, _SHARED_AT_ONCE)
    blocks = min(
        limits.blocks,
        limits.warps // warps,
        _FILES * warps_of_file // warps,
        limits.shared_kib * 1024 // shared,
    )
    return blocks * warps / limits.warps


def _up(number: int, step: int) -> int:
    """The least multiple of the step that is not below the number."""
    return -(-number // step) * step
