"""How the tests themselves are run: in what order, and on how many threads."""

import subprocess
import sys

import pytest
import torch

from tests import ROOT
from tests.support.order import SLOWEST, by_cost

THREADS = [sys.executable, "-c", "import torch; print(torch.get_num_threads())"]


def test_the_slowest_files_are_begun_first() -> None:
    assert [name for name in SLOWEST if not (ROOT / name).is_file()] == []
    tests = ["tests/a.py::test_it", *(f"{name}::test_it[of::it]" for name in reversed(SLOWEST)), "tests/z.py::test_it"]
    assert sorted(tests, key=by_cost) == [*reversed(tests[1:-1]), tests[0], tests[-1]]


def test_one_thread_here_and_in_processes_of_tests() -> None:
    said = subprocess.run(THREADS, capture_output=True, text=True, check=True).stdout
    assert (torch.get_num_threads(), said) == (1, "1\n")


def test_a_test_about_threads_has_several(request: pytest.FixtureRequest) -> None:
    assert request.getfixturevalue("threads") == torch.get_num_threads() >= 2
