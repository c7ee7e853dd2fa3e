"""Nsight Compute's output as numbers, and what is said where there is none."""

from pathlib import Path

import pytest

from bench.errors import Unavailable
from bench.profile.nsight import COUNTERS, NCU_METRICS, Counted, Target, command, count, failure, parse

HEAD = (
    *("ID", "Process ID", "Process Name", "Host Name", "Kernel Name", "Context", "Stream"),
    *("Block Size", "Grid Size", "Device", "CC"),
)
TIME, ISSUE, READ, WRITTEN = (
    "gpu__time_duration.sum",
    "sm__inst_issued.avg.pct_of_peak_sustained_active",
    "dram__bytes_read.sum",
    "dram__bytes_write.sum",
)
PERMISSION = (
    "==PROF== Connected to process 41 (/usr/bin/python3.12)\n"
    "==ERROR== ERR_NVGPUCTRPERM - The user does not have permission to access NVIDIA GPU Performance Counters on the "
    "target device 0. For instructions on enabling permissions and to get more information see "
    "https://developer.nvidia.com/ERR_NVGPUCTRPERM\n"
)


STALL = "smsp__average_warps_issue_stalled_branch_resolving_per_issue_active.ratio"
OTHER = "smsp__average_warps_issue_stalled_lg_throttle_per_issue_active.ratio"


def csv_line(*cells: str) -> str:
    return ",".join(f'"{cell}"' for cell in cells)


def sample(*launches: tuple[str, str, str, str, str], units: tuple[str, str, str, str]) -> str:
    """What `ncu --csv --page raw` writes: messages, the names, the units, and a line for each launch."""
    lines = [csv_line(*HEAD, TIME, ISSUE, READ, WRITTEN), csv_line(*[""] * len(HEAD), *units)]
    for number, (kernel, *cells) in enumerate(launches):
        where = ("41", "python3.12", "127.0.0.1", kernel, "1", "7", "(128, 1, 1)", "(6,272, 1, 1)", "0", "9.0")
        lines.append(csv_line(str(number), *where, *cells))
    messages = ["==PROF== Connected to process 41 (/usr/bin/python3.12)"]
    messages += [f'==PROF== Profiling "{launch[0]}" - 0: 0%....50%....100% - 9 passes' for launch in launches]
    return "\n".join([*messages, *lines, "==PROF== Disconnected from process 41", ""])


FORWARD = ("local_relation_forward_kernel", "104,352", "81.25", "88,080,384", "1,048,576")


def test_counters_of_kernels() -> None:
    text = sample(
        FORWARD,
        ("void at::native::vectorized_kernel<4, float>(int, float)", "2,000", "n/a", "1,024", "0"),
        ("local_relation_forward_kernel", "104,354", "81.75", "88,080,386", "1,048,574"),
        units=("ns", "%", "byte", "byte"),
    )
    assert parse(text) == [
        Counted(
            "local_relation_forward_kernel",
            2,
            {"time, ns": 104_353, "issue slots busy, %": 81.5, "DRAM bytes": 88_080_385 + 1_048_575},
        ),
        # What ncu does not have is left out, and is no 0.
        Counted("void at::native::vectorized_kernel<4, float>(int, float)", 1, {"time, ns": 2000, "DRAM bytes": 1024}),
    ]


@pytest.mark.parametrize(
    ("units", "time", "read"),
    [
        (("us", "%", "Mbyte", "byte"), "104.352", "88.080384"),
        (("nsecond", "%", "Kbyte", "byte"), "104,352", "88,080.384"),
    ],
)
def test_units_are_scaled(units: tuple[str, str, str, str], time: str, read: str) -> None:
    (counted,) = parse(sample(("k", time, "1.00", read, "0"), units=units))
    assert counted.counters["time, ns"] == pytest.approx(104_352)
    assert counted.counters["DRAM bytes"] == pytest.approx(88_080_384)


FAILURES = {
    "permission": (PERMISSION, 0, r"the driver lets no user but root read counters \(ERR_NVGPUCTRPERM"),
    "a metric": ("==ERROR== Failed to find metric x__y.sum\n", 1, r"ncu says: Failed to find metric x__y\.sum"),
    "no kernel": ("==WARNING== No kernels were profiled.\n", 0, "ncu met no kernel"),
    "the program": (
        "Traceback\nValueError: what the program said\n\n",
        3,
        "exit code 3 .* ValueError: what the program",
    ),
    "silence": ("", 9, "exit code 9 and said last: nothing"),
}


