"""The page of a profile on a GPU: bounds, Proton's table, Nsight's counters beside expected, what is missing."""

import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType

import pytest
import torch
import triton

from bench.case.case import Case
from bench.cost.bounds import bounds_us, kernel_work
from bench.cost.chips import CHIPS
from bench.cost.complexity import flops, min_bytes
from bench.errors import Unavailable
from bench.profile.expected import Expected, expected_counters, offline_counters, symbol
from bench.profile.nsight import COUNTERS, Counted
from bench.profile.page import Profile, page, table
from bench.profile.proton import Ran, read_proton, record_proton, require_proton
from bench.profile.trace import read_trace
from tests.support.bench_cases import CPU, case
from tests.support.offline_reports import FORWARD, STAGE_28, report
from tests.support.traces import called, kernel, span, write

H200 = CHIPS["H200 SXM"]
CASE = Case(STAGE_28, "operator", "forward", "triton", "cold")
# Made up: 1000 instructions a lane, 800 of them in 2 rounds of a loop over 15 taps; the lanes follow from the bound.
BINARY = report(FORWARD, executed_instructions=1000, iterations=2.0, counted_taps=15, registers=96, occupancy=0.5)


def test_a_binarys_counters_are_over_the_grid() -> None:
    found = offline_counters(BINARY, H200)
    issued = kernel_work(STAGE_28, "forward").instructions
    taps = issued / 1000 * 2 * 15
    assert found["time, ns"] / 1e3 == pytest.approx(bounds_us(kernel_work(STAGE_28, "forward"), H200)["issue"])
    assert found["instructions of warps"] == pytest.approx(issued / 32)
    assert found["MUFU (XU) instructions of warps"] == pytest.approx(1.25 * taps / 32)
    assert found["L1 bytes"] == pytest.approx(7.5 * taps)
    assert (found["registers of a thread"], found["occupancy, %"]) == (96, 50)


