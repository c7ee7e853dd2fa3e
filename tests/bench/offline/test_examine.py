"""`python -m bench offline`: what it compiles, what it refuses, and what it leaves behind."""

import csv
import json
import re
import subprocess
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from bench.offline import binaries
from bench.offline import command as offline_session
from bench.offline.examine import tasks_of
from tests.support.in_process import Invoke
from tests.support.offline_reports import FORWARD, STAGE_28


def test_the_default_is_the_stages_and_three_axes() -> None:
    tasks = tasks_of("sm_80,sm_90,sm_100", [], [])
    names = [task.name for task in tasks]
    assert len(names) == len(set(names)) == 3 * 3 * 18
    assert "key-224x224x64-k7-m8-s2-bfloat16-sm_100" in names
    assert {f"{kernel}-28x28x200-k7-m8-bfloat16-sm_90" for kernel in ("forward", "query", "key")} <= set(names)
    around = {p for p in (task.problem for task in tasks) if (p.height, p.channels) == (28, 200)}
    assert {p.kernel_size for p in around} == {3, 5, 7, 9, 11, 13}
    assert {p.m for p in around} == {1, 2, 4, 8, 16, 32}
    assert len({p.dtype for p in around}) == 4


UNUSUAL: list[dict[str, Any]] = [
    {"batch": 2},
    {"stride": 2},
    {"dilation": 2, "padding": 6},
    {"padding": 0},
    {"composability": "absolute_difference"},
    {"padding_mode": "zeros"},
    {"channel_order": "strided"},
    {"prior": False},
    {"memory_format": "contiguous"},
    {"dtype": "float16"},
]


def test_names_tell_every_option() -> None:
    assert FORWARD.name == "forward-28x28x200-k7-m8-bfloat16-sm_90"
    tasks = [FORWARD, *(replace(FORWARD, problem=replace(STAGE_28, **changed)) for changed in UNUSUAL)]
    names = {task.name for task in tasks}
    assert len(names) == len(tasks)
    assert all(re.fullmatch(r"forward-28x28x200-k7-m8-([a-z_0-9]+-)?b?float16-sm_90", name) for name in names)


REFUSED = {
    "architecture": (["--arch", "sm_90,sm_42"], "'sm_42'"),
    "kernel": (["--kernel", "forwards"], "'forwards'"),
    "axis": (["-a", "kernel=3"], "'kernel'"),
    "value": (["-a", "dtype=int8"], "'int8'"),
    "mode": (["-a", "mode=forward"], "--kernel"),
    "axis twice": (["-a", "k=3", "-a", "k=5"], "more than once"),
    "even window": (["-a", "k=4"], "got 4"),
    "no images": (["-a", "N=0"], "batch"),
    "dump in a file": (["--dump", "taken/dump"], "taken"),
    "dump that is a file": (["--dump", "taken"], "taken"),
    "table in no folder": (["--csv", "nowhere/table.csv"], "nowhere/table.csv"),
    "table that is a folder": (["--csv", "."], "directory"),
}


