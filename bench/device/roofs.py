"""What a device can do, measured: bytes copied, multiply–adds, exponentials, each by a call that does nothing else.

On a GPU: a copy far larger than the L2, and Triton kernels that keep eight numbers of a thread in registers. On a CPU
there is no such kernel: the roofs are torch's copy of arrays beyond the caches, its product of two 512×512 float32
matrices, and its exponential of numbers that the second cache holds.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import torch

from kernels import free_bytes

from ..samples import Latency
from .timers import Call
from .timing import Timing, measure

_TIMING = Timing(seconds=0.5, warmup_seconds=0.2)
_GIB = 2**30
# A program's numbers, eight a thread; programs of a multiprocessor; steps of a loop unrolled.
_BLOCK, _PROGRAMS, _UNROLL = 1024, 16, 32
# As the fused kernels are launched: a product and its sum are one instruction, also from Triton 3.10 on.
_OPTIONS = {"num_warps": 4, "enable_fp_fusion": True}
# Loops of the kernels: about 4 ms each on an H200.
_FMA_ROUNDS, _EXP_ROUNDS = 2048, 256
_CPU_BYTES, _CPU_SIZE, _CPU_EXPS = 128 * 2**20, 512, 2**16


@dataclass(frozen=True)
class Roof:
    """One call, how much it does, the unit of how much it does in a second, and what it is, in words."""

    call: Call
    amount: float
    unit: str
    summary: str

    def measured(self, device: torch.device) -> tuple[float, Latency]:
        """The rate in units per second, and the latency that it comes from."""
        latency = measure(self.call, device, _TIMING)
        return self.amount / (float(latency.columns()["latency_ms"]) / 1e3), latency


def copy_roof(device: torch.device) -> Roof:
    """Bytes read and written by a copy."""
    size = min(_GIB, free_bytes(device) // 8) if device.type == "cuda" else _CPU_BYTES
    source = torch.ones(size, dtype=torch.int8, device=device)
    target = torch.empty_like(source)
    return Roof(lambda: target.copy_(source), 2 * size, "B/s", f"a copy of {size / 2**20:.0f} MiB")


def fma_roof(device: torch.device) -> Roof:
    """Multiply–adds in float32."""
    if device.type != "cuda":
        a = torch.ones(_CPU_SIZE, _CPU_SIZE)
        out = torch.empty_like(a)
        return Roof(lambda: torch.mm(a, a, out=out), _CPU_SIZE**3, "FMA/s", "torch's product of 512×512 matrices")
    from .roof_kernels import multiply_add_kernel  # noqa: PLC0415  triton is of use on a GPU alone

    def launch(out: torch.Tensor, programs: int) -> None:
        multiply_add_kernel[(programs,)](out, 0.999, 0.001, _FMA_ROUNDS, BLOCK=_BLOCK, UNROLL=_UNROLL, **_OPTIONS)

    return _kernel_roof(device, launch, _FMA_ROUNDS, "FMA/s", "multiply–adds in registers")


def exp_roof(device: torch.device) -> Roof:
    """Exponentials in float32."""
    if device.type != "cuda":
        source = torch.linspace(-1, 0, _CPU_EXPS)
        target = torch.empty_like(source)
        return Roof(lambda: torch.exp(source, out=target), _CPU_EXPS, "exp/s", "torch's exponential of 65536 numbers")
    from .roof_kernels import exponential_kernel  # noqa: PLC0415  as above

    def launch(out: torch.Tensor, programs: int) -> None:
        exponential_kernel[(programs,)](out, _EXP_ROUNDS, BLOCK=_BLOCK, UNROLL=_UNROLL, **_OPTIONS)

    return _kernel_roof(device, launch, _EXP_ROUNDS, "exp/s", "base-2 exponentials in registers")


def empty_call(device: torch.device) -> Call:
    """A call that does nothing: of a kernel on a GPU, of a function on a CPU."""
    if device.type != "cuda":
        return lambda: None
    from .roof_kernels import empty_kernel  # noqa: PLC0415  as above

    unused = torch.empty(1, device=device)

    def launch() -> None:
        empty_kernel[(1,)](unused, **{**_OPTIONS, "num_warps": 1})

    launch()
    return launch


ROOFS: Mapping[str, Callable[[torch.device], Roof]] = {"copy": copy_roof, "fma": fma_roof, "exp": exp_roof}


def _kernel_roof(
    device: torch.device, launch: Callable[[torch.Tensor, int], None], rounds: int, unit: str, summary: str
) -> Roof:
    programs = _PROGRAMS * torch.cuda.get_device_properties(device).multi_processor_count
    out = torch.empty(programs * _BLOCK, device=device)

    def call() -> None:
        launch(out, programs)

    with torch.cuda.device(device):
        call()
    return Roof(call, programs * _BLOCK * rounds * _UNROLL, unit, summary)