def test_predictions_join_bounds_and_binaries(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("bench.profile.expected.spread", lambda _, tasks: [(0, BINARY)] if tasks == [FORWARD] else [])
    found = expected_counters(CASE, H200)
    assert found.notes == ()
    (one,) = found.kernels.values()
    assert list(found.kernels) == ["local_relation_forward_kernel"]
    assert one.bounds_us == bounds_us(kernel_work(STAGE_28, "forward"), H200)
    assert one.offline == offline_counters(BINARY, H200)
    # Of 7 taps along a side of 28, 12 in all are outside: 64 images, 25 groups, 32 threads to a warp.
    assert one.bound["MUFU (XU) instructions of warps"] == 64 * 25 * (7 * 28 - 12) ** 2 / 32
    assert {*one.bound, *one.offline} <= set(COUNTERS)


def test_what_cannot_be_predicted_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    assert (
        "only kernels of triton" in expected_counters(Case(STAGE_28, "operator", "forward", "compiled"), H200).notes[0]
    )
    assert "the GPU's rates are not known" in expected_counters(CASE, None).notes[0]
    monkeypatch.setattr("bench.profile.expected.spread", lambda *_: [(0, RuntimeError("no compiler"))])
    found = expected_counters(CASE, H200)
    assert found.notes == ("offline: forward-28x28x200-k7-m8-bfloat16-sm_90: no compiler",)
    assert found.kernels[symbol("forward")].offline == {}


HATCHET = [
    {
        "frame": {"name": "ROOT", "type": "function"},
        "metrics": {"count": 0, "time (ns)": 0},
        "children": [
            {
                "frame": {"name": "profiled calls", "type": "function"},
                "metrics": {"flops": 6e9, "bytes": 9e7},
                "children": [
                    {
                        "frame": {"name": name, "type": "function"},
                        "metrics": {"count": 2, "device_id": "0", "device_type": "CUDA", "time (ns)": ns},
                        "children": [],
                    }
                    for name, ns in (("convert", 20_000), ("local_relation_forward_kernel", 180_000))
                ],
            }
        ],
    },
    {"CUDA": {"0": {"arch": "90", "num_sms": 132}}},
]


def test_protons_kernels(tmp_path: Path) -> None:
    path = tmp_path / "proton.hatchet"
    path.write_text(json.dumps(HATCHET), encoding="utf-8")
    assert read_proton(path) == [Ran("local_relation_forward_kernel", 2, 180_000), Ran("convert", 2, 20_000)]


@pytest.mark.parametrize("text", ["", '[{"frame": {"name": "ROOT"}, "metrics": {"time (ns)": 0}, "children": []}]'])
def test_a_profile_without_kernels(tmp_path: Path, text: str) -> None:
    path = tmp_path / "proton.hatchet"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(Unavailable, match=r"proton\.hatchet"):
        read_proton(path)


def test_where_proton_cannot_be_used(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(Unavailable, match="this is a CPU"):
        require_proton(CPU)
    require_proton(torch.device("cuda"))
    monkeypatch.setattr("bench.profile.proton.find_spec", lambda name: None if name == "triton.profiler" else name)
    with pytest.raises(Unavailable, match=r"triton\.profiler is not installed"):
        require_proton(torch.device("cuda"))


class FakeProton(ModuleType):
    """A triton.profiler that keeps what it is told."""

    def __init__(self) -> None:
        super().__init__("triton.profiler")
        self.told: list[object] = []

    def start(self, name: str, *, context: str) -> int:
        self.told.append((name, context))
        return 3

    def activate(self, session: int) -> None:
        self.told.append(f"on {session}")

    def deactivate(self, session: int) -> None:
        self.told.append(f"off {session}")

    def finalize(self, session: int) -> None:
        self.told.append(f"end {session}")

    @contextmanager
    def scope(self, _: str, metrics: dict[str, float] | None) -> Iterator[None]:
        self.told.append(metrics)
        yield


def test_proton_gets_the_operators_counts_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    proton = FakeProton()
    monkeypatch.setitem(sys.modules, "triton.profiler", proton)
    monkeypatch.setattr(triton, "profiler", proton, raising=False)
    small = case("unfold", "forward")
    record_proton(small, CPU, tmp_path / "proton.hatchet", 2)
    counts = {
        "flops": 2.0 * flops(small.problem, "operator", "forward"),
        "bytes": 2.0 * min_bytes(small.problem, "operator", "forward"),
    }
    turns = ["off 3", "on 3", counts, "off 3", "on 3", None, "off 3", "end 3"]
    assert proton.told == [(str(tmp_path / "proton"), "shadow"), *turns]


@pytest.fixture
def profile(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Profile:
    """A profile of two calls of the forward kernel, all that a GPU has among it."""
    monkeypatch.setattr("bench.profile.expected.spread", lambda *_: [(0, BINARY)])
    name = "local_relation_forward_kernel"
    events = [
        event for at in (100, 400) for event in (called(at, 150), kernel(name, at + 20, 90), span("aten::to", at, 9))
    ]
    events += [kernel("convert|float", at + 110, 10) for at in (100, 400)]
    trace = read_trace(write(tmp_path / "trace.json", events))
    ran = [Ran(name, 2, 180_000), Ran("convert|float", 2, 20_000)]
    counted = [Counted(name, 1, {"time, ns": 91_000.0, "registers of a thread": 96.0, "warps stalled, wait": 1.5})]
    known = {"flops": 3e9, "min_bytes": 4.5e7, "predicted_mib": 19.5}
    return Profile(CASE.label(), "NVIDIA H200", known, trace, ran, counted, expected_counters(CASE, H200), {})


def test_a_page_of_a_gpu(profile: Profile) -> None:
    text = page(profile)
    assert "In a call the GPU worked for 0.1 ms and was idle for 0.05 ms; 2 launches" in text
    assert "| `local_relation_forward_kernel` | 1 | 90.0 | 90.0 | 90.0% | 20.0 |" in text
    assert "| `convert\\|float` | 1 | 10.0 | 10.0 | 10.0% | 0.0 |" in text
    assert "| `to` | 1 | 9.0 | 9.0 | 100.0% | 0.0 |" in text
    bounds = bounds_us(kernel_work(STAGE_28, "forward"), H200)
    cells = " | ".join(f"{time:.1f}" for time in bounds.values())
    assert f"| forward | 90.0 | {cells} | {bounds['issue']:.1f} | {bounds['issue'] / 90:.0%} |" in text
    assert "| `local_relation_forward_kernel` | 1 | 90.0 | 90.0% |" in text
    assert "30 TFLOP/s by the operator's own flops, 450 GB/s by the operator's own min_bytes" in text
    assert "### `local_relation_forward_kernel`, launches: 1" in text
    assert "| registers of a thread | 96 | 96 |  |" in text
    assert f"| time, ns | 91,000 | {1e3 * bounds['issue']:,.0f} | {1e3 * max(bounds.values()):,.0f} |" in text
    assert "| warps stalled, wait | 1.5 |  |  |" in text
    assert "19.5 MiB predicted" in text
    assert "What there is not" not in text


def test_what_is_missing_has_a_line(profile: Profile) -> None:
    bare = Profile(
        profile.label,
        profile.machine,
        {},
        profile.trace,
        expected=Expected({}, ("only kernels of triton are",)),
        missing={"Nsight Compute": "ncu is not on the path"},
    )
    assert page(bare).split("## What there is not")[1].split("\n\n")[1].splitlines() == [
        "- Nsight Compute: ncu is not on the path.",
        "- Expected: only kernels of triton are.",
    ]


def test_a_summary_for_the_report(profile: Profile) -> None:
    found = profile.summary()
    assert (found["calls"], found["call_ms"], found["busy_ms"], found["launches"]) == (2, 0.15, 0.1, 2)
    assert (found["largest"], found["largest_share"]) == ("local_relation_forward_kernel", 0.9)


def test_a_table_in_markdown() -> None:
    assert table(("a", "b"), [("x|y", "1")]) == "| a | b |\n| --- | ---: |\n| x\\|y | 1 |"
