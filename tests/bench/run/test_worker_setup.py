"""What a process sets once, for itself or for those that it starts: memory, precision, and where Triton's cache is."""

import json
import os
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch

from bench.device.timing import Timing
from bench.measure.runner import Runner
from bench.profile.recording import Steady
from bench.run.worker_process import limit
from tests import ROOT
from tests.support.bench_cases import CPU, case


@pytest.mark.parametrize(("name", "index"), [("cuda", 3), ("cuda:1", 1)])
def test_memory_is_limited_on_a_gpu_with_and_without_a_number(
    monkeypatch: pytest.MonkeyPatch, name: str, index: int
) -> None:
    """torch's own function looks at the device; what it would tell CUDA is caught."""
    told: list[tuple[float, int]] = []
    monkeypatch.setattr(torch.cuda, "_lazy_init", lambda: None)
    monkeypatch.setattr(torch.cuda.memory, "_lazy_init", lambda: None)
    monkeypatch.setattr(torch.cuda, "current_device", lambda: 3)
    monkeypatch.setattr(torch.cuda, "get_device_properties", lambda _: SimpleNamespace(total_memory=2**30))
    monkeypatch.setattr(
        torch._C,
        "_cuda_setMemoryFraction",
        lambda *told_: told.append(told_),
        raising=False,
    )
    limit(torch.device(name), 256.0)
    assert told == [(0.25, index)]


@pytest.mark.parametrize("made", ["runner", "profile"])
def test_float32_means_float32_for_whoever_measures(made: str) -> None:
    torch.backends.cudnn.allow_tf32 = torch.backends.cuda.matmul.allow_tf32 = True
    if made == "runner":
        Runner(CPU, Timing())
    else:
        Steady(case("unfold"), CPU)
    assert not torch.backends.cudnn.allow_tf32
    assert not torch.backends.cuda.matmul.allow_tf32


COMPILING = """
import json, os, sys
import bench
before = os.environ["TRITON_CACHE_DIR"]
import torch
from torch._inductor.runtime import triton_heuristics
if "compile" in sys.argv:
    torch.compile(lambda x: x.sin() + 1)(torch.ones(8))
# What Inductor does before its first kernel for a GPU.
from torch._inductor.runtime.cache_dir_utils import triton_cache_dir
inductor = triton_cache_dir(0)
from triton import knobs
print(json.dumps([before, os.environ["TRITON_CACHE_DIR"], inductor, knobs.cache.dir]))
"""


@pytest.mark.slow
@pytest.mark.parametrize(
    ("own", "steps"), [pytest.param(None, ["compile"], marks=pytest.mark.extended), ("mine", [])], ids=str
)
def test_triton_has_one_cache_before_and_after_inductor(tmp_path: Path, own: str | None, steps: list[str]) -> None:
    variables = {name: value for name, value in os.environ.items() if name != "TRITON_CACHE_DIR"}
    variables |= {"TRITON_HOME": str(tmp_path), "TORCHINDUCTOR_CACHE_DIR": str(tmp_path / "inductor")}
    if own is not None:
        variables["TRITON_CACHE_DIR"] = str(tmp_path / own)
    command = [sys.executable, "-c", COMPILING, *steps]
    done = subprocess.run(command, cwd=ROOT, env=variables, capture_output=True, text=True, check=True)
    expected = tmp_path / own if own else tmp_path / ".triton" / "cache"
    assert json.loads(done.stdout.splitlines()[-1]) == [str(expected)] * 4
