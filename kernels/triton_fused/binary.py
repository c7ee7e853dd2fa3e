"""A kernel as compiled for one architecture, and how its lanes share the work. Free of Triton."""

from dataclasses import dataclass

from ..problem import Problem
from .geometry import Geometry


@dataclass(frozen=True)
class CompiledKernel:
    """A kernel's binary for one compute capability, and the facts it was compiled with.

    `kernel` is "forward", "query" or "key"; `compile_seconds` is processor time from source to binary, no cache used. A
    tap is an output pixel, a group and a neighbour; where a group is cut into slices, a lane has part of each tap.
    """

    kernel: str
    problem: Problem
    capability: tuple[int, int]
    geometry: Geometry
    warps: int
    ptx: str
    cubin: bytes
    shared_bytes: int
    compile_seconds: float

    @property
    def taps_per_lane(self) -> float:
        """Taps of one lane, borders included; on the key side the mean over pixels, of which a stride skips some."""
        skipped = self.problem.stride**2 if self.kernel == "key" else 1
        return self.geometry.columns * self.problem.kernel_size**2 / skipped / self.geometry.slices

    @property
    def iterations(self) -> int:
        """Iterations of the loop over the window's rows."""
        return -(-self.problem.kernel_size // self._rows_apart)

    @property
    def taps_per_iteration(self) -> float:
        """Taps of one lane in one iteration, where k is a multiple of the stride or the last one is not full."""
        return self.taps_per_lane * self._rows_apart / self.problem.kernel_size

    @property
    def exponentials_per_iteration(self) -> float:
        """Weights that one lane computes in one iteration."""
        skipped = self.problem.stride if self.kernel == "key" else 1
        return self.geometry.columns * self.problem.kernel_size / skipped

    @property
    def shared_bytes_needed(self) -> int:
        """Shared memory for the prior's gradient summed over a program's warps: a number for each warp and group."""
        summed = self.kernel == "query" and self.problem.prior and self.warps > 1
        return summed * self.warps * self.geometry.lane_groups * (8 if self.problem.dtype == "float64" else 4)

    @property
    def lanes(self) -> int:
        """Lanes that a launch starts, those without a pixel or a group included."""
        side = (self.problem.height, self.problem.width)
        if self.kernel != "key":
            side = (self.problem.out_height, self.problem.out_width)
        return self.problem.batch * self.geometry.tiles(*side) * self.geometry.group_chunks * self.geometry.lanes

    @property
    def taps(self) -> int:
        """Taps of the whole problem."""
        pixels = self.problem.batch * self.problem.out_height * self.problem.out_width
        return pixels * self.problem.groups * self.problem.kernel_size**2

    @property
    def _rows_apart(self) -> int:
        """Rows of the window from one iteration to the next."""
        return self.problem.stride if self.kernel == "key" and self.problem.dilation == 1 else 1
