"""`flex`: FlexAttention over the pixels as a sequence, the window a block mask, Φ and the prior a score_mod."""

import torch
from torch import Tensor

from ...compilation import constant_when_traced, no_compiler
from ...plain import ordinary
from ...problem import Problem
from .sequence import BLOCK
from .sizes import HEAD_DIM, bounds, largest, value_dim

_WIDEST_GROUP = 128  # at 256 channels the kernel takes 160 kB of shared memory in float32, compiled for sm_90
_ELEMENTS = 2**31  # from there on an offset takes more than 32 bits
_BLOCKS = 2**13  # 1024 × 1024 pixels
_GRID = 2**16 - 1  # the most that a grid takes in the dimensions of images and groups


def unsupported(problem: Problem, device: torch.device, *, backward: bool) -> str | None:
    """Return why the problem cannot run on the device, or None."""
    capability = torch.cuda.get_device_capability(device) if device.type == "cuda" else (8, 0)
    instructions = _cpu_instructions()
    blocks = max(bounds(problem)) // BLOCK
    checks = {
        "FlexAttention has no backward on a CPU": device.type == "cpu" and backward,
        f"FlexAttention needs AVX2 on a CPU, got {instructions}": (
            device.type == "cpu" and not instructions.startswith("AVX")
        ),
        "FlexAttention needs a GPU of compute capability 8.0 or newer": capability < (8, 0),
        "FlexAttention takes float32, float16 and bfloat16, got float64": problem.dtype == "float64",
        f"FlexAttention needs more shared memory than there is for m above {_WIDEST_GROUP}, got m = {problem.m}": (
            problem.m > _WIDEST_GROUP
        ),
        f"FlexAttention takes at most {_GRID} images and as many groups, got {problem.batch} and {problem.groups}": (
            max(problem.batch, problem.groups) > _GRID
        ),
        f"FlexAttention takes sequences of fewer than 2³¹ elements, they would have {largest(problem)}": (
            largest(problem) >= _ELEMENTS
        ),
        f"FlexAttention keeps a mask of all pairs of blocks, at most {_BLOCKS}², got {blocks}²": blocks > _BLOCKS,
    }
    return no_compiler(device) or next((reason for reason, holds in checks.items() if holds), None)


def extra_bytes(problem: Problem, device: torch.device, *, backward: bool) -> int:  # noqa: ARG001
    """Predicted peak of memory above the inputs: query, key, value and output as padded sequences, and the output."""
    itemsize = 4 if problem.dtype == "float32" else 2
    queries, keys = bounds(problem)
    images = problem.batch * problem.groups
    sequences_ = images * (queries + keys) * (HEAD_DIM + value_dim(problem))
    output = problem.batch * problem.channels * problem.out_height * problem.out_width
    statistics = 2 * images * queries * 4
    if not backward:
        return itemsize * (sequences_ + output) + statistics
    return itemsize * (2 * sequences_ + output) + 2 * statistics


def run(problem: Problem, query: Tensor, key: Tensor, value: Tensor, prior: Tensor | None) -> Tensor:
    """y (N, C, Ho, Wo) for query (N, G, Ho, Wo), key (N, G, H, W), value (N, C, H, W), prior (G, k, k).

    Raises:
        RuntimeError: Something else than an ordinary call drives torch, which compiled code would not see.
    """
    # torch.compile leaves its graph for the compiled code, or refuses to with the reason given there.
    if torch.compiler.is_exporting() or not (torch.compiler.is_compiling() or ordinary(query, key, value, prior)):
        raise RuntimeError(
            "implementation 'flex' of local_relation is compiled code: it takes neither fake tensors, tensor "
            "subclasses, dispatch modes nor torch.export; there ask for another implementation"
        )
    from . import attention

    out: Tensor = attention.run(problem, query, key, value, prior)
    return out


@constant_when_traced
def _cpu_instructions() -> str:
    return torch.backends.cpu.get_cpu_capability()
