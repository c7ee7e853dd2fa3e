"""Which case `python -m bench profile` is about: by words, by row, by axes."""

import json
from pathlib import Path

import pytest
import torch

from bench.case.case import Case
from bench.case.request import Chosen, Request, choose
from bench.case.sweeps import SWEEPS, expand
from bench.errors import RunFolderError, UsageError
from bench.profile.nsight_target import read_case
from bench.results.folder import RunFolder
from kernels import IMPLEMENTATIONS, Problem
from tests.support.bench_cases import CPU, case
from tests.support.run_of_cases import run_with

CUDA = torch.device("cuda")


def request(*axes: str, implementation: str | None = None, mode: str | None = None) -> Request:
    return Request(None, axes, (implementation,) if implementation else (), mode, "auto")


def chosen(text: str, device: torch.device = CPU, implementation: str | None = None) -> Case:
    return choose(text, request(implementation=implementation), device).case


@pytest.mark.parametrize(("device", "sweep"), [(CPU, "quick"), (CUDA, "axes")], ids=["cpu", "cuda"])
def test_a_label_names_its_case(device: torch.device, sweep: str) -> None:
    cache = {"cache": ("hot",)} if device.type == "cpu" else {}
    cases = expand(SWEEPS[sweep], cache)
    assert len(cases) > 60
    for one in cases:
        assert chosen(one.label(), device) == one


def test_words_axes_and_options_are_one_language() -> None:
    wanted = chosen("unfold forward k5 C32 14x28 bfloat16 absolute_difference")
    assert (wanted.implementation, wanted.mode, wanted.cache) == ("unfold", "forward", "hot")
    assert (wanted.problem.kernel_size, wanted.problem.channels, wanted.problem.width) == (5, 32, 28)
    axes = Request(
        None,
        ("k=5", "C=32", "height=14", "width=28", "dtype=bfloat16", "composability=absolute_difference"),
        ("unfold",),
        "forward",
        "cpu",
    )
    assert choose("", axes, CPU).case == wanted
    pairs = "implementation=unfold mode=forward kernel_size=5 channels=32 height=14 width=28 dtype=bfloat16"
    assert chosen(f"{pairs} composability=absolute_difference") == wanted


def test_a_yardstick_is_a_case() -> None:
    assert chosen("conv3x3 forward").yardstick is not None


def test_a_row_names_its_case(tmp_path: Path) -> None:
    rows = [case("unfold", "forward"), case("chunked", "forward_backward", stride=2, padding=0, prior=False)]
    run = run_with(tmp_path / "run", *rows)
    assert choose(f"{run}:2", request(), CPU) == Chosen(rows[1], run, 2)
    other = choose(f"{run}:1", request("hw=9", implementation="compiled", mode="backward"), CPU).case
    assert (other.implementation, other.mode) == ("compiled", "backward")
    assert other.problem == Problem(**{**vars(rows[0].problem), "height": 9, "width": 9})


REFUSED = {
    "nothing": ("", None, r"which case\?"),
    "a word of no case": ("unfold forwards", None, "no case has 'forwards'"),
    "several modes": ("unfold", None, "2 cases match, and one is profiled: unfold operator forward N2.*; unfold"),
    "several implementations": (
        "forward",
        None,
        f"{len(IMPLEMENTATIONS)} cases match.*; and {len(IMPLEMENTATIONS) - 3} more",
    ),
    "several values": ("unfold forward k=3,5", None, "2 cases match"),
    "a contradiction": ("unfold forward k3 k5", None, "kernel_size is given as 3 and as 5"),
    "no implementation": ("forward", "cudnn", "there is no implementation 'cudnn'"),
    "an axis that is none": ("unfold forward z=3", None, "there is no axis 'z'"),
    "a window that does not fit": ("unfold forward 2x2 k7 padding=0", None, "2"),
}


@pytest.mark.parametrize(("text", "implementation", "message"), REFUSED.values(), ids=REFUSED.keys())
def test_what_is_not_one_case_is_refused(text: str, implementation: str | None, message: str) -> None:
    with pytest.raises(UsageError, match=message) as refused:
        chosen(text, implementation=implementation)
    assert len(str(refused.value).splitlines()) == 1


@pytest.mark.parametrize("line", [0, 3, 17])
def test_a_row_that_is_not_there(tmp_path: Path, line: int) -> None:
    run = run_with(tmp_path / "run", case(), case("unfold"))
    with pytest.raises(RunFolderError, match=f"has lines 1 to 2, got {line}"):
        chosen(f"{run}:{line}")


@pytest.mark.parametrize("text", ['{"status": "ok"', "[1]", "{}"])
def test_a_line_that_is_no_row(tmp_path: Path, text: str) -> None:
    run = run_with(tmp_path / "run")
    RunFolder(run).rows_path.write_text(f"{text}\n", encoding="utf-8")
    with pytest.raises(RunFolderError, match=r"line 1 of .* is not a row"):
        chosen(f"{run}:1")


def test_a_run_that_is_none(tmp_path: Path) -> None:
    with pytest.raises(RunFolderError, match="is not a run folder"):
        chosen(f"{tmp_path}:1")


def test_a_case_passes_to_another_process(tmp_path: Path) -> None:
    one = case("unfold", "backward", scope="layer", stride=2, dtype="float64")
    path = tmp_path / "case.json"
    path.write_text(json.dumps(one.parameters()), encoding="utf-8")
    assert read_case(path) == one
