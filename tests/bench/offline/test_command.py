"""What `python -m bench offline` shows of kernels, and the exit code that it makes of them."""

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from bench.offline import command as offline_session
from bench.offline import limits
from bench.offline.examine import KernelReport, Task, examine, examine_schedule, tasks_of
from bench.offline.schedule.tables import print_schedules
from bench.offline.tables import print_reports
from bench.results.folder import RunFolder
from tests.support.in_process import Invoke
from tests.support.offline_reports import FORWARD, STAGE_28, report, simulated
from tests.support.report_rows import ENVIRONMENT, case

ONE = [
    "--arch",
    "sm_90",
    *(word for axis in ("hw=28", "C=200", "k=7", "m=8", "s=1", "dtype=bfloat16") for word in ("-a", axis)),
]


@pytest.fixture
def compiled(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> dict[str, Any]:
    """What compiling a task comes to in place of the real thing, by kernel; by default a report."""
    results: dict[str, Any] = {}

    made_up: dict[object, Callable[[Task], KernelReport]] = {examine: report, examine_schedule: simulated}

    def spread(function: object, tasks: Sequence[Task]) -> Iterator[tuple[int, Any]]:
        for index, task in reversed(list(enumerate(tasks))):
            result = results.get(task.kernel, made_up[function](task))
            if isinstance(result, KeyboardInterrupt):
                raise result
            yield index, result

    monkeypatch.setattr(offline_session, "spread", spread)
    monkeypatch.setattr(limits, "RECORD", tmp_path / "record.csv")
    return results


@pytest.mark.usefixtures("compiled")
def test_kernels_are_shown_in_order(invoke: Invoke) -> None:
    code, out, _ = invoke("offline", *ONE, "--check")
    assert code == 0
    assert [line.split()[-1] for line in re.findall(r"^\S+ \S+", out.split("kernel", 1)[0])] == ["compiled"]
    assert re.search(r"forward .*\n.* query .*\n.* key ", out)
    assert "limits missed: none" in out
    assert f"nothing is recorded for triton {version('triton')}" in out


def test_a_kernel_that_does_not_compile_is_named(invoke: Invoke, compiled: dict[str, Any]) -> None:
    compiled["query"] = RuntimeError("CompilationError: at 3:7")
    code, out, _ = invoke("offline", *ONE)
    assert code == 1
    assert "2 kernels compiled" in out
    assert "query-28x28x200-k7-m8-bfloat16-sm_90 does not compile: CompilationError: at 3:7" in out


@pytest.mark.parametrize(("check", "expected"), [([], 0), (["--check"], 1)], ids=["shown", "checked"])
def test_missed_limits_are_told(invoke: Invoke, compiled: dict[str, Any], check: list[str], expected: int) -> None:
    compiled["forward"] = report(FORWARD, instructions_per_tap=22.5, spill_bytes=8)
    code, out, _ = invoke("offline", *ONE, *check)
    assert code == expected
    assert "limits missed: 2\n" in out
    assert f"  {FORWARD.name} instructions_per_tap: 22.5 instructions per tap, at most 22\n" in out
    assert f"  {FORWARD.name} spill_bytes: 8 bytes spilled, at most 0\n" in out


def test_changes_since_the_record_are_told(invoke: Invoke, compiled: dict[str, Any]) -> None:
    assert invoke("offline", *ONE, "--record")[0] == 0
    code, out, _ = invoke("offline", *ONE, "--check")
    assert code == 0
    assert "changed among the 3 that are recorded: none" in out
    compiled["forward"] = report(FORWARD, executed_per_tap=25.5 * 1.1)
    code, out, _ = invoke("offline", *ONE, "--check")
    assert code == 1
    assert f"  {FORWARD.name} executed_per_tap: was 25.5 and is 28.05\n" in out


@pytest.mark.usefixtures("compiled")
def test_schedules_are_shown(invoke: Invoke) -> None:
    code, out, _ = invoke("offline", *ONE, "--schedule")
    assert code == 0
    line = next(line for line in out.split("sm_90: schedule")[1].splitlines() if " query " in line)
    cells = line.split("query")[1].split()
    numbers = ["21.2", "12.5", "13.2", "9.2", "8.0", "0.0"]
    assert cells == ["3", "1050", "1.75", "3", *numbers, "issue", "31.0", "55", "52.5", "–", "52.5", "–"]
    assert "sm_90: schedule" not in invoke("offline", *ONE)[1]


@pytest.mark.usefixtures("compiled")
def test_what_a_run_measured_stands_beside(invoke: Invoke, tmp_path: Path) -> None:
    asked = {**asdict(STAGE_28), "implementation": "triton", "cache": "cold", "device": "NVIDIA H200"}
    rows = [
        case(0.0625, **asked),
        case(0.125, **asked, mode="backward"),
        case(0.5, **{**asked, "cache": "hot"}),
        case(0.5, **{**asked, "channels": 400}),
        case(0.5, **{**asked, "implementation": "unfold"}),
    ]
    run = RunFolder.create(tmp_path / "run", ENVIRONMENT)
    for row in rows:
        run.append(row, [])
    code, out, _ = invoke("offline", *ONE, "--measured", str(run.path))
    assert code == 0
    lines = out.split("sm_90: schedule")[1].split("issued, stall:")[0].splitlines()
    found = {name: line.split()[-3:] for line in lines for name in ("forward", "query", "key") if f" {name} " in line}
    assert found == {"forward": ["–", "52.5", "62.5"], "query": ["–", "52.5", "–"], "key": ["–", "52.5", "125.0"]}


@pytest.mark.usefixtures("compiled")
def test_a_loop_is_shown_by_what_it_waited_for(invoke: Invoke) -> None:
    code, out, _ = invoke("offline", *ONE, "--why", FORWARD.name)
    assert code == 0
    lines = out.splitlines()
    assert lines[0].strip() == f"{FORWARD.name}: waited for"
    assert lines[2].split()[:5] == ["2", "336.0", "3.0", "333.0", "0.0"]
    assert lines[2].rstrip().endswith("SHF.L.U32 R5, R4, 0x10, RZ     LDG.E.128 at 0")
    assert lines[3].split()[:5] == ["0", "3.0", "0.0", "0.0", "3.0"]
    assert "desc[UR4][R2.64]" in lines[3]
    assert "all 3 instructions of an iteration, in cycles: stall 3, scoreboard 333, turn 3" in out
    assert "1 kernels compiled" in out


@pytest.mark.parametrize("option", [["--why", "forward"], ["--measured", "nowhere"]], ids=" ".join)
def test_what_is_not_there_is_refused_before_work(invoke: Invoke, compiled: dict[str, Any], option: list[str]) -> None:
    compiled["forward"] = KeyboardInterrupt()
    code, out, error = invoke("offline", *ONE, *option)
    assert (code, out) == (2, "")
    assert option[1] in error


def test_an_interrupt_ends_it(invoke: Invoke, compiled: dict[str, Any]) -> None:
    compiled["query"] = KeyboardInterrupt()
    code, out, error = invoke("offline", *ONE, "--dump", "dump")
    assert (code, out) == (130, "")
    assert error == "interrupted: 1 of 3 kernels are compiled\n"
    assert {path.suffix for path in Path("dump").iterdir()} == {".ptx", ".cubin", ".json"}


@pytest.mark.parametrize("width", [80, 160])
def test_tables_of_schedules_fit(width: int, capsys: pytest.CaptureFixture[str]) -> None:
    tasks = tasks_of("sm_80,sm_90", [], [])
    print_schedules([simulated(task) for task in tasks], None, Console(width=width))
    lines = capsys.readouterr().out.splitlines()
    assert max(map(len, lines)) <= width
    assert not [line for line in lines if "…" in line]


@pytest.mark.parametrize("width", [80, 160])
def test_tables_fit(width: int, capsys: pytest.CaptureFixture[str]) -> None:
    tasks = tasks_of("sm_80,sm_90,sm_100,sm_86", [], [])
    print_reports([report(task) for task in tasks], Console(width=width))
    lines = capsys.readouterr().out.splitlines()
    assert max(map(len, lines)) <= width
    assert not [line for line in lines if "…" in line]
    assert sum(line.count("forward") for line in lines) == 18 * (4 * (3 if width == 80 else 2) - 1)
    assert "sm_86: no bounds" in "\n".join(lines)


@pytest.mark.parametrize(
    ("measured", "shown"),
    [
        ({}, "21.2 "),
        ({"row_loops": 0}, "21.2*"),
        ({"row_loops": 2}, "21.2+"),
        ({"rows_per_iteration": 2}, "21.2+"),
    ],
    ids=str,
)
def test_what_is_counted_is_marked(measured: dict[str, int], shown: str, capsys: pytest.CaptureFixture[str]) -> None:
    print_reports([report(FORWARD, **measured)], Console(width=80))
    out = capsys.readouterr().out
    assert shown in out
    assert [mark in out for mark in ("* no loop", "+ several")] == [shown[-1] == "*", shown[-1] == "+"]
