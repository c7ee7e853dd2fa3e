"""`chunked` keeps its memory budget, forward and backward, and its budget does not change its results.

Counted is every byte that the device's allocator hands out during a call: the peak of what is live, above
what was live before. Of that, the budget governs all that a chunk takes. The rest is what no budget can
shrink, listed in `beside_the_chunks`; there is no other slack. The last chunk may live until the call returns.
"""

from collections.abc import Callable
from functools import partial

import pytest
import torch
from torch import Tensor
from torch.profiler import ProfilerActivity, profile

from kernels import local_relation
from tests.support.cases import DEVICE, Case, draw, run, take

WIDE = Case(channels=16, m=8, height=24, width=24, kernel_size=5)
CASES = {
    "defaults": WIDE,
    "bfloat16": Case(channels=16, m=8, height=24, width=24, kernel_size=5, dtype="bfloat16"),
    "stride 2, zeros": Case(channels=16, m=8, height=41, width=33, kernel_size=5, stride=2, padding_mode="zeros"),
    "m does not divide C": Case(channels=13, m=4, height=20, width=24, kernel_size=5, channel_order="strided"),
    "squared difference": Case(
        channels=16, m=8, height=24, width=24, kernel_size=5, composability="squared_difference"
    ),
    "m = 1": Case(channels=6, m=1, height=24, width=24, kernel_size=5),
    "dilated": Case(channels=6, m=1, height=24, width=16, dilation=5, composability="absolute_difference"),
}
SHARES = (1, 3, 10, 60)  # of the least budget: one row, some rows, a group and more, several images


def peak_bytes(function: Callable[[], object]) -> int:
    """The most bytes that were live at once during a call, above those live before it."""
    if DEVICE.type == "cuda":
        torch.cuda.synchronize()
        torch.cuda.reset_peak_memory_stats()
        before = torch.cuda.memory_allocated()
        kept = function()
        assert kept is not None
        return torch.cuda.max_memory_allocated() - before
    with profile(activities=[ProfilerActivity.CPU], profile_memory=True, acc_events=True) as recorded:
        kept = function()
    assert kept is not None
    assert recorded.profiler is not None
    results = recorded.profiler.kineto_results
    assert results is not None
    live = peak = 0
    for event in sorted(results.events(), key=lambda event: event.start_ns()):
        if event.name() == "[memory]":
            live += event.nbytes()
            peak = max(peak, live)
    return peak


def least_budget(case: Case) -> int:
    """The bytes of one row of output pixels, which the refusal of a smaller budget states."""
    inputs = draw(case)
    with pytest.raises(ValueError, match=r"memory_budget") as refusal:
        run("chunked", inputs, case, memory_budget=1)
    return int(str(refusal.value).split(" bytes")[0].split()[-1])


def beside_the_chunks(case: Case, *, backward: bool) -> tuple[int, int]:
    """Bytes that no budget can shrink: those beside the chunks, and those after the last one.

    Beside the chunks, forward: the zero-padded image in whole groups, the zero-padded key, the mask of taps,
    the output in groups. Backward: the same image, key and mask, the output's gradient in whole groups where
    m does not divide C, and the sums of the four gradients in the accumulation dtype, of image and key as
    padded. Afterwards, forward: the output as returned. Backward: the image's gradient without padding, and
    the four gradients as returned.
    """
    inputs = draw(case)
    item, wide = inputs.value.element_size(), max(inputs.value.element_size(), 4)
    out, image = inputs.query[0, 0].numel(), case.height * case.width
    padded = (case.height + 2 * case.options.padding) * (case.width + 2 * case.options.padding)
    keys = case.batch * inputs.key.shape[1]
    channels, prior = keys * case.m, 0 if inputs.prior is None else inputs.prior.numel()
    mask = case.kernel_size**2 * out if case.padding_mode == "mask" else 0
    beside = (channels + keys) * padded * item + mask
    if not backward:
        return beside + channels * out * item, channels * out * item
    regrouped = channels * out * item if case.channels % case.m else 0
    sums = (keys * out + (keys + channels) * padded + prior) * wide
    returned = (keys * out + (keys + channels) * image + prior) * item
    return beside + regrouped + sums, channels * image * wide + returned


def forward(case: Case, budget: int) -> Callable[[], Tensor]:
    inputs = draw(case)
    return lambda: local_relation(*inputs.operands, implementation="chunked", memory_budget=budget, **case.keywords)


def backward(case: Case, budget: int) -> Callable[[], object]:
    inputs = draw(case)
    leaves = [x.detach().requires_grad_() for x in inputs.operands if x is not None]
    output = local_relation(*leaves, implementation="chunked", memory_budget=budget, **case.keywords)
    return lambda: torch.autograd.grad(output, leaves, inputs.grad)


@pytest.mark.parametrize("share", SHARES)
@pytest.mark.parametrize("case", CASES.values(), ids=CASES.keys())
@pytest.mark.parametrize("direction", ["forward", "backward"])
def test_peak_stays_within_the_budget(direction: str, case: Case, share: int) -> None:
    budget = share * least_budget(case)
    call = {"forward": forward, "backward": backward}[direction](case, budget)
    beside, after = beside_the_chunks(case, backward=direction == "backward")
    assert peak_bytes(call) <= beside + budget + after


@pytest.mark.parametrize("direction", ["forward", "backward"])
def test_the_budget_is_what_bounds_the_peak(direction: str) -> None:
    """Without one the same call takes several times as much, so the test above could fail."""
    call = {"forward": forward, "backward": backward}[direction]
    small, large = (peak_bytes(call(WIDE, share * least_budget(WIDE))) for share in (1, 1000))
    assert large > 3 * small


def test_peak_bytes_sees_temporaries() -> None:
    x = torch.ones(1 << 16, device=DEVICE)
    assert peak_bytes(partial(torch.add, x, 1)) == pytest.approx(4 << 16, abs=4096)
    assert peak_bytes(lambda: x.add(1).mul(2).sum()) == pytest.approx(8 << 16, abs=4096)


@pytest.mark.parametrize("share", SHARES)
@pytest.mark.parametrize("case", CASES.values(), ids=CASES.keys())
def test_results_do_not_depend_on_the_budget(case: Case, share: int) -> None:
    """Sums over more chunks round otherwise; the rule holds for each."""
    small = Case(**{**vars(case), "height": 11, "width": 9})
    inputs, expected = take("chunked", small)
    assert expected.violations(run("chunked", inputs, small, memory_budget=share * least_budget(small))) == {}
