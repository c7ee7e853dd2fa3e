"""GPUs that cannot be measured are refused in a line, by an NVML that is pretended."""

from typing import Any

import pytest
import torch

from bench.device import device as device_module
from bench.device import fitness
from bench.device.device import require_device
from bench.errors import UsageError
from bench.run.executors import local_executor
from tests.support.in_process import Invoke
from tests.support.nvml import Nvml

# What NVML answers instead of the usual, and what is said of the GPU.
REFUSED: dict[str, tuple[dict[str, Any], str]] = {
    "old": ({"capability": (7, 5)}, "has compute capability 7.5: the kernels need 8.0"),
    "exclusive": ({"mode": 3}, "is in exclusive compute mode"),
    "prohibited": ({"mode": 2}, "is in prohibited compute mode"),
    "an old driver": ({"cuda": 12080}, "has driver 580.1, which runs CUDA 12, too old for this torch with CUDA 13.0"),
    "divided": ({"mig": [1, 1]}, "is divided into MIG instances"),
    "full": ({"free": 0}, "has 0 MiB free, and a process needs 512"),
}
FIT: dict[str, dict[str, Any]] = {
    "usual": {},
    "A100": {"capability": (8, 0)},
    "no MIG": {"mig": None},
    "older torch": {"cuda": 14000},
    "silent": {"capability": None, "mode": None, "cuda": None, "mig": None, "free": None},
}


def pretend(monkeypatch: pytest.MonkeyPatch, torch_cuda: str | None = "13.0", count: int = 2, **answers: Any) -> None:
    """A machine of two GPUs, of which torch sees some."""
    monkeypatch.setattr(fitness, "pynvml", Nvml(**answers))
    monkeypatch.setattr(torch.version, "cuda", torch_cuda)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: count)
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)


@pytest.mark.parametrize(("answers", "said"), REFUSED.values(), ids=REFUSED)
def test_what_cannot_be_measured_is_refused(
    monkeypatch: pytest.MonkeyPatch, answers: dict[str, Any], said: str
) -> None:
    pretend(monkeypatch, **answers)
    for asked in (
        lambda: require_device("cuda"),
        lambda: require_device("auto"),
        lambda: local_executor("auto", "all", None),
        lambda: local_executor("auto", "1", None),
    ):
        with pytest.raises(UsageError, match=r"^GPU [01] ") as refused:
            asked()
        assert said in str(refused.value)


@pytest.mark.parametrize("answers", FIT.values(), ids=FIT)
def test_what_can_be_measured_is_taken_in_silence(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], answers: dict[str, Any]
) -> None:
    pretend(monkeypatch, **answers)
    assert require_device("cuda:1") == torch.device("cuda", 1)
    assert [seat.visible for seat in local_executor("auto", "all", None).seats] == ["0", "1"]
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize(("visible", "asked"), [("1", "index 1"), ("GPU-8f3c", "GPU-8f3c"), ("MIG-8f3c", "MIG-8f3c")])
def test_the_gpu_that_is_visible_is_asked(monkeypatch: pytest.MonkeyPatch, visible: str, asked: str) -> None:
    nvml = Nvml(uuid=visible)
    pretend(monkeypatch, count=1)
    monkeypatch.setattr(fitness, "pynvml", nvml)
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", visible)
    facts = fitness.facts_of(0)
    assert nvml.handles == [asked]
    assert facts.mig is visible.startswith("MIG-")
    assert facts.name == f"GPU 0 (CUDA_VISIBLE_DEVICES={visible})"


def test_without_nvml_there_is_a_warning(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    pretend(monkeypatch, init=None)
    assert require_device("cuda") == torch.device("cuda")
    error = capsys.readouterr().err
    assert error.startswith("warning: NVML cannot be loaded (Not Supported)")
    assert error.count("\n") == 1


INVISIBLE: dict[str, tuple[dict[str, Any], str | None, str]] = {
    "names nothing": ({}, "7", "CUDA_VISIBLE_DEVICES='7' names none of the 2 GPUs here"),
    "is empty": ({}, "", "CUDA_VISIBLE_DEVICES='' names none of the 2 GPUs here"),
    "torch for CPUs": ({"torch_cuda": None}, None, "this torch is built without CUDA, and there are 2 GPUs here"),
    "not told": ({}, None, "the driver has 2 GPUs, and CUDA sees none of them"),
    "no GPU": ({"gpus": 0}, "7", "device 'cuda' is not here: there are cpu and 0 cuda devices"),
    "no NVML": ({"init": None}, "7", "device 'cuda' is not here: there are cpu and 0 cuda devices"),
}


@pytest.mark.parametrize(("answers", "visible", "said"), INVISIBLE.values(), ids=INVISIBLE)
@pytest.mark.parametrize("command", ["run", "doctor", "tune", "profile"])
def test_why_no_gpu_is_seen(
    monkeypatch: pytest.MonkeyPatch,
    invoke: Invoke,
    answers: dict[str, Any],
    visible: str | None,
    said: str,
    command: str,
) -> None:
    pretend(monkeypatch, count=0, **answers)
    if visible is not None:
        monkeypatch.setenv("CUDA_VISIBLE_DEVICES", visible)
    code, out, error = invoke(command, "--device", "cuda")
    assert (code, out, error.count("\n")) == (2, "", 1)
    assert error.startswith(f"error: {said}")


def test_cpus_are_not_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    def never(*_: object) -> None:
        raise AssertionError("asked")

    monkeypatch.setattr(device_module, "require_fit", never)
    assert require_device("cpu") == torch.device("cpu")
