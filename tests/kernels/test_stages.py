"""The fused kernels on a GPU at the sizes that they are for: LR-Net-50's layers, against `unfold` in float64."""

from dataclasses import replace

import pytest
import torch

from tests.support.cases import Case, Inputs, draw, run

pytestmark = pytest.mark.gpu

STAGES = {
    "112² of 64, stride 2": Case(channels=64, height=224, width=224, stride=2),
    "56² of 100": Case(channels=100, height=56, width=56),
    "28² of 200": Case(channels=200, height=28, width=28),
    "14² of 400": Case(channels=400, height=14, width=14),
    "7² of 800": Case(channels=800, height=7, width=7),
}
# Relative error ‖a − b‖ / ‖b‖: some roundings to the dtype.
TOLERANCES = {"float32": 1e-5, "bfloat16": 1e-2}


@pytest.mark.parametrize("layout", ["contiguous", "channels_last"])
@pytest.mark.parametrize("dtype", TOLERANCES)
@pytest.mark.parametrize("stage", STAGES.values(), ids=STAGES.keys())
def test_output_and_gradients(stage: Case, dtype: str, layout: str) -> None:
    """Right, and the same bit for bit when it runs again."""
    case = replace(stage, batch=2, kernel_size=7, m=8, dtype=dtype, layout=layout)
    inputs = draw(case)
    first, second = (run("triton", inputs, case) for _ in range(2))
    assert {name for name in first if not torch.equal(first[name], second[name])} == set()
    expected = run("unfold", wide(inputs), replace(case, dtype="float64"))
    errors = {name: float((first[name].double() - b).norm() / b.norm()) for name, b in expected.items()}
    assert {name: error for name, error in errors.items() if not error <= TOLERANCES[dtype]} == {}


def wide(inputs: Inputs) -> Inputs:
    """The same numbers in float64."""
    query, key, value, grad = (x.double() for x in (inputs.query, inputs.key, inputs.value, inputs.grad))
    return Inputs(query, key, value, None if inputs.prior is None else inputs.prior.double(), grad)
