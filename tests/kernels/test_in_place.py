"""The output is the caller's own: what is written into it changes no gradient's value, and is differentiated."""

from collections.abc import Callable
from dataclasses import replace

import pytest
import torch
from torch import Tensor

from kernels import local_relation
from tests.support.cases import Case, draw, every_implementation, take

CASES = {
    "contiguous": Case(batch=2, channels=4, m=2, height=3, width=4),
    "channels last": Case(batch=2, channels=4, m=2, height=3, width=4, layout="channels_last"),
    "strided groups": Case(batch=1, channels=4, m=2, height=3, width=4, channel_order="strided"),
    "m does not divide C": Case(batch=1, channels=5, m=2, height=3, width=4, layout="channels_last"),
    "m does not divide C, contiguous": Case(batch=1, channels=5, m=2, height=3, width=4),
    "one channel, one pixel": Case(batch=2, channels=1, m=1, height=1, width=1),
}
WRITES: dict[str, tuple[Callable[[Tensor], Tensor], Callable[[Tensor], Tensor]]] = {
    "relu": (torch.relu_, torch.relu),
    "multiplication": (lambda y: y.mul_(3), lambda y: y * 3),
    "addition": (lambda y: y.add_(1), lambda y: y + 1),
}


def gradients(implementation: str, case: Case, write: Callable[[Tensor], Tensor]) -> list[Tensor]:
    inputs = draw(case)
    leaves = [x.clone().requires_grad_() for x in inputs.operands if x is not None]
    output = write(local_relation(*leaves, implementation=implementation, **case.keywords))
    return [output.detach().clone(), *torch.autograd.grad(output, leaves, inputs.grad)]


@every_implementation
@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
def test_written_into(implementation: str, case: Case) -> None:
    take(implementation, case)
    for inside, beside in WRITES.values():
        written, copied = (gradients(implementation, case, one) for one in (inside, beside))
        assert all(map(torch.equal, written, copied))


@every_implementation
def test_written_into_through_a_view(implementation: str) -> None:
    case = replace(CASES["channels last"], batch=1)
    take(implementation, case)

    def write(y: Tensor) -> Tensor:
        y[:, 1:].zero_()
        return y

    mask = torch.tensor([1.0, 0, 0, 0])[:, None, None]
    written, copied = gradients(implementation, case, write), gradients(implementation, case, lambda y: y * mask.to(y))
    for one, other in zip(written, copied, strict=True):
        torch.testing.assert_close(one, other)


def test_the_output_is_not_held_by_what_watches_it() -> None:
    """What tells that the output was written into holds none of its memory."""
    case = CASES["channels last"]
    inputs, _ = take("triton", case)
    leaves = [x.clone().requires_grad_() for x in inputs.operands if x is not None]
    output = local_relation(*leaves, implementation="triton", **case.keywords)
    assert output.grad_fn is not None
    watching = [x for x in vars(output.grad_fn).values() if isinstance(x, Tensor)]
    assert [x.untyped_storage().nbytes() for x in watching] == [0]
