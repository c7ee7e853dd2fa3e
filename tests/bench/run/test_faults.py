"""Faults of the implementations and of the worker: each costs its own case, and the sweep goes on.

The time of day runs backwards in the worker that is used here, which must make no difference to anything.
"""

import os
import random
import signal
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch

from bench.case.case import Case
from bench.device.timing import Timing
from bench.errors import WorkerError
from bench.measure.steps import StepResult
from bench.run.conduct import Conduct
from bench.run.messages import Question, Setup
from bench.run.schedule import CaseResult, Schedule
from bench.run.worker import Worker
from tests.support.bench_cases import case
from tests.support.planted import WRONG

TIMING = Timing(seconds=0.0, min_samples=2, warmup_seconds=0.0, block_seconds=0.0)
PLANTED = (sys.executable, "-m", "tests.support.planted")
SOUND = ("unfold", "chunked")
FAULTS = {
    11: ("timeout", "no answer within 5 s (--case-timeout), the worker was killed"),
    12: ("crashed", "the worker was killed by SIGSEGV"),
    15: ("crashed", "the worker ended with exit code 3"),
    16: ("error", "ZeroDivisionError: planted"),
    WRONG: ("incorrect", "relative error 1.00e-02 against float64, at most 1e-04"),
    18: ("out_of_memory", "can't allocate memory"),
    19: ("out_of_memory", "predicted: out of memory already at chunked operator forward N2 C18"),
}


def setup() -> Setup:
    return Setup("cpu", TIMING)


def run(worker: Worker, cases: list[Case], **conduct: Any) -> list[CaseResult]:
    """What becomes of the cases."""
    return list(Schedule(worker, Conduct(TIMING, **{"rounds": 2, **conduct})).run(cases))


def planted(channels: int, implementation: str = "chunked") -> Case:
    return case(implementation, channels=channels)


@pytest.fixture(scope="module")
def worker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Worker]:
    """A worker with the planted implementation, for all tests of this module."""
    with Worker(setup(), tmp_path_factory.mktemp("worker") / "log", 5.0, command=PLANTED) as shared:
        yield shared


def test_each_fault_costs_its_own_case_alone(worker: Worker) -> None:
    cases = [planted(channels, name) for channels in (10, *FAULTS) for name in SOUND]
    ended = run(worker, cases)
    assert {result.case for result in ended} == set(cases)
    assert len(ended) == len(cases)
    for result in ended:
        status, said = FAULTS.get(result.case.problem.channels, ("ok", ""))
        if result.case.implementation == "unfold" or status == "ok":
            assert (result.row["status"], [len(one.samples_ms) for one in result.rounds]) == ("ok", [2, 2])
            assert result.row["latency_ms"] > 0
        else:
            assert (result.row["status"], result.rounds) == (status, [])
            assert said in result.row["reason"]
            assert "latency_ms" not in result.row
    # One to begin with, and one after each of the first three faults: the others leave the worker alive.
    assert worker.started == 4


def test_a_step_that_outlasts_the_run_s_time_is_killed(worker: Worker, monkeypatch: pytest.MonkeyPatch) -> None:
    run(worker, [planted(10)])
    before, start = worker.started, time.monotonic()
    monkeypatch.setattr(worker, "deadline", start + 1.0)
    ended = run(worker, [planted(11)])
    late = "not run to its end: the time for the whole run was over, the worker was killed"
    assert 1.0 <= time.monotonic() - start < worker.case_timeout
    assert [(one.row["status"], one.row["reason"]) for one in ended] == [("timeout", late)]
    assert worker.started == before


def test_a_crash_in_a_round_keeps_what_the_others_have(worker: Worker, monkeypatch: pytest.MonkeyPatch) -> None:
    usual, rounds = Worker.round, []

    def killed(self: Worker, one: Case) -> Any:
        rounds.append(one.implementation)
        if rounds.count("chunked") == 2 and one.implementation == "chunked":
            assert self._process is not None
            os.kill(self._process.pid, signal.SIGKILL)
        return usual(self, one)

    monkeypatch.setattr(Worker, "round", killed)
    ended = {
        result.case.implementation: result for result in run(worker, [planted(10), planted(10, "unfold")], rounds=3)
    }
    assert ended["chunked"].row["status"] == "crashed"
    assert [len(one.samples_ms) for one in ended["unfold"].rounds] == [2, 2, 2]
    assert ended["unfold"].row["samples"] == 6


