"""What does not fit is refused with the right exception, and a message that names the offending value."""

import os
import subprocess
import sys
from collections.abc import Callable
from typing import Any

import pytest
import torch

from kernels import LocalRelation2d, local_relation, resolve_padding
from tests import ROOT
from tests.support.cases import DEVICE


def good() -> dict[str, Any]:
    """Arguments that every implementation takes: 6 channels in 3 groups, an image of 7×5."""
    generator = torch.Generator().manual_seed(0)
    shapes = {"query": (2, 3, 7, 5), "key": (2, 3, 7, 5), "value": (2, 6, 7, 5), "prior": (3, 3, 3)}
    tensors = {name: torch.randn(shape, generator=generator).to(DEVICE) for name, shape in shapes.items()}
    return {**tensors, "kernel_size": 3, "m": 2}


def shaped(**shapes: tuple[int, ...]) -> dict[str, torch.Tensor]:
    return {name: torch.zeros(shape, device=DEVICE) for name, shape in shapes.items()}


def typed(**dtypes: torch.dtype) -> dict[str, torch.Tensor]:
    return {name: good()[name].to(dtype) for name, dtype in dtypes.items()}


Change = Callable[[], dict[str, Any]]
REFUSED: dict[str, tuple[Change, type[Exception], str]] = {
    "query of 3 dimensions": (lambda: shaped(query=(3, 7, 5)), ValueError, r"query .*\(3, 7, 5\)"),
    "key of 5 dimensions": (lambda: shaped(key=(1, 2, 3, 7, 5)), ValueError, r"key .*\(1, 2, 3, 7, 5\)"),
    "value of 2 dimensions": (lambda: shaped(value=(7, 5)), ValueError, r"value .*\(7, 5\)"),
    "query of another batch": (lambda: shaped(query=(1, 3, 7, 5)), ValueError, r"query .*\(1, 3, 7, 5\)"),
    "query of another size": (lambda: shaped(query=(2, 3, 7, 4)), ValueError, r"query .*\(2, 3, 7, 4\)"),
    "query not at window centres": (
        lambda: {"stride": 2},
        ValueError,
        r"query .*\(2, 3, 4, 3\).*\(2, 3, 7, 5\)",
    ),
    "key of another size": (lambda: shaped(key=(2, 3, 6, 5)), ValueError, r"key .*\(2, 3, 6, 5\)"),
    "key of another group count": (lambda: shaped(key=(2, 2, 7, 5)), ValueError, r"key .*\(2, 2, 7, 5\)"),
    "m of another group count": (lambda: {"m": 3}, ValueError, r"\(2, 2, 7, 5\).*\(2, 3, 7, 5\)"),
    "value without channels": (lambda: shaped(value=(2, 0, 7, 5)), ValueError, "channels .*0"),
    "value without rows": (lambda: shaped(value=(2, 6, 0, 5)), ValueError, "height .*0"),
    "prior of another kernel size": (lambda: shaped(prior=(3, 5, 5)), ValueError, r"prior .*\(3, 5, 5\)"),
    "prior of another group count": (lambda: shaped(prior=(6, 3, 3)), ValueError, r"prior .*\(6, 3, 3\)"),
    "prior with a batch": (lambda: shaped(prior=(1, 3, 3, 3)), ValueError, r"prior .*\(1, 3, 3, 3\)"),
    "integer value": (lambda: typed(value=torch.int32), TypeError, "value .*int32"),
    "complex value": (lambda: typed(value=torch.complex64), TypeError, "value .*complex64"),
    "float16 query": (lambda: typed(query=torch.float16), TypeError, r"query .*float32.*float16"),
    "float64 key": (lambda: typed(key=torch.float64), TypeError, "key .*float64"),
    "float64 prior": (lambda: typed(prior=torch.float64), TypeError, "prior .*float64"),
    "float16 prior": (lambda: typed(prior=torch.float16), TypeError, "prior .*float16"),
    "query that is no tensor": (lambda: {"query": [1.0]}, TypeError, "query .*list"),
    "value that is no tensor": (lambda: {"value": None}, TypeError, "value .*None"),
    "key elsewhere": (lambda: {"key": good()["key"].to("meta")}, TypeError, "key .*meta"),
    "prior elsewhere": (lambda: {"prior": good()["prior"].to("meta")}, TypeError, "prior .*meta"),
    "kernel_size 0": (lambda: {"kernel_size": 0}, ValueError, "kernel_size .*0"),
    "kernel_size of a float": (lambda: {"kernel_size": 3.0}, TypeError, r"kernel_size .*3\.0"),
    "kernel_size of a pair": (lambda: {"kernel_size": (3, 3)}, TypeError, r"kernel_size .*\(3, 3\)"),
    "m 0": (lambda: {"m": 0}, ValueError, "m must .*0"),
    "m True": (lambda: {"m": True}, TypeError, "m must .*True"),
    "stride 0": (lambda: {"stride": 0}, ValueError, "stride .*0"),
    "stride of a string": (lambda: {"stride": "2"}, TypeError, "stride .*'2'"),
    "dilation 0": (lambda: {"dilation": 0}, ValueError, "dilation .*0"),
    "negative dilation": (lambda: {"dilation": -1}, ValueError, "dilation .*-1"),
    "padding 2": (lambda: {"padding": 2}, ValueError, "padding .*1.*2"),
    "padding of a kernel 2": (lambda: {"kernel_size": 2, "padding": 1}, ValueError, "padding .*0.*1"),
    "negative padding": (lambda: {"padding": -1}, ValueError, "padding .*-1"),
    "padding of a float": (lambda: {"padding": 1.0}, TypeError, r"padding .*1\.0"),
    "padding None": (lambda: {"padding": None}, TypeError, "padding .*None"),
    "unknown padding": (lambda: {"padding": "valid"}, ValueError, "padding .*same.*'valid'"),
    "same padding of an even kernel": (lambda: {"kernel_size": 4}, ValueError, "same.*4"),
    "window that does not fit": (
        lambda: {"kernel_size": 7, "padding": 0},
        ValueError,
        r"7×7 .*7×5 .*1×-1",
    ),
    "unknown composability": (
        lambda: {"composability": "dot"},
        ValueError,
        "composability .*multiplication.*'dot'",
    ),
    "unknown padding_mode": (
        lambda: {"padding_mode": "reflect"},
        ValueError,
        "padding_mode .*mask.*'reflect'",
    ),
    "unknown channel_order": (
        lambda: {"channel_order": "random"},
        ValueError,
        "channel_order .*strided.*'random'",
    ),
    "unknown implementation": (
        lambda: {"implementation": "cuda"},
        ValueError,
        "implementation .*unfold.*'cuda'",
    ),
    "memory_budget for unfold": (
        lambda: {"implementation": "unfold", "memory_budget": 1 << 20},
        ValueError,
        "memory_budget .*chunked.*'unfold'",
    ),
    "memory_budget for auto": (
        lambda: {"memory_budget": 1 << 20},
        ValueError,
        "memory_budget .*chunked.*'auto'",
    ),
    "memory_budget below one row": (
        lambda: {"implementation": "chunked", "memory_budget": 100},
        ValueError,
        "memory_budget .*100",
    ),
    "memory_budget 0": (
        lambda: {"implementation": "chunked", "memory_budget": 0},
        ValueError,
        "memory_budget .*0",
    ),
    "memory_budget of a float": (
        lambda: {"implementation": "chunked", "memory_budget": 1e6},
        TypeError,
        r"memory_budget .*1000000\.0",
    ),
}


