"""The order of turns: all implementations of a problem in every round, shuffled by the seed."""

from bench.case.case import Case
from bench.device.resources import FirstCall
from bench.measure.runner import StepResult as Step
from bench.results.columns import Row
from bench.run.schedule import Rotation, Schedule, in_turn
from bench.samples import Block, Latency, Reading, joined
from tests.support.bench_cases import case

NAMES = ("triton", "compiled", "chunked", "unfold")
CASES = [case(name, mode) for name in NAMES for mode in ("forward", "backward")]


class Recorder:
    """Steps that only write down who was asked for what; each turn's sample is its number."""

    def __init__(self) -> None:
        self.prepared: list[Case] = []
        self.turns: list[Case] = []

    def prepare(self, one: Case) -> Step:
        self.prepared.append(one)
        return Step({}, first=FirstCall(30.0 + len(self.turns), 2.0))

    def turn(self, one: Case) -> Step:
        self.turns.append(one)
        sample = float(len(self.turns))
        block = Block([sample, sample], "seconds", Reading(sm_mhz=1000 + len(self.turns)))
        return Step({}, Latency([block], 0.01, "wall", [sample], 0.5, [block]))

    def fits(self, one: Case) -> Step:
        return Step({} if one.problem.batch <= 9 else {"status": "out_of_memory", "reason": "9 images fit"})


def test_a_case_of_two_timers_names_both() -> None:
    block = Block([1.0, 1.0], "seconds")
    assert joined([Latency([block], timer=name) for name in ("graph", "events", "graph")]).timer == "events+graph"


def recorded(order: str, cases: list[Case], seed: int = 0) -> tuple[Recorder, list[Row]]:
    steps = Recorder()
    done = list(Rotation(steps, Schedule(order, seed=seed), "a CPU").run(cases))
    assert [one.case for one in done] == cases
    for one in done:
        numbers = [float(number) for number, turn in enumerate(steps.turns, 1) if turn == one.case]
        assert [latency.samples_ms for latency in one.rounds] == [[number] * 2 for number in numbers]
        assert one.row["samples"] == len(one.latency.samples_ms) == 6
        assert one.latency.host_ms == numbers
        assert (one.row["warmup_s"], len(one.latency.set_aside), one.row["timer"]) == (1.5, 3, "wall")
        assert one.row["tune_s"] == 2.0
        assert one.row["sm_mhz"] == 1000 + min(numbers)
    return steps, [one.row for one in done]


def test_every_round_has_every_case_once() -> None:
    steps, rows = recorded("rotated", CASES)
    assert steps.prepared == CASES
    rounds = [steps.turns[start : start + len(CASES)] for start in range(0, 24, 8)]
    assert len(steps.turns) == 24
    assert all(set(one) == set(CASES) for one in rounds)
    assert len({tuple(one) for one in rounds}) == 3
    assert [row["status"] for row in rows] == ["ok"] * len(CASES)
    # What is compared with one another stands together.
    assert all(len({one.mode for one in half}) == 1 for turns in rounds for half in (turns[:4], turns[4:]))


def test_the_seed_decides_the_order() -> None:
    orders = [[one.label() for one in in_turn(CASES, seed, number)] for seed in (0, 1) for number in (0, 1)]
    assert len({tuple(order) for order in orders}) == 4
    assert orders[0] == [one.label() for one in in_turn(CASES, 0, 0)]
    assert recorded("rotated", CASES, 1)[0].turns == recorded("rotated", CASES, 1)[0].turns


def test_blocked_cases_have_all_turns_at_once() -> None:
    steps, _ = recorded("blocked", CASES)
    assert steps.turns == [one for one in CASES for _ in range(3)]


def test_problems_do_not_mix() -> None:
    cases = [*CASES, *(case(name, m=2) for name in NAMES)]
    steps, _ = recorded("rotated", cases)
    assert {one.problem.m for one in steps.turns[:24]} == {4}
    assert {one.problem.m for one in steps.turns[24:]} == {2}
    assert steps.prepared == cases
