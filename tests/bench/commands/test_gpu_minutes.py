"""Eight minutes of a pretended GPU, through the real order, rates, budget, deadline, folder and resumption."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from bench.case.case import Case
from bench.case.parts import GPU_PARTS, by_part
from bench.case.sweeps import SWEEPS, expand
from bench.commands import gpu
from bench.errors import Exit
from bench.measure.ahead import Outcome
from bench.results.reading import Key, key_of, read_run
from bench.results.recovery import was_left_out
from tests.support.in_process import Invoke
from tests.support.pretended_gpu import Clock, PretendedGpu

REPORT_SECONDS = 30.0
PARTS = by_part(expand(SWEEPS["gpu"], {}), GPU_PARTS)
Start = Callable[[float], tuple[Clock, PretendedGpu]]


@pytest.fixture
def start(monkeypatch: pytest.MonkeyPatch) -> Start:
    """A GPU so many times slower than an H100, and its clock."""

    def started(slower: float) -> tuple[Clock, PretendedGpu]:
        clock = Clock()
        device = PretendedGpu(clock, slower)

        def report(*_: Any) -> Exit:
            clock.now += REPORT_SECONDS
            return Exit.OK

        monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)
        monkeypatch.setattr(gpu, "require_device", torch.device)
        monkeypatch.setattr("bench.run.slot.Worker", device.worker())
        monkeypatch.setattr(gpu, "_clock", clock)
        monkeypatch.setattr(gpu, "report_on", report)
        monkeypatch.setattr(gpu, "compile_ahead", lambda tasks, _: Outcome(len(tasks), [], 0, 1.0))
        return clock, device

    return started


def left_out(path: Path) -> set[Key]:
    return {key for key, row in read_run(path, samples=False).rows.items() if was_left_out(row)}


def keys(cases: list[Case]) -> set[Key]:
    return {key_of(one.parameters()) for one in cases}


def test_an_h100_has_the_telling_part_in_eight_minutes_and_the_rest_later(
    start: Start, invoke: Invoke, tmp_path: Path
) -> None:
    clock, device = start(1.0)
    code, out, error = invoke("gpu", "--no-tests", "--out", tmp_path / "run")
    assert (code, error) == (0, "")
    assert "measuring and report: 8 min" in out.splitlines()[0]
    assert out.count("cases ahead fit into") >= 2
    assert 0.8 * 480 <= clock.now <= 1.05 * 480
    out_of_time = left_out(tmp_path / "run")
    telling = keys([*PARTS["stages in bfloat16"], *PARTS["axes of triton"]])
    assert not telling & out_of_time
    rows = read_run(tmp_path / "run").rows
    assert {rows[key]["status"] for key in telling} == {"ok", "unsupported"}
    assert out_of_time
    assert f"left out for lack of time, {len(out_of_time)} cases" in out

    before, measured = clock.now, len(device.asked)
    assert invoke("gpu", "--no-tests", "--out", tmp_path / "run", "--resume")[0] == 0
    assert clock.now - before <= 1.05 * 480
    assert left_out(tmp_path / "run") < out_of_time
    assert keys(device.asked[measured:]) <= out_of_time
    assert len(read_run(tmp_path / "run").rows) == sum(map(len, PARTS.values()))


def test_a_slow_gpu_ends_in_time_with_the_most_telling_first(start: Start, invoke: Invoke, tmp_path: Path) -> None:
    clock, device = start(3.0)
    assert invoke("gpu", "--no-tests", "--out", tmp_path / "run")[0] == 0
    assert 0.8 * 480 <= clock.now <= 1.05 * 480
    order = [next(name for name, cases in PARTS.items() if one in cases) for one in device.asked]
    assert order == sorted(order, key=list(PARTS).index)
    assert not keys(PARTS["stages in bfloat16"]) & left_out(tmp_path / "run")


def test_what_is_left_out_is_said_with_its_reason(start: Start, invoke: Invoke, tmp_path: Path) -> None:
    start(40.0)
    assert invoke("gpu", "--no-tests", "--minutes", "2", "--out", tmp_path / "run")[0] == 0
    lines = (tmp_path / "run" / "results.jsonl").read_text(encoding="utf-8").splitlines()
    reasons = [row["reason"] for row in map(json.loads, lines) if was_left_out(row)]
    assert any("it needs some" in reason for reason in reasons)
