"""What is read out of a trace: own times, gaps, memory, and names that can be read."""

from pathlib import Path

import pytest

from bench.profile.trace import END, Gap, Level, Operation, TraceError, read_trace, readable
from tests.support.traces import allocated, called, kernel, span, write

CUDA_NAMES = {
    "local_relation_forward_kernel": "local_relation_forward_kernel",
    "aten::im2col": "im2col",
    "autograd::engine::evaluate_function: Im2ColBackward0": "autograd Im2ColBackward0",
    "autograd::engine::evaluate_function: torch::autograd::AccumulateGrad": "autograd AccumulateGrad",
    "Memcpy DtoD (Device -> Device)": "Memcpy DtoD",
    "void (anonymous namespace)::softmax_warp_forward<float, float, float, 6, false, true>(float*, float const*)": (
        "softmax_warp_forward"
    ),
    "void at::native::vectorized_elementwise_kernel<4, at::native::FillFunctor<float>, std::array<char*, 1ul> >"
    "(int, at::native::FillFunctor<float>, std::array<char*, 1ul>)": "vectorized_elementwise_kernel [FillFunctor]",
    "void at::native::elementwise_kernel<128, 2, at::native::gpu_kernel_impl_nocast<at::native::direct_copy_kernel_cuda"
    "(at::TensorIteratorBase&)::{lambda()#3}>(at::TensorIteratorBase&)::{lambda(int)#1}>(int)": (
        "elementwise_kernel [direct_copy_kernel_cuda]"
    ),
    "sm90_xmma_fprop_implicit_gemm_bf16bf16_bf16f32_f32": "sm90_xmma_fprop_implicit_gemm_bf16bf16_bf16f32_f32",
}


@pytest.mark.parametrize(("name", "short"), CUDA_NAMES.items(), ids=CUDA_NAMES.values())
def test_names_are_readable(name: str, short: str) -> None:
    assert readable(name) == short


def test_own_times_and_gaps_of_a_cpu(tmp_path: Path) -> None:
    events = [
        called(100, 50),
        span("aten::softmax", 110, 30),
        span("aten::_softmax", 112, 20),
        span("aten::empty", 113, 5),
        span("aten::add", 145, 4),
        span("aten::add", 400, 90),  # outside of the calls
        called(200, 10),
        span("aten::add", 202, 8),
        span("aten::mul", 115, 8, tid=8),  # on another thread: timed, no part of the gaps
    ]
    trace = read_trace(write(tmp_path / "trace.json", events))
    assert trace.device is None
    assert trace.main is trace.host
    assert trace.host.operations == [
        Operation("aten::_softmax", 1, 15, 0),
        Operation("aten::add", 2, 12, 7),
        Operation("aten::softmax", 1, 10, 10),
        Operation("aten::mul", 1, 8, 0),
        Operation("aten::empty", 1, 5, 0),
    ]
    assert trace.host.busy == 30 + 4 + 8
    assert trace.host.gaps == [Gap(10, "aten::softmax"), Gap(5, "aten::add"), Gap(2, "aten::add"), Gap(1, END)]


def test_kernels_of_a_gpu(tmp_path: Path) -> None:
    events = [
        kernel("FillFunctor", 90, 9),  # a flush before the call
        called(100, 100),
        span("gpu copy of the call", 130, 55, "gpu_user_annotation", pid=0, tid=13),
        span("cuLaunchKernelEx", 105, 3, "cuda_driver"),
        span("local_relation::forward", 101, 20),
        kernel("first", 130, 20),
        kernel("second", 155, 25),
        kernel("second", 158, 10),  # at the same time, on another stream
        kernel("Memcpy DtoD", 180, 5, "gpu_memcpy"),
    ]
    trace = read_trace(write(tmp_path / "trace.json", events))
    assert trace.device is not None
    assert trace.main is trace.device
    assert trace.device.operations == [
        Operation("second", 2, 35, 5),
        Operation("first", 1, 20, 30),
        Operation("Memcpy DtoD", 1, 5, 0),
    ]
    assert trace.device.busy == 20 + 25 + 5
    assert trace.device.gaps == [Gap(30, "first"), Gap(15, END), Gap(5, "second")]
    assert [one.name for one in trace.host.operations] == ["local_relation::forward"]


@pytest.mark.parametrize("device", [0, 1])
def test_memory_is_of_the_median_call_above_its_begin(tmp_path: Path, device: int) -> None:
    kernels = [kernel("k", 105, 1)] if device else []
    events = [
        *kernels,
        called(100, 50),
        called(200, 60),
        called(300, 80),
        span("aten::im2col", 205, 20),
        span("aten::empty", 206, 5),
        allocated(150, 5000, 6000, device=device),
        allocated(208, 300, 1300, device=device),
        allocated(209, 77, 77, device=1 - device),
        allocated(230, -300, 1000, device=device),
    ]
    trace = read_trace(write(tmp_path / "trace.json", events))
    assert trace.typical.start == 200
    assert trace.memory == [Level(0, 0, ""), Level(8, 300, "aten::im2col"), Level(30, 0, ""), Level(60, 0, "")]


def test_a_call_that_allocates_nothing(tmp_path: Path) -> None:
    trace = read_trace(write(tmp_path / "trace.json", [called(100, 50)]))
    assert trace.memory == [Level(0, 0, ""), Level(50, 0, "")]
    assert trace.host.gaps == [Gap(50, END)]


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"traceEvents": []}'])
def test_what_is_no_trace_is_refused(tmp_path: Path, text: str) -> None:
    path = tmp_path / "trace.json"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(TraceError, match=r"trace\.json"):
        read_trace(path)
