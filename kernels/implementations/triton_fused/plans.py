"""What a launch needs to know of a problem on a device: found out once, and kept for every call of it."""

from dataclasses import dataclass, field
from functools import partial
from typing import Any

import torch
from torch import Tensor
from triton.compiler import CompiledKernel
from triton.runtime import driver

from ...plain import keep, kept
from ...problem import Problem
from ...tensors import accumulation_dtype
from .backward import local_relation_key_kernel, local_relation_query_kernel
from .forward import local_relation_forward_kernel
from .geometry import SIZES, Geometry, geometry_of
from .settings import KERNELS as NAMES
from .settings import Kernel, Settings, tiled
from .tuned import settings_of


class Launch:
    """A kernel of a problem under some settings, to be called with its tensors.

    Every pointer must be aligned to 16 bytes: what was compiled for the first call then serves all, and Triton need not
    look at the arguments again.
    """

    def __init__(
        self, kernel: Kernel, problem: Problem, settings: Settings, device: torch.device, **constants: Any
    ) -> None:
        self.geometry: Geometry = geometry_of(kernel, problem, settings)
        self.tiles = self.geometry.tiles(problem.batch, *tiled(kernel, problem))
        self.grid = (self.tiles * self.geometry.group_chunks, 1, 1)
        self.constants = {"S": self.geometry, **constants}
        self.options = settings.options
        self._kernel = KERNELS[kernel]
        self._rest = (*(getattr(problem, name) for name in SIZES), *self.constants.values())
        self._index = device.index  # None on a CPU
        self._start: Any = None
        self._stream: Any = None  # tells the device's current one
        self.cubin: bytes | None = None  # once it was launched on a GPU

    def __call__(self, *tensors: Tensor) -> None:
        """Launch on the plan's device, which need not be the current one."""
        if self._index is not None and self._index != torch.cuda.current_device():
            with torch.cuda.device(self._index):
                self(*tensors)
        elif self._start is not None:
            self._start(*tensors, *self._rest, stream=self._stream())
        else:
            compiled = self._kernel[self.grid](*tensors, *self._rest, **self.options)
            if isinstance(compiled, CompiledKernel):  # the interpreter has none
                self._start, self.cubin = compiled[self.grid], compiled.asm.get("cubin")
                self._stream = partial(driver.active.get_current_stream, driver.active.get_current_device())


@dataclass(frozen=True, slots=True)
class Plan:
    """The kernels of a problem on a device, forward once alone and once for backward, and what they make.

    The softmaxes are saved in the order of (N, Ho, Wo, 2·G), the means in that of (N, Ho, Wo, 2·G·slices). `wide` is
    the dtype of sums; `keeps_size` whether the output has the value's shape; `contiguous` whether it is so, and not
    channels_last; `empty` holds a tensor of no elements once one was needed.
    """

    forward: Launch
    saving: Launch
    query: Launch
    key: Launch
    device: torch.device
    out_shape: tuple[int, int, int, int]
    softmax_shape: tuple[int, int, int, int]
    softmax_stride: tuple[int, int, int, int]
    mean_shape: tuple[int, int, int, int]
    mean_stride: tuple[int, int, int, int]
    groups: int
    kernel_size: int
    table_stride: tuple[int, int, int]
    prior: bool
    wide: torch.dtype
    keeps_size: bool
    contiguous: bool
    empty: list[Tensor] = field(default_factory=list)

    @property
    def programs(self) -> int:
        """Programs of the largest of the grids."""
        return max(launch.grid[0] for launch in (self.forward, self.query, self.key))

    def nothing(self) -> Tensor:
        """A tensor of no elements, of the dtype of sums, for what a launch does not use."""
        if not self.empty:
            with torch.inference_mode(mode=False):  # it may be saved for backward
                self.empty.append(torch.empty(0, dtype=self.wide, device=self.device))
        return self.empty[0]


KERNELS = {
    "forward": local_relation_forward_kernel,
    "query": local_relation_query_kernel,
    "key": local_relation_key_kernel,
}
_PLANS: dict[tuple[Problem, torch.device], Plan] = kept()


def plan_of(problem: Problem, device: torch.device) -> Plan:
    """The plan of a problem on a device, under the settings that its kernels run with there."""
    plan = _PLANS.get((problem, device))
    return keep(_PLANS, (problem, device), _planned(problem, device)) if plan is None else plan


def _planned(problem: Problem, device: torch.device) -> Plan:
    forward, query, key = (settings_of(kernel, problem, device) for kernel in NAMES)
    height, width, saved = problem.out_height, problem.out_width, 2 * problem.groups
    query_side = Launch("query", problem, query, device)
    left = saved * query_side.geometry.slices
    return Plan(
        forward=Launch("forward", problem, forward, device, SAVE_SOFTMAX=False),
        saving=Launch("forward", problem, forward, device, SAVE_SOFTMAX=True),
        query=query_side,
        key=Launch("key", problem, key, device),
        device=device,
        out_shape=(problem.batch, problem.channels, height, width),
        softmax_shape=(problem.batch, saved, height, width),
        softmax_stride=(height * width * saved, 1, width * saved, saved),
        mean_shape=(problem.batch, left, height, width),
        mean_stride=(height * width * left, 1, width * left, left),
        groups=problem.groups,
        kernel_size=problem.kernel_size,
        table_stride=(1, problem.kernel_size * problem.groups, problem.groups),
        prior=problem.prior,
        wide=accumulation_dtype(getattr(torch, problem.dtype)),
        keeps_size=(height, width) == (problem.height, problem.width),
        contiguous=problem.memory_format == "contiguous",
    )