@pytest.mark.parametrize(("change", "error", "message"), REFUSED.values(), ids=REFUSED.keys())
def test_operator_refuses(change: Change, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        local_relation(**{**good(), **change()})


def test_what_the_changes_start_from_is_taken() -> None:
    assert local_relation(**good()).isfinite().all()


def test_empty_batches_are_checked_as_others() -> None:
    with pytest.raises(ValueError, match=r"key .*\(0, 2, 7, 5\)"):
        local_relation(**{**good(), **shaped(query=(0, 3, 7, 5), key=(0, 2, 7, 5), value=(0, 6, 7, 5))})


LAYER_REFUSED: dict[str, tuple[dict[str, Any], type[Exception], str]] = {
    "no channels": ({"channels": 0}, ValueError, "channels .*0"),
    "channels of a float": ({"channels": 8.0}, TypeError, r"channels .*8\.0"),
    "unknown prior": ({"prior": "mlp"}, ValueError, "prior .*network.*'mlp'"),
    "prior_hidden of a table": (
        {"prior": "table", "prior_hidden": 4},
        ValueError,
        "prior_hidden .*4.*'table'",
    ),
    "prior_hidden 0": ({"prior_hidden": 0}, ValueError, "prior_hidden .*0"),
    "unknown implementation": ({"implementation": "fast"}, ValueError, "implementation .*'fast'"),
    "even kernel and same padding": ({"kernel_size": 4}, ValueError, "same.*4"),
    "too much padding": ({"kernel_size": 3, "padding": 2}, ValueError, "padding .*2"),
    "unknown composability": ({"composability": "dot"}, ValueError, "composability .*'dot'"),
    "m 0": ({"m": 0}, ValueError, "m must .*0"),
}


@pytest.mark.parametrize(("change", "error", "message"), LAYER_REFUSED.values(), ids=LAYER_REFUSED.keys())
def test_layer_refuses(change: dict[str, Any], error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        LocalRelation2d(**{"channels": 8, **change})


@pytest.mark.parametrize("shape", [(8, 5, 5), (1, 6, 5, 5), (1, 1, 8, 5, 5)])
def test_layer_refuses_other_inputs(shape: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match=rf"\(N, 8, H, W\).*\({', '.join(map(str, shape))}\)"):
        LocalRelation2d(8, 3)(torch.zeros(shape))


@pytest.mark.parametrize(("kernel_size", "dilation", "padding"), [(1, 1, 0), (3, 1, 1), (7, 1, 3), (5, 3, 6)])
def test_same_padding(kernel_size: int, dilation: int, padding: int) -> None:
    assert resolve_padding("same", kernel_size, dilation) == padding


OUTSIDE_THE_INTERPRETER = """
import torch
from kernels import Problem, local_relation, unsupported
problem = Problem(batch=1, channels=2, height=3, width=3, kernel_size=3, m=2, padding=1)
print(unsupported("triton", problem, "cpu"))
x = torch.ones(1, 1, 3, 3)
try:
    local_relation(x, x, torch.ones(1, 2, 3, 3), kernel_size=3, m=2, implementation="triton")
except ValueError as refused:
    print(refused)
print(local_relation(x, x, torch.ones(1, 2, 3, 3), kernel_size=3, m=2, implementation="unfold").sum().item())
"""


def test_triton_refuses_a_cpu_outside_the_interpreter() -> None:
    environment = {name: value for name, value in os.environ.items() if name != "TRITON_INTERPRET"}
    done = subprocess.run(
        [sys.executable, "-c", OUTSIDE_THE_INTERPRETER],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
        check=True,
    )
    reason, refusal, total = done.stdout.splitlines()
    assert "cpu" in reason.lower()
    assert refusal == f"implementation 'triton' does not take this case: {reason}"
    assert total == "18.0"
