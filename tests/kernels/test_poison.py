"""The poison that every kernel test runs with is there: fresh memory is NaN until somebody writes it."""

from collections.abc import Callable

import pytest
import torch
from torch import Tensor

X = torch.ones(2, 3, 4, 5)
ALLOCATIONS: dict[str, Callable[[torch.dtype], Tensor]] = {
    "empty": lambda dtype: torch.empty(2, 3, dtype=dtype),
    "empty of a size": lambda dtype: torch.empty(size=(2, 3), dtype=dtype),
    "empty_like": lambda dtype: torch.empty_like(X, dtype=dtype),
    "empty_like channels last": lambda dtype: torch.empty_like(X, dtype=dtype, memory_format=torch.channels_last),
    "empty_strided": lambda dtype: torch.empty_strided((2, 3), (1, 2), dtype=dtype),
    "empty_permuted": lambda dtype: torch.empty_permuted((2, 3), (1, 0), dtype=dtype),
    "new_empty": lambda dtype: X.new_empty((2, 3), dtype=dtype),
    "new_empty_strided": lambda dtype: X.new_empty_strided((2, 3), (1, 2), dtype=dtype),
    "requires_grad": lambda dtype: torch.empty(2, dtype=dtype, requires_grad=True),
}
FLOATING = (torch.float32, torch.float16, torch.bfloat16, torch.float64)


@pytest.mark.parametrize("allocate", ALLOCATIONS.values(), ids=ALLOCATIONS.keys())
@pytest.mark.parametrize("dtype", FLOATING)
def test_fresh_memory_is_nan(allocate: Callable[[torch.dtype], Tensor], dtype: torch.dtype) -> None:
    fresh = allocate(dtype)
    assert fresh.dtype == dtype
    assert fresh.isnan().all()


def test_other_allocations_are_as_ever() -> None:
    assert torch.empty(2, 3, dtype=torch.int64).dtype == torch.int64
    assert torch.empty_like(X, memory_format=torch.channels_last).is_contiguous(memory_format=torch.channels_last)
    assert not torch.zeros_like(X).any()
    assert torch.empty(2, device="meta").device.type == "meta"
