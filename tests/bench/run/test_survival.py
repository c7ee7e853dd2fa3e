"""Runs from the shell that are killed, or meet another run: what they measured is there afterwards."""

import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest

from tests import ROOT
from tests.support.small_runs import CASES, arguments, require_whole, rows_of

# Four tenths of a second for a case, so that there is something to interrupt.
SLOWLY = ("--seconds", "0.4", "--order", "blocked")


Start = Callable[..., "subprocess.Popen[str]"]


@pytest.fixture
def start() -> Iterator[Start]:
    """Starts runs from the shell; none of them outlives the test."""
    runs: list[subprocess.Popen[str]] = []
    # A shell lets what it starts with "&" ignore Ctrl-C, these tests and what they start among it.
    usual = signal.signal(signal.SIGINT, signal.default_int_handler)

    def begin(path: Path, *more: str) -> subprocess.Popen[str]:
        command = [sys.executable, "-m", "bench", *arguments(path, *more)]
        pipe = subprocess.PIPE
        runs.append(subprocess.Popen(command, cwd=ROOT, stdout=pipe, stderr=pipe, text=True))
        return runs[-1]

    yield begin
    for run in runs:
        run.kill()
        run.communicate()
    signal.signal(signal.SIGINT, usual)


def wait_for_rows(path: Path, count: int) -> None:
    file, end = path / "results.jsonl", time.monotonic() + 60.0
    while time.monotonic() < end:
        if file.exists() and file.read_bytes().count(b"\n") >= count:
            return
        time.sleep(0.02)
    raise TimeoutError(f"{path} has no {count} rows after a minute")


def worker_of(run: subprocess.Popen[str]) -> psutil.Process:
    (worker,) = psutil.Process(run.pid).children()
    return worker


def end(run: subprocess.Popen[str]) -> tuple[int, str]:
    """The exit code of a run and what it said on stderr."""
    _, error = run.communicate(timeout=120)
    return run.returncode, error


@pytest.mark.extended
def test_a_run_that_everything_happens_to(start: Start, tmp_path: Path) -> None:
    """kill −9 of the run, Ctrl-C, kill −9 of a worker, and at last two runs at once."""
    path = tmp_path / "run"
    killed = start(path, *SLOWLY)
    wait_for_rows(path, 1)
    worker = worker_of(killed)
    killed.kill()
    assert end(killed)[0] == -signal.SIGKILL
    assert psutil.wait_procs([worker], timeout=10)[1] == []
    done = {str(row): row for row in rows_of(path)}

    interrupted = start(path, *SLOWLY, "--resume")
    wait_for_rows(path, len(done) + 1)
    interrupted.send_signal(signal.SIGINT)
    code, error = end(interrupted)
    assert code == 130
    assert error == f"interrupted: {len(rows_of(path))} of {CASES} cases are done, in {path}; go on with --resume\n"
    assert done.keys() <= {str(row) for row in rows_of(path)}

    last = start(path, *SLOWLY, "--resume")
    wait_for_rows(path, len(rows_of(path)) + 1)
    worker_of(last).kill()
    assert end(last)[0] == 0
    require_whole(path)
    assert [row["status"] for row in rows_of(path)].count("crashed") <= 1
    assert done.keys() <= {str(row) for row in rows_of(path)}

    retried = [start(path, "--seconds", "0", "--resume", "--retry", "crashed") for _ in range(2)]
    codes, errors = zip(*(end(run) for run in retried), strict=True)
    # The one that came second was refused, unless it came so late that nothing was left to do.
    assert sorted(codes) in ([0, 2], [0, 0])
    assert sum("is in use by another run (process" in error for error in errors) == codes.count(2)
    require_whole(path)
    assert {row["status"] for row in rows_of(path)} == {"ok"}
