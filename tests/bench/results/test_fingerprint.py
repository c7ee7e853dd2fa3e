"""What makes two measurements of a case comparable, and what makes no difference."""

import pytest

from bench.device.environment import describe
from bench.results.recovery import fingerprint
from tests.support.bench_cases import CPU


@pytest.mark.parametrize(
    ("name", "differs"),
    [("TORCHINDUCTOR_MAX_AUTOTUNE", True), ("TRITON_CACHE_DIR", False), ("CUDA_VISIBLE_DEVICES", False)],
)
def test_of_the_variables_those_count_that_change_what_is_computed(
    monkeypatch: pytest.MonkeyPatch, name: str, *, differs: bool
) -> None:
    monkeypatch.delenv(name, raising=False)
    before = fingerprint(describe(CPU, []))
    assert fingerprint(describe(CPU, ["other", "words"])) == before
    monkeypatch.setenv(name, "1")
    assert (fingerprint(describe(CPU, [])) != before) is differs
