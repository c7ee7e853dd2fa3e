"""Work in other processes: results, failures and deaths all come back."""

import os
from concurrent.futures.process import BrokenProcessPool

import pytest

from bench.processes import spread


def work(task: str) -> str:
    """Fail as told, or say what the process knows."""
    if task == "raise":
        raise ValueError("first line\nsecond line")
    if task == "die":
        os._exit(1)
    return f"{task}: {os.environ.get('TRITON_INTERPRET')}"


def test_results_and_exceptions_come_with_their_indices(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TRITON_INTERPRET", "1")
    found = dict(spread(work, ["a", "raise", "b"], processes=1))
    assert (found[0], found[2]) == ("a: None", "b: None")
    assert isinstance(found[1], RuntimeError)
    assert str(found[1]) == "ValueError: first line"
    assert os.environ["TRITON_INTERPRET"] == "1"


def test_a_process_that_dies_is_a_failure() -> None:
    ((_, found),) = spread(work, ["die"])
    assert isinstance(found, BrokenProcessPool)
