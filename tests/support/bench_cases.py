"""Small problems and cases of the suite."""

from typing import Any

import pytest
import torch

from bench.case.case import Case
from kernels import Problem

CPU = torch.device("cpu")
every_device = pytest.mark.parametrize(
    "device", [CPU, pytest.param(torch.device("cuda"), marks=pytest.mark.gpu)], ids=["cpu", "cuda"]
)


def problem(**changes: Any) -> Problem:
    """A small problem with "same" padding, m not dividing C, and whatever is to be different."""
    sizes = {"batch": 2, "channels": 6, "height": 5, "width": 4, "kernel_size": 3, "m": 4, "padding": 1}
    return Problem(**{**sizes, **changes})


def case(implementation: str = "chunked", mode: str = "forward", scope: str = "operator", **changes: Any) -> Case:
    """A case of the small problem."""
    return Case(problem(**changes), scope, mode, implementation)


def network_case(implementation: str = "chunked", mode: str = "forward", **changes: Any) -> Case:
    """A case of the smallest network and image."""
    image = {"batch": 2, "channels": 1, "height": 32, "width": 32, "kernel_size": 3, "m": 32, "padding": 1}
    of_networks = {name: changes.pop(name) for name in ("torch_compile",) if name in changes}
    return Case(Problem(**{**image, **changes}), "network", mode, implementation, depth=26, **of_networks)