@pytest.mark.extended
def test_a_worker_killed_at_any_moment(worker: Worker, monkeypatch: pytest.MonkeyPatch) -> None:
    cases = [case(name, m=m, mode=mode) for m in (1, 2) for mode in ("forward", "backward") for name in SOUND]
    step, chance = Worker._step, random.Random(0)
    killers: list[threading.Timer] = []

    def doomed(self: Worker, what: str, one: Case, *options: Any) -> StepResult:
        self._require_running()
        if self._process is not None and len(killers) < 3 and chance.random() < 0.1:
            killers.append(threading.Timer(0.02 * chance.random(), self._process.kill))
            killers[-1].start()
        return step(self, what, one, *options)

    monkeypatch.setattr(Worker, "_step", doomed)
    ended = [result for _ in range(3) for result in run(worker, cases)]
    for killer in killers:
        killer.join()
    assert [sum(result.case == one for result in ended) for one in cases] == [3] * len(cases)
    crashed = [result for result in ended if result.row["status"] == "crashed"]
    assert len(killers) == 3
    assert 1 <= len(crashed) <= 3
    assert all("SIGKILL" in result.row["reason"] for result in crashed)
    assert sum(result.row["status"] == "ok" for result in ended) == len(ended) - len(crashed)


def test_what_was_not_captured_once_is_not_tried_in_the_next_process(
    worker: Worker, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[Question] = []

    def answer(_: Worker, question: Question, __: float) -> StepResult:
        asked.append(question)
        return StepResult(capture_failed=question.options["capture"] and question.arguments[0].mode == "forward")

    closed: list[None] = []
    monkeypatch.setattr(Worker, "_ask", answer)
    monkeypatch.setattr(Worker, "close", lambda _: closed.append(None))
    for one in (case(), case(), case(m=2), case(mode="backward"), case("unfold", "backward")):
        worker.round(one)
    assert [question.options["capture"] for question in asked] == [True, False, False, True, True]
    assert len(closed) == 1


def test_a_worn_out_worker_is_replaced_between_problems(worker: Worker, monkeypatch: pytest.MonkeyPatch) -> None:
    run(worker, [planted(10)])
    monkeypatch.setattr(worker, "cases", 1)
    before = worker.started
    ended = run(worker, [planted(9), planted(9, "unfold"), planted(10)])
    assert [result.row["status"] for result in ended] == ["ok"] * 3
    assert worker.started == before + 2


def test_a_worker_whose_device_answers_no_more_is_replaced(worker: Worker) -> None:
    run(worker, [planted(10)])
    worker.call(break_device)
    before = worker.started
    ended = run(worker, [planted(16), planted(10)])
    assert [result.row["status"] for result in ended] == ["crashed", "ok"]
    assert ended[0].row["reason"] == "ZeroDivisionError: planted"
    assert worker.started == before + 1


def break_device() -> None:
    """Make a worker's device as it is after an illegal access."""
    from bench.measure import runner  # noqa: PLC0415  in the worker

    vars(runner)["still_usable"] = lambda _: False


def test_the_worker_answers_questions_and_passes_errors_on(worker: Worker) -> None:
    assert worker.call(torch.get_num_threads) >= 1
    with pytest.raises(WorkerError, match="ValueError: invalid literal"):
        worker.call(int, "three")


def test_a_worker_that_cannot_start_ends_the_sweep(tmp_path: Path) -> None:
    broken = Worker(setup(), tmp_path / "log", command=(sys.executable, "-c", "raise SystemExit(7)"))
    with broken, pytest.raises(WorkerError, match=r"cannot be started: the worker ended with exit code 7; see .*log"):
        run(broken, [case()])


def test_larger_cases_are_tried_where_that_is_asked(worker: Worker) -> None:
    cases = [planted(18), planted(20)]
    assert [result.row["status"] for result in run(worker, cases)] == ["out_of_memory"] * 2
    assert [result.row["status"] for result in run(worker, cases, try_all=True)] == ["out_of_memory", "ok"]
