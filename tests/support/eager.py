"""What torch.compile wraps, run without a code generator."""

from collections.abc import Callable
from functools import cache
from typing import Any

import torch

from kernels.compilation import compiled_alone


def traced(function: Callable[..., Any], _: object) -> Callable[..., Any]:
    """A function of `flex` as torch.compile traces it, run without a code generator: by FlexAttention's definition."""
    compiled = compiled_alone(function, backend="eager")

    def run(*args: Any) -> Any:
        with torch.compiler.set_stance("default"):
            return compiled(*args)

    return run


@cache
def differentiated_ahead(function: Callable[..., Any], _: object) -> Callable[..., Any]:
    """The same with its backward traced ahead, as the code generator is given it: once for what arguments look like."""
    return compiled_alone(function, backend="aot_eager")
