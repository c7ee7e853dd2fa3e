"""Something else drives torch: compilers, transforms, modes, tracers. Right numbers or a refusal in words, no other.

Every driver × every implementation, forward and all gradients, held against the oracle.
"""

import subprocess
import sys
from functools import partial
from pathlib import Path

import pytest

from kernels import IMPLEMENTATIONS
from kernels.implementations import compiled
from tests.support.cases import every_implementation, posed
from tests.support.drivers import CASE, DRIVERS, TRANSFORMS, Results, relation

ROOT = Path(__file__).parents[2]
pytestmark = [
    pytest.mark.compiles,
    pytest.mark.filterwarnings("ignore:`torch.jit.*` is deprecated:DeprecationWarning"),
]


@pytest.fixture(autouse=True)
def nothing_compiled_inside(monkeypatch: pytest.MonkeyPatch) -> None:
    """What `compiled` compiles for itself runs as it is; test_compiled.py compiles it."""
    monkeypatch.setattr(compiled, "_compiled", partial)


def in_words(error: Exception, implementation: str) -> bool:
    """Whether an error says who refuses and what to do instead."""
    text = str(error)
    refused = f"implementation '{implementation}'" in text and (
        " ask for " in text or "does not take this case" in text
    )
    return refused or "use torch.export" in text


@every_implementation
@pytest.mark.parametrize("driver", DRIVERS)
def test_right_numbers_or_a_refusal_in_words(driver: str, implementation: str) -> None:
    inputs, expected = posed(CASE)
    found: Results = {}
    error: Exception | None = None
    try:
        found = DRIVERS[driver](relation(implementation), inputs)
    except Exception as raised:  # noqa: BLE001
        error = raised
    if "wrap a dual tensor" in str(error):
        pytest.skip("torch from 2.14 on compiles nothing for dual numbers, whatever they are for")
    if error is not None:
        assert in_words(error, implementation), error
        assert driver == "torch.jit.trace" or implementation == "flex" or driver in TRANSFORMS
        assert driver == "torch.jit.trace" or not IMPLEMENTATIONS[implementation].transformable
        return
    reference = expected.reference.values["prior"]
    in_one_direction = found.pop("prior[0, 0, 0]", None)
    assert in_one_direction is None or in_one_direction.item() == pytest.approx(reference[0, 0, 0], rel=1e-4)
    assert expected.only(*found).violations(found) == {}


IN_A_FAKE_WORLD = """
import torch
from torch._subclasses.fake_tensor import FakeTensor, FakeTensorMode
from kernels import IMPLEMENTATIONS, local_relation

SHAPES = ((1, 2, 4, 3), (1, 2, 4, 3), (1, 4, 4, 3), (2, 3, 3))

def call(implementation, gradients, operands):
    operands = [x.requires_grad_(gradients) for x in operands]
    output = local_relation(*operands, kernel_size=3, m=2, implementation=implementation)
    return [output, *(torch.autograd.grad(output.sum(), operands) if gradients else ())]

def fake(implementation, gradients):
    try:
        with FakeTensorMode():
            found = call(implementation, gradients, [torch.ones(shape) for shape in SHAPES])
    except RuntimeError as error:
        print(implementation, error)
    else:
        assert all(isinstance(x, FakeTensor) for x in found), found
        print(implementation, *(tuple(x.shape) for x in found))

for implementation in IMPLEMENTATIONS:
    if implementation == "triton":
        continue  # interpreted, it has no compiled code
    fake(implementation, implementation != "flex")
    if implementation != "flex":  # takes ten seconds to compile, and has refused before it is asked for compiled code
        with torch.no_grad():
            call(implementation, False, [torch.ones(shape) for shape in SHAPES])
        fake(implementation, True)
"""


def test_fake_tensors_never_reach_compiled_code() -> None:
    """Cold and warm, in a process of its own, as memory that is not there would end it."""
    done = subprocess.run(
        [sys.executable, "-c", IN_A_FAKE_WORLD], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr[-2000:]
    lines = done.stdout.splitlines()
    shapes = "(1, 4, 4, 3) (1, 2, 4, 3) (1, 2, 4, 3) (1, 4, 4, 3) (2, 3, 3)"
    for implementation in set(IMPLEMENTATIONS) - {"triton", "flex"}:
        assert lines.count(f"{implementation} {shapes}") == 2
    assert "flex implementation 'flex' of local_relation is compiled code: " in done.stdout
