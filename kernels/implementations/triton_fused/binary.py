"""A kernel as compiled for one architecture, and how its lanes share the work. Free of Triton."""

from dataclasses import dataclass

from ...problem import Problem
from .geometry import Geometry


@dataclass(frozen=True)
class CompiledKernel:
    """A kernel's binary for one compute capability, and the facts it was compiled with.

    `kernel` is "forward", "query" or "key"; `programs` are those of its grid; `compile_seconds` is processor time from
    source to binary, no cache used. A tap is an output pixel, a group and a neighbour, be that outside the image; where
    a group is cut into slices, a lane has part of each tap.
    """

    kernel: str
    problem: Problem
    capability: tuple[int, int]
    geometry: Geometry
    programs: int
    warps: int
    ptx: str
    cubin: bytes
    shared_bytes: int
    compile_seconds: float

    @property
    def taps(self) -> int:
        """Taps of the whole problem."""
        pixels = self.problem.batch * self.problem.out_height * self.problem.out_width
        return pixels * self.problem.groups * self.problem.kernel_size**2

    @property
    def taps_per_lane(self) -> float:
        """Taps of one lane; on the key side the mean over pixels, of which a stride skips some."""
        skipped = self.problem.stride**2 if self.kernel == "key" else 1
        return self.geometry.columns * self.problem.kernel_size**2 / skipped / self.geometry.slices

    @property
    def taps_per_iteration(self) -> float:
        """Taps of one lane in one iteration of the loop over window rows, if that is a full one."""
        return self.taps_per_lane * self._step / self.problem.kernel_size

    @property
    def weights_per_iteration(self) -> int:
        """Weights that one lane computes in one iteration: taps known to be outside the image need none."""
        p, columns = self.problem, range(self.geometry.columns)
        places = [(r, v * p.dilation) for r in columns for v in range(p.kernel_size)]
        if self.kernel == "key":
            distances = [r + p.padding - tap for r, tap in places]
            gathered = [distance // p.stride for distance in distances if distance % p.stride == 0]
        else:
            gathered = [r * p.stride - p.padding + tap for r, tap in places]
        width = self.geometry.gathered_width
        return sum(not width or 0 <= place < width for place in gathered)

    @property
    def iterations(self) -> float:
        """Iterations of that loop, the mean over rows: a program of one row passes over window rows outside."""
        p, rows = self.problem, range(self.problem.kernel_size)
        if self.kernel == "key":
            tiled = p.height
            met = [(y + p.padding - u * p.dilation, u, y + p.padding) for y in range(tiled) for u in rows]
            taken = sum(0 <= d < p.out_height * p.stride and (u - y) % self._step == 0 for d, u, y in met)
        else:
            tiled = p.out_height
            taken = sum(0 <= y * p.stride - p.padding + u * p.dilation < p.height for y in range(tiled) for u in rows)
        return taken / tiled if self.geometry.skips_rows else -(-p.kernel_size // self._step)

    @property
    def lanes(self) -> int:
        """Lanes that a launch starts, those without a pixel or a group included."""
        return self.programs * self.geometry.lanes

    @property
    def shared_bytes_needed(self) -> int:
        """Shared memory to sum the prior's gradient over a program's lanes, a window row of taps at a time."""
        summed = self.kernel == "query" and self.problem.prior
        numbers = self.warps * self.geometry.lane_groups * self.geometry.stacked_taps
        return summed * numbers * (8 if self.problem.dtype == "float64" else 4)

    @property
    def _step(self) -> int:
        """Window rows from one iteration to the next."""
        return self.geometry.query_step if self.kernel == "key" else 1
