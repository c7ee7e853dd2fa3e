"""Every kernel test runs with poisoned memory, and what torch.compile wraps runs eagerly, to save time."""

import os
from collections.abc import Callable, Iterator
from importlib.util import find_spec
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.nn.attention import flex_attention

from kernels.implementations.flex import attention
from tests.support.eager import traced

# torch lists the functions that `with torch.device(…)` steers when it needs them first: before they are replaced here.
with torch.device("cpu"):
    torch.empty(0)


def poisoned(allocate: Callable[..., Tensor]) -> Callable[..., Tensor]:
    """The same allocation, filled with NaN where the dtype has one."""

    def allocate_poisoned(*args: Any, **kwargs: Any) -> Tensor:
        tensor = allocate(*args, **kwargs)
        if tensor.is_floating_point():
            with torch.no_grad():
                tensor.fill_(torch.nan)
        return tensor

    return allocate_poisoned


@pytest.fixture
def compiles(request: pytest.FixtureRequest) -> bool:
    """Whether the test truly compiles, as one marked so does."""
    return request.node.get_closest_marker("compiles") is not None


@pytest.fixture(autouse=True)
def poisoned_memory(monkeypatch: pytest.MonkeyPatch, *, compiles: bool) -> None:
    """Fill what torch.empty and its kin return, so that an element nobody writes shows up as NaN."""
    if compiles:
        return  # the compiler would trace the poisoning
    for name in ("empty", "empty_like", "empty_strided", "empty_permuted"):
        monkeypatch.setattr(torch, name, poisoned(getattr(torch, name)))
    for name in ("new_empty", "new_empty_strided"):
        monkeypatch.setattr(Tensor, name, poisoned(getattr(Tensor, name)))


@pytest.fixture(autouse=True)
def eager_stance(*, compiles: bool) -> Iterator[None]:
    """Run what torch.compile wraps as plain Python, unless the test compiles."""
    if compiles:
        torch.compiler.reset()
    with torch.compiler.set_stance("default" if compiles else "force_eager"):
        yield


@pytest.fixture(autouse=True)
def float32_is_float32() -> Iterator[None]:
    """cuDNN would round a layer's convolutions to TF32."""
    with torch.backends.cudnn.flags(enabled=True, allow_tf32=False):
        yield


@pytest.fixture(autouse=True)
def dense_flex(monkeypatch: pytest.MonkeyPatch) -> None:
    """Run FlexAttention by its definition, all pairs of pixels at once; test_flex.py overrides this.

    Gradients of what a score_mod looks up need the tracing, which takes a second a case; the CPU has none.
    """
    if torch.cuda.is_available():
        monkeypatch.setattr(attention, "_specialised", traced)
    else:
        monkeypatch.setattr(flex_attention, "_FLEX_ATTENTION_DISABLE_COMPILE_DEBUG", True)


@pytest.fixture(autouse=True)
def interpreter_like_a_gpu(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Take away faults of Triton's interpreter; and numpy's warnings of overflow in lanes that are thrown away."""
    if os.environ.get("TRITON_INTERPRET") == "1" and find_spec("triton") is not None:
        from tests.support.interpreter import like_a_gpu  # noqa: PLC0415

        like_a_gpu(monkeypatch)
    with np.errstate(over="ignore", invalid="ignore"):
        yield
