"""What Triton keeps of compiled kernels: nothing stale after an upgrade, nothing compiled again for another size."""

import importlib.util
import os
from dataclasses import replace
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import torch

pytest.importorskip("triton")

from triton.runtime import driver
from triton.runtime.jit import compute_cache_key

from bench.case.networks import layer_problems
from bench.processes import spread
from kernels import IMPLEMENTATIONS, Problem, compilation, local_relation, stubbed_launches, unsupported
from kernels.implementations.triton_fused import geometry, plans
from kernels.implementations.triton_fused.settings import KERNELS, Settings, heuristic

STAGE = Problem(
    batch=64,
    channels=200,
    height=28,
    width=28,
    kernel_size=7,
    m=8,
    padding=3,
    dtype="bfloat16",
    memory_format="channels_last",
)
GPU = torch.device("cuda", 0)


def loaded(source: str, folder: Path) -> ModuleType:
    """The geometry's module from other source, as an upgrade would bring it."""
    path = folder / "geometry.py"
    path.write_text(source, encoding="utf-8")
    spec = importlib.util.spec_from_file_location(geometry.__name__, path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def key_in_the_cache(module: ModuleType) -> str:
    """What Triton tells compiled kernels apart by, of a kernel's geometry."""
    made = module.geometry_of("forward", STAGE, heuristic("forward", STAGE))
    return str(compute_cache_key({}, [("constexpr", made)], {}))


def test_a_change_of_a_property_makes_compiled_kernels_worthless(tmp_path: Path) -> None:
    source = Path(geometry.__file__).read_text(encoding="utf-8")
    changed = source.replace("return self.sure_rows and self.rows == 1", "return self.rows == 1")
    assert changed != source
    before, same, after = (key_in_the_cache(loaded(text, tmp_path)) for text in (source, source, changed))
    assert before == same == key_in_the_cache(geometry)
    assert after != before


def compiled_for(batches: tuple[int, ...]) -> list[int]:
    """In a process of its own: kernels that LR-Net-50's layers have needed after each batch, compiled by nobody."""
    counts = []
    with stubbed_launches():
        for batch in batches:
            image = replace(STAGE, batch=batch, channels=3, height=224, width=224)
            for posed in dict.fromkeys(layer_problems(image, 50)):
                train(posed)
            device = driver.active.get_current_device()
            counts.append(sum(len(kernel.device_caches[device][0]) for kernel in plans.KERNELS.values()))
    return counts


def train(posed: Problem) -> None:
    """Forward and backward of a problem, in memory that takes no room."""
    options: dict[str, Any] = {
        "m": posed.m,
        "kernel_size": posed.kernel_size,
        "stride": posed.stride,
        "padding": posed.padding,
    }
    shapes = [
        (posed.batch, posed.groups, posed.out_height, posed.out_width),
        (posed.batch, posed.groups, posed.height, posed.width),
        (posed.batch, posed.channels, posed.height, posed.width),
    ]
    tensors = [torch.empty(shape, dtype=torch.bfloat16, memory_format=torch.channels_last) for shape in shapes]
    prior = torch.zeros(posed.groups, posed.kernel_size, posed.kernel_size)
    leaves = [x.requires_grad_() for x in (*tensors, prior)]
    query, key, value, table = leaves
    output = local_relation(query, key, value, table, **options, implementation="triton")
    torch.autograd.grad(output, leaves, torch.empty_like(output))


@pytest.mark.slow
def test_a_ragged_batch_compiles_nothing() -> None:
    ((_, counts),) = spread(compiled_for, [(64, 37, 1)])
    assert isinstance(counts, list), counts
    assert counts[0] == counts[1] == counts[2]


@pytest.mark.parametrize("kernel", KERNELS)
def test_products_and_sums_stay_one_instruction(kernel: Any) -> None:
    """Triton 3.9 asks whether they may, 3.10 takes them apart if nobody says so."""
    assert plans.Launch(kernel, STAGE, heuristic(kernel, STAGE), GPU).options["enable_fp_fusion"] is True


@pytest.fixture
def gpu(monkeypatch: pytest.MonkeyPatch) -> torch.device:
    """A GPU that is pretended."""
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda _: (9, 0))
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda _: "NVIDIA H100")
    return GPU


COMPILING = ("triton", "compiled", "flex")


@pytest.mark.parametrize("implementation", COMPILING)
@pytest.mark.parametrize("named", [None, "no-such-compiler"])
def test_without_a_c_compiler_triton_starts_nothing(
    implementation: str, named: str | None, gpu: torch.device, monkeypatch: pytest.MonkeyPatch
) -> None:
    compilation._found_c_compiler.cache_clear()
    assert unsupported(implementation, STAGE, gpu) is None
    compilation._found_c_compiler.cache_clear()
    if named is None:
        monkeypatch.setenv("PATH", os.devnull)
        monkeypatch.delenv("CC", raising=False)
    else:
        monkeypatch.setenv("CC", named)
    reason = unsupported(implementation, STAGE, gpu)
    compilation._found_c_compiler.cache_clear()
    assert reason is not None
    assert "C compiler" in reason


@pytest.mark.parametrize("implementation", ["compiled", "flex"])
def test_without_triton_nothing_is_compiled_for_a_gpu(
    implementation: str, gpu: torch.device, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(compilation, "_TRITON", False)
    reason = unsupported(implementation, STAGE, gpu)
    assert reason is not None
    assert "triton" in reason


def test_auto_passes_over_what_cannot_be_compiled(gpu: torch.device, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(compilation, "_found_c_compiler", lambda: False)
    able = [name for name in IMPLEMENTATIONS if unsupported(name, STAGE, gpu) is None]
    assert able[0] == "chunked"


FLAT = Settings(columns=1, rows=4, lane_groups=0, members=16, lanes=128)


@pytest.mark.parametrize(("batch", "wide"), [(2**26 - 64, False), (2**26 + 64, True)])
def test_lanes_that_pad_a_strip_are_numbered_too(batch: int, wide: bool) -> None:
    """A map of one row in strips of four: 2²⁹ elements, and 2³¹ lanes."""
    posed = Problem(batch=batch, channels=8, height=1, width=1, kernel_size=1, m=1, dtype="bfloat16")
    assert batch * posed.channels * 2 < 2**31
    assert geometry.geometry_of("forward", posed, FLAT).wide_index is wide
