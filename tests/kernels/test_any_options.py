"""Every implementation against the oracle for options in any combination, sizes small."""

from collections.abc import Callable
from dataclasses import replace

import pytest
import torch

pytest.importorskip("hypothesis")

from hypothesis import Phase, assume, given, settings
from hypothesis import strategies as st

from kernels import IMPLEMENTATIONS
from tests.support.cases import LAYOUTS, Case, posed, refusal, run, run_forward

PYTORCH = settings(max_examples=150, derandomize=True, deadline=None)
# The Triton interpreter takes seconds where PyTorch takes milliseconds: too long for looking for a smaller failure.
SETTINGS = {"triton": settings(PYTORCH, max_examples=12, phases=[Phase.generate])}
# On a GPU every case of it is traced anew, a second each.
FLEX = settings(PYTORCH, max_examples=12 if torch.cuda.is_available() else 100)


@st.composite
def cases(draw: Callable[[st.SearchStrategy[int]], int]) -> Case:
    """Any case whose image is at most five pixels larger than its window."""
    kernel_size, dilation = draw(st.integers(1, 5)), draw(st.integers(1, 3))
    padding = draw(st.integers(0, dilation * ((kernel_size - 1) // 2)))
    least = max(1, dilation * (kernel_size - 1) + 1 - 2 * padding)
    channels = draw(st.integers(1, 9))
    rest = st.fixed_dictionaries(
        {
            "batch": st.integers(0, 3),
            "height": st.integers(least, least + 5),
            "width": st.integers(least, least + 5),
            "m": st.integers(1, channels + 1),
            "stride": st.integers(1, 4),
            "composability": st.sampled_from(["multiplication", "squared_difference", "absolute_difference"]),
            "padding_mode": st.sampled_from(["mask", "zeros"]),
            "channel_order": st.sampled_from(["consecutive", "strided"]),
            "prior": st.sampled_from(["value", "float32", None]),
            "dtype": st.sampled_from(["float32", "float64", "bfloat16", "float16"]),
            "layout": st.sampled_from(sorted(LAYOUTS)),
            "scale": st.sampled_from([0.1, 1.0, 4.0]),
        }
    )
    sizes = {"kernel_size": kernel_size, "dilation": dilation, "padding": padding, "channels": channels}
    return Case(**sizes, **draw(rest))  # type: ignore[arg-type]


@pytest.mark.parametrize("implementation", [name for name in IMPLEMENTATIONS if name != "flex"])
def test_output_and_gradients(implementation: str) -> None:
    @SETTINGS.get(implementation, PYTORCH)
    @given(cases())
    def holds(case: Case) -> None:
        inputs, expected = posed(case)
        assume(refusal(implementation, inputs, case) is None)
        assert expected.violations(run(implementation, inputs, case)) == {}

    holds()


def test_output_of_flex() -> None:
    """It refuses float64, and gradients on a CPU."""

    @FLEX
    @given(cases())
    def holds(case: Case) -> None:
        inputs, expected = posed(case)
        assume(refusal("flex", inputs, case, backward=False) is None)
        expected = replace(expected, narrow_weights=True)
        assert expected.only("output").violations(run_forward("flex", inputs, case)) == {}

    holds()


@pytest.mark.parametrize("implementation", ["unfold", "chunked", "compiled"])
def test_every_option_is_taken(implementation: str) -> None:
    """The PyTorch implementations refuse nothing, so that the test above leaves nothing out."""

    @PYTORCH
    @given(cases())
    def holds(case: Case) -> None:
        assert refusal(implementation, posed(case)[0], case) is None

    holds()
