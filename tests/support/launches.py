"""How many kernels a GPU would be given, counted without one, on tensors of the device "meta" that hold no numbers."""

from collections.abc import Callable, Mapping
from typing import Any

from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

# What gives memory or another look at it, and starts nothing.
_NOTHING = frozenset({"empty", "new_empty", "empty_like", "empty_strided", "new_empty_strided", "detach"})
# Operations of several kernels, whatever their sizes, and one that has a kernel for each image.
_SEVERAL: Mapping[str, Callable[[Any], int]] = {
    "constant_pad_nd": lambda _: 2,
    "im2col": lambda image: int(image.shape[0]) if image.dim() == 4 else 1,
}
_LARGEST = 2**31  # torch cuts what spans more bytes in halves, as its kernels count in 32 bits


class Launches(TorchDispatchMode):
    """Counts the kernels that torch would launch on a GPU for what runs within, by the operation's name."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.counts: dict[str, int] = {}

    @property
    def total(self) -> int:
        """All of them."""
        return sum(self.counts.values())

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        result = func(*args, **(kwargs or {}))
        name = func.overloadpacket.__name__
        if not (func.is_view or name in _NOTHING):
            given = [leaf for leaf in tree_leaves((args, kwargs, result)) if isinstance(leaf, Tensor)]
            pieces = max(map(_pieces, given), default=1)
            self.counts[name] = self.counts.get(name, 0) + pieces * _SEVERAL.get(name, lambda _: 1)(given[0])
        return result


def _pieces(tensor: Tensor) -> int:
    """Into how many parts a tensor's bytes are cut."""
    reach = sum((size - 1) * stride for size, stride in zip(tensor.shape, tensor.stride(), strict=True))
    return 1 << max(0, ((reach * tensor.element_size()) // _LARGEST).bit_length())
