"""`compiled` on a CPU, read as the C++ that torch.compile writes: threads are started around loops, not within them."""

from collections.abc import Callable
from typing import Any, NoReturn
from unittest import mock

import pytest
import torch
from torch._inductor.graph import GraphLowering
from torch._inductor.utils import fresh_cache

from kernels import local_relation
from kernels.implementations import compiled

pytestmark = [pytest.mark.compiles, pytest.mark.usefixtures("threads")]


class Unbuilt(Exception):  # noqa: N818  nothing is wrong
    """The code was written, and is neither built nor run."""


def written(function: Callable[..., Any], *args: Any) -> str:
    """What torch.compile writes for a compiled function."""
    found = []

    class Module:
        @staticmethod
        def call(_: object) -> NoReturn:
            raise Unbuilt

    def write(graph: GraphLowering) -> type[Module]:
        found.append(graph.codegen()[0].value)
        return Module

    with fresh_cache(), mock.patch.object(GraphLowering, "compile_to_module", write), pytest.raises(Unbuilt):
        function(*args)
    return "".join(found)


def regions(code: str) -> list[bool]:
    """Whether it stands within a loop, for each place that starts threads."""
    found, blocks, loop = [], list[bool](), False
    for line in map(str.strip, code.splitlines()):
        if line.startswith("#pragma omp parallel"):
            found.append(any(blocks))
        loop |= line.startswith("for")
        for brace in line:
            if brace == "{":
                blocks.append(loop)
                loop = False
            elif brace == "}":
                blocks.pop()
    return found


def test_regions() -> None:
    code = """
    #pragma omp parallel num_threads(2)
    {
        #pragma omp for
        for(int64_t x=0; x<7; x+=1)
        {
            if (x) { y(); }
        }
    }
    for(int64_t x=0; x<7; x+=1)
    {
        {
            #pragma omp parallel num_threads(2)
            {
            }
        }
    }
    """
    assert regions(code) == [False, True]


@pytest.mark.parametrize("width", [7, 14])
def test_no_threads_start_within_a_loop(width: int, monkeypatch: pytest.MonkeyPatch) -> None:
    code = {}
    compile_ = compiled._compiled

    def read(function: Callable[..., Any], *problem: Any) -> Callable[..., Any]:
        def run(*tensors: Any) -> Any:
            code[function.__name__] = written(compile_(function, *problem), *tensors)
            return function(*problem, *tensors)

        return run

    monkeypatch.setattr(compiled, "_compiled", read)
    query, key = torch.zeros(2, 2, 2, width, width).requires_grad_()
    value, prior = torch.zeros(2, 16, width, width, requires_grad=True), torch.zeros(2, 7, 7, requires_grad=True)
    local_relation(query, key, value, prior, kernel_size=7, m=8, padding=3, implementation="compiled").sum().backward()
    assert code.keys() == {"_forward", "_weigh", "_query_side", "_key_side"}
    assert {name: any(regions(text)) for name, text in code.items()} == dict.fromkeys(code, False)
    assert all(regions(text) for text in code.values()), "no threads at all"
