"""Errors become exit codes in one place, and a crash must not look like a verdict."""

import sys
from typing import Any

import pytest

from bench import __main__ as command
from bench.errors import (
    DeviceInUse,
    Interrupted,
    RunError,
    RunFolderError,
    SuiteError,
    UsageError,
    WorkerError,
)
from tests.support.in_process import Invoke


@pytest.mark.parametrize(
    ("words", "inside"),
    [(["compare", "A", "B"], "bench.results.reading.read_run"), (["gate", "main"], "bench.commands.gate.run_gate")],
)
def test_a_crash_has_an_exit_code_of_its_own(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], words: list[str], inside: str
) -> None:
    def crash(*_: Any) -> int:
        raise ZeroDivisionError("planted")

    monkeypatch.setattr(inside, crash)
    monkeypatch.setattr(sys, "argv", ["bench", *words])
    with pytest.raises(SystemExit) as ended:
        command.main()
    assert ended.value.code == 70
    assert capsys.readouterr().err.endswith("ZeroDivisionError: planted\n")


ENDS = {
    UsageError: (2, "error"),
    DeviceInUse: (2, "error"),
    RunFolderError: (2, "error"),
    WorkerError: (1, "error"),
    RunError: (1, "error"),
    Interrupted: (130, "interrupted"),
}


@pytest.mark.parametrize(("kind", "end"), ENDS.items(), ids=lambda one: getattr(one, "__name__", ""))
def test_every_error_is_a_line_and_a_code(
    invoke: Invoke, monkeypatch: pytest.MonkeyPatch, kind: type[SuiteError], end: tuple[int, str]
) -> None:
    def fail(*_: Any) -> None:
        raise kind("what it is")

    monkeypatch.setattr("bench.results.reading.read_run", fail)
    assert invoke("compare", "A", "B") == (end[0], "", f"{end[1]}: what it is\n")