@pytest.mark.parametrize(("output", "code", "message"), FAILURES.values(), ids=FAILURES.keys())
def test_failures_in_a_line(output: str, code: int, message: str) -> None:
    reason = failure(output, code)
    assert reason is not None
    with pytest.raises(Unavailable, match=message):
        raise Unavailable(reason)
    assert len(reason.splitlines()) == 1


def test_no_failure() -> None:
    assert failure(sample(FORWARD, units=("ns", "%", "byte", "byte")), 0) is None


@pytest.mark.parametrize("text", ["", "==PROF== Connected\n", f"{csv_line(*HEAD)}\n", '"a","b"\n"1","2"\n"3","4"\n'])
def test_no_table(text: str) -> None:
    with pytest.raises(Unavailable, match="no table of counters"):
        parse(text)


def test_the_command_leaves_the_clocks_alone_and_asks_for_every_counter(tmp_path: Path) -> None:
    line = command("ncu", Target(tmp_path / "case.json", "cuda:1", tmp_path / "log.csv", cold=False))
    options = dict(zip(line[2::2], line[3::2], strict=False))
    assert options["--clock-control"] == "none"
    assert options["--cache-control"] == "none"
    assert options["--page"] == "raw"
    assert set(options["--metrics"].split(",")) == set(NCU_METRICS)
    assert line[-3:] == ["bench.profile.nsight_target", str(tmp_path / "case.json"), "cuda:1"]
    assert "all" in command("ncu", Target(tmp_path, "cuda", tmp_path, cold=True))
    wanted = ("issue", "FP32", "MUFU", "L1 bytes", "L2 bytes", "DRAM bytes", "occupancy", "stalled")
    assert all(any(word in name for name in COUNTERS) for word in wanted)


def planted(folder: Path, text: str, code: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """An `ncu` on the path that writes a text to the file that it is told, and ends with a code."""
    (folder / "said").write_text(text, encoding="utf-8")
    script = f'#!/bin/sh\nwhile [ "$1" != --log-file ]; do shift; done\n/bin/cat {folder}/said > "$2"\nexit {code}\n'
    (folder / "ncu").write_text(script, encoding="utf-8")
    (folder / "ncu").chmod(0o755)
    monkeypatch.setenv("PATH", str(folder))


def target_in(folder: Path) -> Target:
    return Target(folder / "case.json", "cuda", folder / "ncu.csv", cold=True)


def test_a_name_that_it_does_not_know_costs_no_other_counter(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "said").write_text(sample(FORWARD, units=("ns", "%", "byte", "byte")), encoding="utf-8")
    script = f"""#!/bin/sh
case "$*" in *branch_resolving*) echo "==ERROR== Failed to find metric {STALL}"; exit 1;; esac
case "$*" in *lg_throttle*) echo "==ERROR== Failed to find metrics '{OTHER}'."; exit 1;; esac
while [ "$1" != --log-file ]; do shift; done
/bin/cat {tmp_path}/said > "$2"
"""
    (tmp_path / "ncu").write_text(script, encoding="utf-8")
    (tmp_path / "ncu").chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    (counted,), unknown = count(target_in(tmp_path), 10)
    assert counted.counters["time, ns"] == 104_352
    assert unknown == [OTHER, STALL]


def test_a_failure_that_names_no_counter_ends_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    planted(tmp_path, "==ERROR== Failed to prepare kernel for profiling\n", 1, monkeypatch)
    with pytest.raises(Unavailable, match="Failed to prepare kernel"):
        count(target_in(tmp_path), 10)


def test_it_is_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    planted(tmp_path, sample(FORWARD, units=("ns", "%", "byte", "byte")), 0, monkeypatch)
    (counted,), unknown = count(target_in(tmp_path), 10)
    assert unknown == []
    assert (counted.kernel, counted.launches) == ("local_relation_forward_kernel", 1)


def test_it_is_not_permitted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    planted(tmp_path, PERMISSION, 1, monkeypatch)
    with pytest.raises(Unavailable, match="ERR_NVGPUCTRPERM"):
        count(target_in(tmp_path), 10)


def test_it_is_not_installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(Unavailable, match="ncu is not on the path"):
        count(target_in(tmp_path), 10)
