"""The geometric prior f_θg(p − p'): how much a neighbour counts for where it stands alone (paper, Eq. 2)."""

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F


class GeometricPrior(nn.Module):
    """Two 1×1 convolutions with a ReLU between, 2 → hidden → G, over the (dy, dx) of each tap (paper, Fig. 2).

    Calling it returns (G, k, k). Offsets run from −1 to 1 over the window. The second convolution has no bias:
    a constant cancels in the softmax. Evaluated in full precision under autocast; kept between calls in eval mode
    without gradients until a weight changes.
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
        steps = torch.linspace(-1, 1, kernel_size) if kernel_size > 1 else torch.zeros(1)
        grid = torch.stack(torch.meshgrid(steps, steps, indexing="ij"))
        self.register_buffer("position", grid.to(device=device, dtype=self.expand.weight.dtype))
        self._kept: tuple[list[tuple[int, int, int]], Tensor] | None = None

    def forward(self) -> Tensor:
        """(G, k, k)."""
        if self.training or torch.is_grad_enabled() or torch.compiler.is_compiling():
            return self._evaluate()
        sources = [*self.parameters(), self.position]
        if any(source.is_inference() for source in sources):  # such tensors do not count their updates
            return self._evaluate()
        stamp = [(id(source), source._version, source.data_ptr()) for source in sources]  # noqa: SLF001
        if self._kept is None or self._kept[0] != stamp:
            # An ordinary tensor, so that what is kept in inference mode serves outside it too.
            with torch.inference_mode(mode=False), torch.no_grad():
                self._kept = stamp, self._evaluate()
        return self._kept[1]

    def train(self, mode: bool = True) -> "GeometricPrior":
        """Switch between training and evaluation, forgetting what evaluation kept."""
        self._kept = None
        return super().train(mode)

    def _evaluate(self) -> Tensor:
        with torch.autocast(self.position.device.type, enabled=False):
            return self.project(F.relu(self.expand(self.position[None])))[0]  # type: ignore[no-any-return]

    def _apply(self, *args: Any, **kwargs: Any) -> Any:
        self._kept = None
        return super()._apply(*args, **kwargs)  # type: ignore[no-untyped-call]

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_kept": None}


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

    def forward(self) -> Tensor:
        """(G, k, k)."""
        return self.table
