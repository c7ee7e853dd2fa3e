"""The GPUs whose limits are known, as data. Free of torch.

Multiprocessors, clocks and bandwidths are of NVIDIA's data sheets and architecture whitepapers: A100 (data sheet 2021,
GA100 whitepaper), H100 SXM5 and H200 SXM (data sheets 2022 and 2024, GH100 whitepaper; 67 TFLOP/s in float32 is
132·128·2·1.98 GHz), HGX B200 (data sheet 2025; 75 TFLOP/s in float32 for each GPU, 1.965 GHz as its driver reports it),
L40S (data sheet 2023), RTX 4090 (Ada whitepaper) and RTX 5090 (RTX Blackwell whitepaper). The clock is the highest
boost clock, and the bandwidth what the pins can do: no measurement reaches them. The L2 is what drivers report. What
one multiprocessor does in a clock and holds at most is of the CUDA C++ Programming Guide's tables of the throughput of
arithmetic instructions and of technical specifications per compute capability.
"""

from collections.abc import Mapping
from dataclasses import dataclass

# Registers are handed out to a warp by 256, from one of four files; shared memory to a block by 128 bytes, 1 KiB of it
# the system's.
_FILES, _FILE_REGISTERS, _REGISTERS_AT_ONCE = 4, 16384, 256
_SYSTEM_SHARED_BYTES, _SHARED_AT_ONCE = 1024, 128
_THREADS = 32


@dataclass(frozen=True, kw_only=True)
class Multiprocessor:
    """Results per clock (multiply–adds, exponentials, instructions issued, by thread), and what it holds at most."""

    fp32: int
    fp64: int
    warps: int
    blocks: int
    shared_kib: int
    exp: int = 16
    issue: int = 128


MULTIPROCESSORS: Mapping[tuple[int, int], Multiprocessor] = {
    (8, 0): Multiprocessor(fp32=64, fp64=32, warps=64, blocks=32, shared_kib=164),
    (8, 6): Multiprocessor(fp32=128, fp64=2, warps=48, blocks=16, shared_kib=100),
    (8, 9): Multiprocessor(fp32=128, fp64=2, warps=48, blocks=24, shared_kib=100),
    (9, 0): Multiprocessor(fp32=128, fp64=64, warps=64, blocks=32, shared_kib=228),
    (10, 0): Multiprocessor(fp32=128, fp64=64, warps=64, blocks=32, shared_kib=228),
    (12, 0): Multiprocessor(fp32=128, fp64=2, warps=48, blocks=24, shared_kib=100),
}


@dataclass(frozen=True, kw_only=True)
class Chip:
    """A GPU: its name, the name that its driver gives it, and its limits; exponentials per µs where they were measured.

    Raises:
        ValueError: What a multiprocessor of that compute capability does in a clock is not known.
    """

    name: str
    device_name: str
    capability: tuple[int, int]
    multiprocessors: int
    clock_ghz: float
    dram_tbps: float
    l2_bytes: int
    exp_per_us: float | None = None

    def __post_init__(self) -> None:
        if self.capability not in MULTIPROCESSORS:
            known = ", ".join(f"{major}.{minor}" for major, minor in MULTIPROCESSORS)
            raise ValueError(f"compute capability must be one of {known}, got {self.capability}")

    @property
    def units(self) -> Multiprocessor:
        """What one multiprocessor does in a clock."""
        return MULTIPROCESSORS[self.capability]

    @property
    def architecture(self) -> str:
        """The compiler's name of the architecture, as sm_90."""
        return "sm_{}{}".format(*self.capability)

    def per_us(self, unit: int) -> float:
        """Results per microsecond of a unit that gives so many in a clock of one multiprocessor."""
        return unit * self.multiprocessors * self.clock_ghz * 1e3


CHIPS: Mapping[str, Chip] = {
    chip.name: chip
    for chip in (
        Chip(
            name="A100 SXM 80GB",
            device_name="NVIDIA A100-SXM4-80GB",
            capability=(8, 0),
            multiprocessors=108,
            clock_ghz=1.41,
            dram_tbps=2.039,
            l2_bytes=40 * 2**20,
        ),
        Chip(
            name="H100 SXM",
            device_name="NVIDIA H100 80GB HBM3",
            capability=(9, 0),
            multiprocessors=132,
            clock_ghz=1.98,
            dram_tbps=3.35,
            l2_bytes=50 * 2**20,
        ),
        Chip(
            name="H200 SXM",
            device_name="NVIDIA H200",
            capability=(9, 0),
            multiprocessors=132,
            clock_ghz=1.98,
            dram_tbps=4.8,
            l2_bytes=60 * 2**20,
        ),
        Chip(
            name="B200",
            device_name="NVIDIA B200",
            capability=(10, 0),
            multiprocessors=148,
            clock_ghz=1.965,
            dram_tbps=7.7,
            l2_bytes=126 * 2**20,
        ),
        Chip(
            name="L40S",
            device_name="NVIDIA L40S",
            capability=(8, 9),
            multiprocessors=142,
            clock_ghz=2.52,
            dram_tbps=0.864,
            l2_bytes=96 * 2**20,
        ),
        Chip(
            name="RTX 4090",
            device_name="NVIDIA GeForce RTX 4090",
            capability=(8, 9),
            multiprocessors=128,
            clock_ghz=2.52,
            dram_tbps=1.008,
            l2_bytes=72 * 2**20,
        ),
        Chip(
            name="RTX 5090",
            device_name="NVIDIA GeForce RTX 5090",
            capability=(12, 0),
            multiprocessors=170,
            clock_ghz=2.407,
            dram_tbps=1.792,
            l2_bytes=96 * 2**20,
        ),
    )
}


def find_chip(device_name: str) -> Chip | None:
    """The chip whose driver gives it exactly that name; a part of a GPU (MIG) or another variant has another name."""
    return next((chip for chip in CHIPS.values() if chip.device_name == device_name), None)


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
