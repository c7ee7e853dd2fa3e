"""A crash must not look like a verdict."""

from typing import Any

import pytest
from bench.crashes import CRASHED_EXIT

from tests.support.in_process import Invoke


@pytest.mark.parametrize(
    ("command", "inside"),
    [
        (["compare", "A", "B"], "bench.commands.comparing.compare_folders"),
        (["gate", "main"], "bench.commands.gate.run_gate"),
    ],
)
def test_a_crash_has_an_exit_code_of_its_own(
    invoke: Invoke, monkeypatch: pytest.MonkeyPatch, command: list[str], inside: str
) -> None:
    def crash(*_: Any) -> int:
        raise ZeroDivisionError("planted")

    monkeypatch.setattr(inside, crash)
    code, _, error = invoke(*command)
    assert code == CRASHED_EXIT
    assert error.endswith("ZeroDivisionError: planted\n")
