"""`import kernels` costs little more than `import torch`: the compilers are loaded when they are asked for."""

import subprocess
import sys
from typing import Any

import pytest
import torch

import kernels
from kernels.compilation import constant_when_traced
from tests import ROOT

SCRIPT = """
import sys, time
import torch
before, started = set(sys.modules), time.process_time()
from kernels import LocalRelation2d, local_relation, lr_net_50, replace_spatial_convs
print(time.process_time() - started)
print(*sorted(set(sys.modules) - before))
"""
SECONDS = 0.1


def imported() -> tuple[float, list[str]]:
    """Seconds of processor time of `import kernels` after `import torch`, and the modules that it loads."""
    output = subprocess.run([sys.executable, "-c", SCRIPT], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    seconds, modules = output.split("\n", 1)
    return float(seconds), modules.split()


def test_no_compiler_is_loaded() -> None:
    _, modules = imported()
    assert [name for name in modules if name.partition(".")[0] in ("torch", "triton", "sympy")] == []


def test_the_options_and_the_table_need_no_torch() -> None:
    code = "import sys; from kernels import IMPLEMENTATIONS, DTYPES, Problem, resolve_padding; "
    code += "print(Problem(batch=1, channels=2, height=3, width=3, kernel_size=3, m=1), 'torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.endswith("False\n")


def test_every_public_name_is_found() -> None:
    assert {name for name in kernels.__all__ if getattr(kernels, name) is None} == set()
    assert set(kernels.__all__) <= set(dir(kernels))
    with pytest.raises(AttributeError, match="no attribute 'anything'"):
        kernels.anything  # noqa: B018


@pytest.mark.timing
def test_it_takes_little_time() -> None:
    assert min(imported()[0] for _ in range(5)) <= SECONDS


def test_a_constant_is_marked_as_torch_marks_it() -> None:
    """The mark is torch's own, private, set without loading what sets it."""

    def ours() -> int:
        return 1

    def theirs() -> int:
        return 1

    constant_when_traced(ours)
    torch.compiler.assume_constant_result(theirs)
    assert vars(ours) == vars(theirs) != {}


@pytest.mark.compiles
def test_a_constant_is_not_traced() -> None:
    calls: list[Any] = []

    @constant_when_traced
    def constant(shift: int) -> int:
        calls.append(object())  # no compiler traces what outlives a call
        return shift + len(calls)

    compiled = torch.compile(lambda x: x + constant(1), backend="eager", fullgraph=True)
    assert compiled(torch.zeros(2)).tolist() == [2, 2]
    assert compiled(torch.zeros(2)).tolist() == [2, 2]
    assert len(calls) == 1
