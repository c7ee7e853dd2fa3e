"""The geometric prior f_θg(p − p'): how much a neighbour counts for where it stands alone (paper, Eq. 2)."""

from typing import Any

import torch
from torch import Tensor, nn
from torch._C import _len_torch_function_stack
from torch.nn import functional as F

from .autocast import without_autocast
from .plain import ordinary
from .pointwise import pointwise


class GeometricPrior(nn.Module):
    """Two 1×1 convolutions with a ReLU between, 2 → hidden → G, over the (dy, dx) of each tap (paper, Fig. 2).

    Calling it returns (G, k, k), in memory as (k, k, G). Offsets run from −1 to 1 over the window. The second
    convolution has no bias: a constant cancels in the softmax. Evaluated in full precision under autocast; on a CPU, in
    eval mode without gradients, kept between calls for as long as the weights have the numbers that it was computed
    from, and nobody has put anything else into the evaluation: hooks, wrapped or replaced convolutions, a mode.
    """

    position: Tensor

    def __init__(
        self,
        groups: int,
        kernel_size: int,
        hidden: int | None = None,
        device: torch.device | str | None = None,
        dtype: torch.dtype | None = None,
    ) -> None:
        super().__init__()
        width = max(1, groups // 2) if hidden is None else hidden
        self.expand = nn.Conv2d(2, width, 1, device=device, dtype=dtype)
        self.project = nn.Conv2d(width, groups, 1, bias=False, device=device, dtype=dtype)
        self.register_buffer("position", self.expand.weight.new_empty(2, kernel_size, kernel_size))
        self._place_taps()
        self._kept: tuple[list[Tensor], Tensor] | None = None

    def reset_parameters(self) -> None:
        """Draw the weights anew and restore the grid of offsets, as after `to_empty`."""
        self.expand.reset_parameters()
        self.project.reset_parameters()
        self._place_taps()

    def _place_taps(self) -> None:
        """Write the offsets: from −1 to 1, in equal steps."""
        size = self.position.shape[-1]
        line = self.position.new_tensor([2 * tap / (size - 1) - 1 for tap in range(size)] if size > 1 else [0.0])
        with torch.no_grad():
            self.position.copy_(torch.stack(torch.meshgrid(line, line, indexing="ij")))

    def forward(self) -> Tensor:
        """(G, k, k)."""
        if self.training or torch.is_grad_enabled():
            return self._evaluate()
        sources = [*self.parameters(), *self.buffers()]
        if not (self._is_as_made() and _comparable(sources)):
            return self._evaluate()
        kept = self._kept
        if kept is None or not _equal(kept[0], sources):
            # Ordinary tensors, so that what is kept in inference mode serves outside it too.
            with torch.inference_mode(mode=False), torch.no_grad():
                kept = [source.clone() for source in sources], self._evaluate()
            self._kept = kept
        return kept[1].clone()  # the caller may write into it

    def _is_as_made(self) -> bool:
        """Whether the weights' numbers alone decide what an evaluation gives, and nobody waits to be called in it."""
        parts = [part for part in self.modules() if part is not self]
        return type(self) is GeometricPrior and parts == [self.expand, self.project] and pointwise(*parts)

    def _evaluate(self) -> Tensor:
        with without_autocast(self.position.device):
            if not pointwise(self.expand, self.project):
                return self.project(F.relu(self.expand(self.position[None])))[0]  # type: ignore[no-any-return]
            # On a GPU convolutions of float32 are rounded to TF32, and take a transposition after them.
            taps = self.position.flatten(1).t()
            middle = F.relu(F.linear(taps, self.expand.weight.flatten(1), self.expand.bias))
            table = F.linear(middle, self.project.weight.flatten(1), self.project.bias)
            return table.view(*self.position.shape[1:], -1).permute(2, 0, 1)

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_kept": None}


def _comparable(sources: list[Tensor]) -> bool:
    """Whether the tensors' numbers can be read at once, by whoever sees this call alone.

    Nothing cheaper tells whether a weight has changed: fused optimizers, and writes to `.data`, do not count in a
    tensor's version. On a GPU a comparison would wait for the device, and take longer than an evaluation.
    """
    return ordinary(*sources) and not _len_torch_function_stack() and all(source.is_cpu for source in sources)


def _equal(kept: list[Tensor], sources: list[Tensor]) -> bool:
    return len(kept) == len(sources) and all(
        old.dtype == new.dtype and torch.equal(old, new) for old, new in zip(kept, sources, strict=True)
    )


class TablePrior(nn.Module):
    """A learned value for each group and tap, zero at first: the paper's ablation LR(G*). Its call gives (G, k, k)."""

    def __init__(
        self,
        groups: int,
        kernel_size: int,
        device: torch.device | str | None = None,
        dtype: torch.dtype | None = None,
    ) -> None:
        super().__init__()
        self.table = nn.Parameter(torch.zeros(groups, kernel_size, kernel_size, device=device, dtype=dtype))

    def reset_parameters(self) -> None:
        """Set the table to zeros."""
        nn.init.zeros_(self.table)

    def forward(self) -> Tensor:
        """(G, k, k)."""
        return self.table
