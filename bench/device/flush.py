"""The flush of a GPU's L2, so that a call begins with a cold one that owes the memory nothing."""

import torch

# How many times the L2's size is written: with three, a public issue found times steadier than with one.
FLUSH_FACTOR = 3.0
_FLOAT = 4


class Flush:
    """Write so many times the L2's size, then read a buffer of its size that nobody writes.

    After the write alone the L2 is full of lines that differ from the memory, and writing them back would be charged to
    the call that comes next; after the read its lines are clean.

    Args:
        device: The GPU.
        factor: How many times the L2's size is written.
    """

    def __init__(self, device: torch.device, factor: float = FLUSH_FACTOR) -> None:
        size = torch.cuda.get_device_properties(device).L2_cache_size
        self._written = torch.empty(int(factor * size), dtype=torch.int8, device=device)
        self._clean = torch.zeros(size // _FLOAT, dtype=torch.float32, device=device)
        self._sum = torch.zeros((), dtype=torch.float32, device=device)

    def __call__(self) -> None:
        """Queue the write and the read."""
        self._written.zero_()
        torch.sum(self._clean, dim=0, out=self._sum)
