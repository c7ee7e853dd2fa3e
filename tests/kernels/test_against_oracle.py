"""Every implementation against the float64 oracle, forward and backward: a case for each option and edge."""

import pytest
import torch

from tests.support.cases import Case, every_implementation, run, run_forward, take
from tests.support.oracle import QUANTITIES

CASES = {
    "defaults": Case(),
    "one pixel": Case(height=1, width=1),
    "one row": Case(height=1, width=9),
    "window larger than the image": Case(height=2, width=3, kernel_size=7),
    "prime sizes": Case(batch=1, height=13, width=11),
    "wide partial tiles": Case(batch=1, channels=2, height=3, width=37),
    "tall partial tiles": Case(batch=1, channels=2, height=37, width=3),
    "kernel 1": Case(kernel_size=1),
    "kernel 5": Case(kernel_size=5, batch=1),
    "kernel 7": Case(kernel_size=7, batch=1, channels=4),
    "kernel 13": Case(kernel_size=13, batch=1, channels=1, m=1, height=5, width=4),
    "stride 2": Case(stride=2, height=9, width=8),
    "stride 3": Case(stride=3, height=10, width=8),
    "stride 5 beyond the window": Case(stride=5, height=12, width=11),
    "dilation 2": Case(dilation=2),
    "dilation 2, stride 2": Case(dilation=2, stride=2, height=9),
    "dilation 3, stride 2, kernel 5": Case(dilation=3, stride=2, kernel_size=5, batch=1, channels=2),
    "dilation 5 beyond the image": Case(dilation=5, height=4, width=3),
    "kernel 2, padding 0": Case(kernel_size=2, padding=0),
    "kernel 4, padding 0": Case(kernel_size=4, padding=0),
    "kernel 4, padding 1": Case(kernel_size=4, padding=1),
    "kernel 4, padding 1, dilation 2": Case(kernel_size=4, padding=1, dilation=2, height=9, width=8),
    "kernel 4, padding 2, dilation 2, stride 3": Case(kernel_size=4, padding=2, dilation=2, stride=3, height=9),
    "padding 0": Case(padding=0),
    "kernel 5, padding 1": Case(kernel_size=5, padding=1, batch=1),
    "output of one pixel": Case(height=3, width=3, padding=0),
    "zeros": Case(padding_mode="zeros"),
    "zeros, stride 2, dilation 2": Case(padding_mode="zeros", stride=2, dilation=2),
    "zeros, window larger than the image": Case(padding_mode="zeros", height=2, width=1, kernel_size=5),
    "zeros, kernel 4": Case(padding_mode="zeros", kernel_size=4, padding=1),
    "squared difference": Case(composability="squared_difference"),
    "absolute difference": Case(composability="absolute_difference"),
    "squared difference, zeros": Case(composability="squared_difference", padding_mode="zeros", shift=2.0),
    "absolute difference, zeros": Case(composability="absolute_difference", padding_mode="zeros", shift=2.0),
    "strided channels": Case(channel_order="strided"),
    "LR-Net-50's res2: 100 channels in 13 groups": Case(batch=1, channels=100, m=8, height=4, width=5),
    "the same, strided": Case(batch=1, channels=100, m=8, height=4, width=5, channel_order="strided"),
    "m = C": Case(m=6),
    "m > C": Case(m=8, channels=5),
    "m = 1": Case(m=1),
    "m = 3, 10 channels": Case(m=3, channels=10, batch=1),
    "m = 3, 10 channels, strided": Case(m=3, channels=10, batch=1, channel_order="strided"),
    "m = 4, 5 channels, strided: 3 and 2": Case(m=4, channels=5, channel_order="strided"),
    "one channel": Case(channels=1, m=1),
    "no image": Case(batch=0),
    "one image": Case(batch=1),
    "five images": Case(batch=5, height=3, width=3),
    "channels last": Case(layout="channels_last"),
    "channels last, stride 2": Case(layout="channels_last", stride=2, channels=16, m=8),
    "channels last, 10 channels, m = 3": Case(layout="channels_last", channels=10, m=3, batch=1),
    "channels last, strided": Case(layout="channels_last", channel_order="strided"),
    "crop of a larger tensor": Case(layout="cropped"),
    "every second channel and column": Case(layout="every_second"),
    "rows and columns swapped": Case(layout="transposed"),
    "one image expanded": Case(layout="expanded", batch=3),
    "one pixel expanded": Case(layout="expanded_over_pixels"),
    "batch innermost": Case(layout="batch_last"),
    "no prior": Case(prior=None),
    "no prior, zeros": Case(prior=None, padding_mode="zeros"),
    "bfloat16": Case(dtype="bfloat16"),
    "float16": Case(dtype="float16"),
    "float64": Case(dtype="float64"),
    "bfloat16, prior in float32": Case(dtype="bfloat16", prior="float32"),
    "float16, prior in float32": Case(dtype="float16", prior="float32"),
    "float64, prior in float32": Case(dtype="float64", prior="float32"),
    "bfloat16, no prior": Case(dtype="bfloat16", prior=None),
    "bfloat16, channels last, stride 2, zeros": Case(
        dtype="bfloat16", layout="channels_last", stride=2, padding_mode="zeros"
    ),
    "logits of 1000": Case(scale=32.0),
    "logits of 1000 in bfloat16": Case(scale=32.0, dtype="bfloat16"),
    "logits of 1000 in float16": Case(scale=32.0, dtype="float16"),
    "logits of 1000, zeros": Case(scale=32.0, padding_mode="zeros"),
    "far keys": Case(composability="squared_difference", shift=30.0),
    "far keys, zeros": Case(composability="squared_difference", shift=30.0, padding_mode="zeros"),
    "far keys, absolute": Case(composability="absolute_difference", shift=-1000.0),
    "far keys in bfloat16": Case(composability="squared_difference", shift=30.0, dtype="bfloat16"),
    "query equal to key": Case(composability="absolute_difference", scale=0.0),
}


@every_implementation
@pytest.mark.parametrize("case", CASES.values(), ids=CASES.keys())
def test_output_and_gradients(implementation: str, case: Case) -> None:
    inputs, expected = take(implementation, case)
    actual = run(implementation, inputs, case)
    assert expected.violations(actual) == {}
    named = dict(zip(QUANTITIES, (inputs.value, *inputs.operands), strict=True))
    dtypes = {name: tensor.dtype for name, tensor in named.items() if tensor is not None}
    assert {name: tensor.dtype for name, tensor in actual.items()} == dtypes
    kept = torch.channels_last if case.layout == "channels_last" else torch.contiguous_format
    assert actual["output"].is_contiguous(memory_format=kept)


@pytest.mark.parametrize("case", CASES.values(), ids=CASES.keys())
def test_output_of_flex(case: Case) -> None:
    """Where it gives no gradients, its output is still tested."""
    inputs, expected = take("flex", case, backward=False)
    actual = run_forward("flex", inputs, case)
    assert expected.only("output").violations(actual) == {}
    assert actual["output"].dtype == inputs.value.dtype
    kept = torch.channels_last if case.layout == "channels_last" else torch.contiguous_format
    assert actual["output"].is_contiguous(memory_format=kept)
