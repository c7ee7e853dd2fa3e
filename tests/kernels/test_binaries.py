"""Binaries have names: a row says which ones ran."""

import hashlib
from types import SimpleNamespace

import pytest
import torch

from kernels import IMPLEMENTATIONS, describe_binary
from kernels.implementations.native import library
from kernels.implementations.triton_fused import plans
from tests.support.bench_cases import CPU, problem


def test_only_what_has_binaries_of_its_own_names_them() -> None:
    found = {name: describe_binary(name, problem(), CPU, backward=True) for name in IMPLEMENTATIONS}
    assert {name for name, binary in found.items() if binary} == {"native"}
    with pytest.raises(ValueError, match="no_such"):
        describe_binary("no_such", problem(), CPU, backward=False)


def test_native_is_the_hash_of_its_library() -> None:
    expected = hashlib.sha256(library._built().read_bytes()).hexdigest()[:12]
    assert describe_binary("native", problem(), "cpu", backward=False) == expected


def test_triton_is_the_hash_of_what_was_launched(monkeypatch: pytest.MonkeyPatch) -> None:
    def launched(cubin: bytes | None) -> SimpleNamespace:
        return SimpleNamespace(cubin=cubin)

    plan = SimpleNamespace(forward=launched(b"f"), saving=launched(b"s"), query=launched(b"q"), key=launched(None))
    monkeypatch.setattr(plans, "plan_of", lambda *_: plan)
    device = torch.device("cuda", 0)
    name = hashlib.sha256(b"f").hexdigest()[:12]
    assert describe_binary("triton", problem(), device, backward=False) == name
    assert describe_binary("triton", problem(), device, backward=True) is None
    plan.key = launched(b"k")
    assert describe_binary("triton", problem(), device, backward=True) == hashlib.sha256(b"sqk").hexdigest()[:12]
