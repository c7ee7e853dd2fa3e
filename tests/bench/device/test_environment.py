"""What environment.json says of the shell that a run was started from."""

import pytest

from bench.device.environment import describe
from tests.support.bench_cases import CPU


def test_variables_that_matter_are_written_down_and_secrets_are_not(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("CUDA_VISIBLE_DEVICES", "TORCH_HOME", "OMP_NUM_THREADS", "TRITON_API_TOKEN", "HOME"):
        monkeypatch.setenv(name, "7")
    written = describe(CPU, [])["variables"]
    assert {name for name, value in written.items() if value == "7"} >= {
        "CUDA_VISIBLE_DEVICES",
        "TORCH_HOME",
        "OMP_NUM_THREADS",
    }
    assert {"TRITON_API_TOKEN", "HOME"} & written.keys() == set()
