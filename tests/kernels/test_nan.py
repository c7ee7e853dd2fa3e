"""What is no number is seen by the pixels whose windows hold it, in every gradient too, and by no other pixel.

Kernels read rows beside the image's from inside it, so that what they read must count for nothing there.
"""

from dataclasses import replace

import pytest
import torch

from tests.support.cases import Case, every_implementation, run, take

CASES = {
    "a corner": (Case(batch=2, channels=4, height=9, width=6), (0, 0)),
    "the last row": (Case(batch=2, channels=4, height=9, width=6), (8, 3)),
    "large window": (Case(batch=1, channels=4, height=5, width=9, kernel_size=7), (1, 8)),
    "stride 2": (Case(batch=1, channels=4, height=9, width=8, kernel_size=5, stride=2), (8, 1)),
    "a stride beyond the window": (
        Case(batch=1, channels=4, height=9, width=9, kernel_size=2, padding=0, stride=3),
        (7, 4),
    ),
    "dilation 2": (Case(batch=1, channels=4, height=9, width=9, dilation=2), (1, 7)),
    "stride 2, dilation 3": (Case(batch=1, channels=4, height=11, width=9, stride=2, dilation=3), (10, 4)),
    "no padding": (Case(batch=1, channels=4, height=7, width=7, padding=0), (0, 6)),
    "zeros": (Case(batch=1, channels=4, height=7, width=7, padding_mode="zeros"), (6, 0)),
    "no prior": (Case(batch=1, channels=4, height=7, width=7, prior=None), (6, 6)),
}


@every_implementation
@pytest.mark.parametrize("name", ["query", "key", "value"])
@pytest.mark.parametrize(("case", "place"), CASES.values(), ids=CASES.keys())
def test_a_nan_is_seen_where_windows_hold_it(
    implementation: str, case: Case, place: tuple[int, int], name: str
) -> None:
    inputs, _ = take(implementation, case)
    tensor = getattr(inputs, name).clone()
    y, x = (min(at, size - 1) for at, size in zip(place, tensor.shape[-2:], strict=True))
    tensor[0, 0, y, x] = torch.nan
    spoilt = replace(inputs, **{name: tensor})
    found, expected = run(implementation, spoilt, case), run("unfold", spoilt, case)
    assert expected["output"].isnan().any()
    for quantity in sorted(expected.keys() - {"prior"}):  # of which each entry is a sum over all pixels
        assert torch.equal(found[quantity].isnan(), expected[quantity].isnan()), quantity
