"""`python -m bench host`: what it prints and writes, and what it refuses."""

import csv
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch

from bench.commands import host
from bench.measure.host_time import HostTime
from tests.support.in_process import Invoke

ROWS = [
    HostTime("forward", "", 7.04, 7.5, 29),
    HostTime("launch", "forward", 1.26, 1.36, 11),
    HostTime("the rest", "forward", -0.01, 0.05, 1),
]


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """What was to be measured; `result` is what comes of it."""
    held: dict[str, Any] = {"result": ROWS}

    def spread(_: object, tasks: list[Any]) -> Iterator[tuple[int, Any]]:
        held["tasks"] = tasks
        yield 0, held["result"]

    monkeypatch.setattr(host, "spread", spread)
    return held


def test_parts_are_below_their_call(invoke: Invoke, asked: dict[str, Any]) -> None:
    code, out, error = invoke("host", "--device", "cpu", "--samples", "7")
    assert (code, error) == (0, "")
    assert asked["tasks"] == [(torch.device("cpu"), 7)]
    lines = [line.rstrip() for line in out.splitlines()]
    assert [line.split() for line in lines[1:4]] == [
        ["forward", "7.0", "7.5", "29"],
        ["launch", "1.3", "1.4", "11"],
        ["the", "rest", "0.0", "0.1", "1"],
    ]
    assert [len(line) - len(line.lstrip()) for line in lines[1:4]] == [0, 2, 2]
    assert "tensors on cpu, 7 calls of each" in lines[-1]


@pytest.mark.usefixtures("asked")
def test_the_table_as_a_file(invoke: Invoke, tmp_path: Path) -> None:
    code, out, _ = invoke("host", "--device", "cpu", "--csv", "host.csv")
    assert code == 0
    assert out.endswith("the table is in host.csv\n")
    with (tmp_path / "host.csv").open(encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert [(row["name"], row["of"], float(row["minimum_us"]), int(row["functions"])) for row in rows] == [
        (row.name, row.of, row.minimum_us, row.functions) for row in ROWS
    ]


def test_a_failure_is_said_in_a_line(invoke: Invoke, asked: dict[str, Any]) -> None:
    asked["result"] = RuntimeError("ImportError: libtriton")
    assert invoke("host", "--device", "cpu") == (1, "", "the host's time was not measured: ImportError: libtriton\n")


REFUSED = {
    "a device that is none": (("--device", "tpu"), "there is no device 'tpu': expected"),
    "a folder that is not there": (("--device", "cpu", "--csv", "nowhere/host.csv"), "cannot write nowhere/host.csv"),
    "no samples": (("--samples", "0"), "greater than or equal to 1"),
    "samples that are no number": (("--samples", "few"), "Invalid value for '--samples'"),
}


@pytest.mark.parametrize(("words", "said"), REFUSED.values(), ids=REFUSED)
def test_bad_input_ends_it_before_any_work(
    words: tuple[str, ...], said: str, invoke: Invoke, asked: dict[str, Any]
) -> None:
    code, out, error = invoke("host", *words)
    assert (code, out) == (2, "")
    assert said in error
    assert "tasks" not in asked


def test_without_triton_it_says_so(invoke: Invoke, asked: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(host, "find_spec", lambda _: None)
    code, _, error = invoke("host", "--device", "cpu")
    assert (code, error) == (
        2,
        "error: the package triton is not installed: its launches are part of what is measured\n",
    )
    assert "tasks" not in asked
