"""A case over runs of known levels: changes are found where they are, and neither noise nor trifles are."""

import csv
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.support.compared import ENVIRONMENT, failed, timed, write_run
from tests.support.in_process import Invoke

Rng = np.random.Generator


def about(day: int, **changes: Any) -> dict[str, Any]:
    """The environment of a run of that day."""
    code = {"git_commit": f"{day:040d}", "git_dirty": day == 2}
    return {**ENVIRONMENT, "started": f"2026-11-{day:02d}T12:00:00+00:00", "code": code, **changes}


def write(levels: Sequence[float], **changes: Any) -> Path:
    """A run of each level, their folders named against their order; the first case has the levels, another 1 ms."""
    rng = np.random.default_rng(1)
    for day, level in enumerate(levels, 1):
        cases = {1: timed(rng, level), 2: timed(rng, 1.0)}
        write_run(Path("runs", f"run-{99 - day}"), cases, about(day, **changes))
    return Path("runs")


def followed(invoke: Invoke, *words: object) -> list[dict[str, str]]:
    code, out, error = invoke("history", "runs", "--where", "N=1", "--format", "json", *words)
    assert (code, error) == (0, "")
    return list(json.loads(out))


def test_changes_are_found_where_they_are(invoke: Invoke) -> None:
    write([1.0, 1.0, 1.0, 1.1, 1.1, 1.1, 0.9])
    lines = followed(invoke)
    assert [line["run"] for line in lines] == [f"run-{99 - day}" for day in range(1, 8)]
    assert [line["verdict"] for line in lines] == ["", "SAME", "SAME", "SLOWER", "SAME", "SAME", "FASTER"]
    assert [line["against"] for line in lines] == ["", *["run-98"] * 3, *["run-95"] * 3]
    assert [line["commit"] for line in lines][:3] == ["0" * 10, "0" * 10 + "+", "0" * 10]
    assert float(lines[3]["ratio"]) == pytest.approx(1.1, rel=0.01)
    low, high = map(float, lines[3]["interval"].split(" to "))
    assert 1.02 < low < 1.1 < high


def test_a_drift_is_found_once_it_is_larger_than_the_margin(invoke: Invoke) -> None:
    write([1.01**step for step in range(11)])
    slower = [place for place, line in enumerate(followed(invoke)) if line["verdict"] == "SLOWER"]
    assert len(slower) == 2
    assert slower[0] in {3, 4, 5}


def test_what_is_significant_and_small_is_no_change(invoke: Invoke) -> None:
    write([1.0, 1.06])
    assert [line["verdict"] for line in followed(invoke, "--tolerance", "0.1")] == ["", "SAME"]
    assert [line["verdict"] for line in followed(invoke)] == ["", "SLOWER"]


def test_what_is_large_and_not_significant_is_no_change(invoke: Invoke) -> None:
    rng = np.random.default_rng(2)
    for day, level in ((1, 1.0), (2, 1.3)):
        row, samples = timed(rng, level, count=9)
        write_run(Path("runs", str(day)), {1: (row, samples * np.exp(0.5 * rng.standard_normal(9)))}, about(day))
    assert followed(invoke)[1]["verdict"] == "UNCLEAR"


def test_a_run_without_a_time_changes_no_level(invoke: Invoke) -> None:
    rng = np.random.default_rng(3)
    for day, case in enumerate([timed(rng), failed("error"), timed(rng, 1.2)], 1):
        write_run(Path("runs", str(day)), {1: case}, about(day))
    lines = followed(invoke)
    assert [line["verdict"] for line in lines] == ["", "FAILED", "SLOWER"]
    assert (lines[1]["ms"], lines[2]["against"]) == ("error", "1")


def test_all_cases_are_shown_in_short(invoke: Invoke) -> None:
    write([1.0, 1.2, 1.2])
    code, out, _ = invoke("history", "runs", "--format", "csv")
    assert code == 0
    first, second = csv.DictReader(out.splitlines())
    assert (first["runs"], first["changes"].split()[0], second["changes"]) == ("3", "SLOWER", "")
    assert first["changes"].endswith(" in run-97")
    assert float(first["last/first"]) == pytest.approx(1.2, rel=0.01)


def test_devices_are_followed_apart(invoke: Invoke) -> None:
    write([1.0])
    rng = np.random.default_rng(4)
    other = {"device": {"type": "cuda", "name": "GPU 2"}}
    write_run(Path("runs", "other"), {1: timed(rng, 2.0, device="GPU 2")}, about(9, **other))
    code, out, _ = invoke("history", "runs", "-w", "N=1", "--format", "csv")
    assert (code, [line["device"] for line in csv.DictReader(out.splitlines())]) == (0, ["GPU 1", "GPU 2"])
    assert [line["run"] for line in followed(invoke, "-w", "device=GPU 2")] == ["other"]


@pytest.mark.parametrize("name", ["plot.png", "plot.svg"])
def test_one_case_is_drawn(invoke: Invoke, name: str) -> None:
    write([1.0, 1.0, 1.3])
    code, out, error = invoke("history", "runs", "-w", "N=1", "--plot", name)
    assert (code, error) == (0, "")
    assert out.endswith(f"the plot is in {name}\n")
    begin = {"plot.png": b"\x89PNG", "plot.svg": b"<?xml"}[name]
    assert Path(name).read_bytes().startswith(begin)


REFUSED: dict[str, tuple[list[str], str]] = {
    "no runs": (["nowhere"], "error: nowhere holds no run folders whose cases could be followed\n"),
    "no column": (["runs", "-w", "colour=red"], "error: --where takes COLUMN=VALUE,VALUE with a column of implement"),
    "no value": (["runs", "-w", "N"], "error: --where takes COLUMN=VALUE,VALUE with a column of implement"),
    "no such case": (["runs", "-w", "N=7"], "error: no case that is left has batch=7: batch is 1, 2\n"),
    "several to draw": (["runs", "--plot", "x.png"], "error: --plot draws one case, and 2 are left: name its columns"),
    "an unknown picture": (["runs", "--plot", "x.gif"], "error: --plot must end in .png or .svg, got x.gif\n"),
    "no share": (["runs", "--tolerance", "2"], "error: the tolerance must be a share from 0 to 1, got 2.0\n"),
}


@pytest.mark.parametrize(("words", "told"), REFUSED.values(), ids=REFUSED.keys())
def test_what_makes_no_sense_is_refused(invoke: Invoke, words: list[str], told: str) -> None:
    write([1.0, 1.0])
    code, out, error = invoke("history", *words)
    assert (code, out, error.startswith(told)) == (2, "", True), error
    assert [path.name for path in Path().iterdir()] == ["runs"]


def test_what_is_left_out_is_told(invoke: Invoke) -> None:
    write([1.0])
    two = write_run(Path("runs", "two"), {1: timed(np.random.default_rng(5), device="GPU 2")}, about(3))
    empty = Path("runs", "empty")
    empty.mkdir()
    (empty / "environment.json").write_text((two / "environment.json").read_text())
    code, _, error = invoke("history", "runs")
    assert (code, error.splitlines()) == (
        0,
        ["warning: runs/empty has no rows: left out", "warning: runs/two ran on 2 devices: left out"],
    )