@pytest.fixture
def idle(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever comes to be compiled is an error."""
    monkeypatch.setattr(offline_session, "spread", lambda *_: pytest.fail("work has begun"))


@pytest.mark.usefixtures("idle")
@pytest.mark.parametrize(("arguments", "said"), REFUSED.values(), ids=REFUSED)
def test_what_makes_no_sense_is_refused(invoke: Invoke, tmp_path: Path, arguments: list[str], said: str) -> None:
    (tmp_path / "taken").write_text("", encoding="utf-8")
    code, out, error = invoke("offline", *arguments)
    assert (code, out, error.count("\n")) == (2, "", 1)
    assert error.startswith("error: ")
    assert said in error


@pytest.mark.usefixtures("idle")
def test_without_triton_it_says_so(invoke: Invoke, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(binaries, "find_spec", lambda _: None)
    assert invoke("offline") == (2, "", "error: the package triton is not installed: it has the compiler\n")


@pytest.mark.usefixtures("idle")
def test_without_the_disassembler_it_says_so(invoke: Invoke, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(binaries, "_folder", lambda: tmp_path)
    code, out, error = invoke("offline")
    assert (code, out) == (2, "")
    assert "nvdisasm does not exist" in error


def test_a_binary_that_is_none_is_an_error() -> None:
    with pytest.raises(RuntimeError, match="nvdisasm ended with"):
        binaries.disassemble(b"nothing")


def loop_lines(text: str) -> list[str]:
    """The lines from the one label that is branched back to up to that branch, found without bench.offline.sass."""
    lines = [line for line in text.splitlines() if re.match(r"\s+/\*[0-9a-f]{4,}\*/|\.L_x_\d+:", line)]
    places = {line.rstrip(":"): place for place, line in enumerate(lines) if line.startswith(".L")}
    spans = []
    for end, line in enumerate(lines):
        target = re.search(r"BRA.*`\((\.L_x_\d+)\)", line)
        if target and places[target.group(1)] < end - 1:
            spans.append(lines[places[target.group(1)] + 1 : end + 1])
    (span,) = spans
    return span


def stalls(loop: list[str], text: str) -> int:
    """The sum of the stalls of a loop's lines, out of the lines that follow them."""
    lines, total = text.splitlines(), 0
    for line in loop:
        if re.match(r"\s+/\*[0-9a-f]{4,}\*/", line):
            upper = lines[lines.index(line) + 1].split("/* 0x")[1][:16]
            total += int(upper, 16) >> 41 & 0b1111
    return total


def assembler_says(ptx: Path, arch: str) -> tuple[int, int]:
    """Registers and bytes of spill stores, from the assembler itself."""
    from triton.backends.nvidia.compiler import get_ptxas  # noqa: PLC0415

    again = ptx.with_suffix(".again")
    command = [get_ptxas(90).path, "-v", f"--gpu-name={arch}", str(ptx), "-o", str(again)]
    said = subprocess.run(command, capture_output=True, text=True, check=True).stderr
    registers, stores = re.search(r"Used (\d+) registers", said), re.search(r"(\d+) bytes spill stores", said)
    assert registers is not None
    assert stores is not None
    return int(registers.group(1)), int(stores.group(1))


def test_kernels_compiled_shown_and_dumped(invoke: Invoke, tmp_path: Path) -> None:
    axes = [word for axis in ("k=3", "hw=28", "C=64", "m=8", "s=1", "dtype=float32") for word in ("-a", axis)]
    command = [
        "offline",
        "--arch",
        "sm_90",
        "--kernel",
        "forward,key",
        *axes,
        "--dump",
        "dump/here",
        "--csv",
        "table.csv",
        "--schedule",
    ]
    code, out, error = invoke(*command)
    assert (code, error) == (0, "[2/2] compiled\n")
    assert "2 kernels compiled by triton" in out
    with (tmp_path / "table.csv").open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    names = [f"{kernel}-28x28x64-k3-m8-float32-sm_90" for kernel in ("forward", "key")]
    assert [row["name"] for row in rows] == names
    folder = tmp_path / "dump" / "here"
    assert {path.name for path in folder.iterdir()} == {
        f"{name}.{ending}" for name in names for ending in ("ptx", "cubin", "sass", "json")
    }
    for name, row in zip(names, rows, strict=True):
        found = json.loads((folder / f"{name}.json").read_text(encoding="utf-8"))
        loop = loop_lines((folder / f"{name}.sass").read_text(encoding="utf-8"))
        loaded = [re.search(r" LDG\.E(\.(?:128|64))?", line) for line in loop]
        widths = [{".128": 16, ".64": 8, None: 4}[match.group(1)] for match in loaded if match]
        taps = found["columns"] * found["kernel_size"]
        assert found["instructions_per_tap"] == pytest.approx(len(loop) / taps)
        assert found["l1_bytes_per_tap"] == pytest.approx(sum(widths) / taps)
        assert sum(found["units_per_tap"].values()) == pytest.approx(found["instructions_per_tap"])
        assert (found["registers"], found["spill_bytes"]) == assembler_says(folder / f"{name}.ptx", "sm_90a")
        assert (folder / f"{name}.cubin").read_bytes()[:4] == b"\x7fELF"
        assert found["settings"]["warps"] >= 1
        assert found["bounds_us"]["H200 SXM"]["issue"] > 0
        assert found["stall_cycles"] == stalls(loop, (folder / f"{name}.sass").read_text(encoding="utf-8"))
        assert found["ready_warps"] == pytest.approx(found["stall_cycles"] / len(loop), rel=0.01)
        assert found["cycles_per_tap"]["issue"] == found["instructions_per_tap"]
        issue, simulated = found["bounds_us"]["H200 SXM"]["issue"], found["simulated_us H200 SXM"]
        assert 0.9 * issue < simulated < 20 * issue
        assert float(row["simulated_us H200 SXM"]) == simulated
        for column in ("registers", "spill_bytes", "shared_bytes", "occupancy", "instructions_per_tap", "columns"):
            assert float(row[column]) == found[column]
        assert float(row["issue_us H200 SXM"]) == found["bounds_us"]["H200 SXM"]["issue"]
