"""The order of rounds: all implementations of a problem in every round, shuffled by the seed."""

import math

import pytest
import torch

from bench.case.case import Case
from bench.commands.run import timing_of
from bench.device.resources import FirstCall
from bench.device.timing import Timing
from bench.errors import UsageError
from bench.measure.steps import StepResult
from bench.results.columns import Row
from bench.run.conduct import Conduct
from bench.run.schedule import Schedule, order_of_round
from bench.samples import Block, Latency, Reading, joined
from tests.support.bench_cases import case

NAMES = ("triton", "compiled", "chunked", "unfold")
CASES = [case(name, mode) for name in NAMES for mode in ("forward", "backward")]


class Recorder:
    """Steps that only write down who was asked for what; each round's sample is its number."""

    def __init__(self) -> None:
        self.prepared: list[Case] = []
        self.rounds: list[Case] = []
        self.rechecked: list[tuple[Case, int]] = []
        self.wrong: list[Case] = []

    def prepare(self, one: Case) -> StepResult:
        self.prepared.append(one)
        return StepResult(first=FirstCall(30.0 + len(self.rounds), 2.0))

    def round(self, one: Case) -> StepResult:
        self.rounds.append(one)
        sample = float(len(self.rounds))
        block = Block([sample, sample], "seconds", Reading(sm_mhz=1000 + len(self.rounds)))
        return StepResult(latency=Latency([block], 0.01, "wall", [sample], 0.5, [block]))

    def recheck(self, one: Case) -> StepResult:
        self.rechecked.append((one, len(self.rounds)))
        wrong = one in self.wrong
        return StepResult(status="incorrect", reason="kept from before") if wrong else StepResult()

    def fits(self, one: Case) -> StepResult:
        return StepResult() if one.problem.batch <= 9 else StepResult(status="out_of_memory", reason="9 images fit")


def test_a_case_of_two_timers_names_both() -> None:
    block = Block([1.0, 1.0], "seconds")
    assert joined([Latency([block], timer=name) for name in ("graph", "events", "graph")]).timer == "events+graph"


def recorded(order: str, cases: list[Case], seed: int = 0) -> tuple[Recorder, list[Row]]:
    steps = Recorder()
    result = list(Schedule(steps, Conduct(Timing(), order, seed=seed)).run(cases))
    assert [one.case for one in result] == cases
    for one in result:
        numbers = [float(number) for number, turn in enumerate(steps.rounds, 1) if turn == one.case]
        assert [latency.samples_ms for latency in one.rounds] == [[number] * 2 for number in numbers]
        assert one.row["samples"] == len(one.latency.samples_ms) == 6
        assert one.latency.host_ms == numbers
        assert (one.row["warmup_s"], len(one.latency.set_aside), one.row["timer"]) == (1.5, 3, "wall")
        assert one.row["tune_s"] == 2.0
        assert one.row["sm_mhz"] == 1000 + min(numbers)
    return steps, [one.row for one in result]


def test_every_round_has_every_case_once() -> None:
    steps, rows = recorded("rotated", CASES)
    assert steps.prepared == CASES
    rounds = [steps.rounds[start : start + len(CASES)] for start in range(0, 24, 8)]
    assert len(steps.rounds) == 24
    assert all(set(one) == set(CASES) for one in rounds)
    assert len({tuple(one) for one in rounds}) == 3
    assert [row["status"] for row in rows] == ["ok"] * len(CASES)
    # What is compared with one another stands together.
    assert all(len({case.mode for case in half}) == 1 for one in rounds for half in (one[:4], one[4:]))


def test_the_seed_decides_the_order() -> None:
    orders = [[one.label() for one in order_of_round(CASES, seed, number)] for seed in (0, 1) for number in (0, 1)]
    assert len({tuple(order) for order in orders}) == 4
    assert orders[0] == [one.label() for one in order_of_round(CASES, 0, 0)]
    assert recorded("rotated", CASES, 1)[0].rounds == recorded("rotated", CASES, 1)[0].rounds


def test_blocked_cases_have_all_rounds_at_once() -> None:
    steps, _ = recorded("blocked", CASES)
    assert steps.rounds == [one for one in CASES for _ in range(3)]


def test_problems_do_not_mix() -> None:
    cases = [*CASES, *(case(name, m=2) for name in NAMES)]
    steps, _ = recorded("rotated", cases)
    assert {one.problem.m for one in steps.rounds[:24]} == {4}
    assert {one.problem.m for one in steps.rounds[24:]} == {2}
    assert steps.prepared == cases


def test_the_environment_says_how_the_l2_was_flushed() -> None:
    assert Conduct(Timing()).method()["flush_factor"] == 3.0
    timing = timing_of(0.3, energy=False, flush_factor=2.0)
    conduct = Conduct(timing)
    assert conduct.round_timing(torch.device("cuda")).flush_factor == conduct.method()["flush_factor"] == 2.0
    with pytest.raises(UsageError, match="--flush-factor must be a number, got inf"):
        timing_of(0.3, energy=False, flush_factor=math.inf)


def test_results_are_checked_again_after_the_last_round() -> None:
    steps = Recorder()
    steps.wrong = CASES[1:2]
    result = list(Schedule(steps, Conduct(Timing())).run(CASES))
    assert steps.rechecked == [(one, 24) for one in CASES]
    wrong = result[1].row
    assert (wrong["status"], wrong["reason"], wrong.get("latency_ms")) == ("incorrect", "kept from before", None)
    assert result[1].rounds == []
    assert [one.status for one in result].count("ok") == len(CASES) - 1


@pytest.mark.parametrize("ended", [3, 10])
def test_what_had_rounds_when_the_time_was_over_keeps_them(ended: int) -> None:
    steps = Recorder()
    conduct = Conduct(Timing(), deadline=ended, clock=lambda: len(steps.rounds))
    result = {one.case: one for one in Schedule(steps, conduct).run(CASES)}
    had = {one: steps.rounds.count(one) for one in CASES}
    assert sum(had.values()) == ended
    for one, rounds in had.items():
        row = result[one].row
        if rounds:
            assert (row["status"], row["stop"], row["samples"]) == ("ok", "deadline", 2 * rounds)
        else:
            assert (row["status"], row.get("latency_ms")) == ("timeout", None)
            assert "the time for the whole run was over" in row["reason"]
    assert {one for one, _ in steps.rechecked} == {one for one, rounds in had.items() if rounds}
