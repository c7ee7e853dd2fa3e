"""How long a case will take, by those that have ended: seconds worked out by hand."""

import pytest

from bench.case.case import Case
from bench.run.rates import Rates, work_s
from tests.support.bench_cases import case

SMALL, LARGE = case(batch=2), case(batch=200)
RATIO = work_s(LARGE) / work_s(SMALL)
# Beside its samples a case calls its implementation so often.
BESIDE = 50


def rates() -> Rates:
    return Rates(samples_s=0.3, least=9)


def test_the_work_grows_with_the_images() -> None:
    assert pytest.approx(100, rel=0.03) == RATIO


def test_of_what_nothing_is_known_a_case_s_samples_are() -> None:
    assert not rates().known
    assert rates().seconds(SMALL, first=False) == 0.3 + 0.5
    learnt = rates()
    learnt.learn(SMALL, 5.0, 0.001, first=False)
    assert learnt.known
    assert learnt.seconds(case("unfold"), first=False) == 0.3 + 0.5


def test_a_case_as_before_takes_as_long_as_before() -> None:
    learnt = rates()
    learnt.learn(SMALL, 2.0, 0.004, first=False)
    assert learnt.seconds(SMALL, first=False) == pytest.approx(2.0)


def test_latency_grows_with_the_work_and_what_is_beside_it_does_not() -> None:
    learnt = rates()
    learnt.learn(SMALL, 2.0, 0.004, first=False)
    # 0.3 s of samples and 50 calls of 4 ms, of 2 s; then at least 9 samples, and 50 calls, of 400 ms.
    beside = 2.0 - (0.3 + BESIDE * 0.004)
    assert learnt.seconds(LARGE, first=False) == pytest.approx(beside + (9 + BESIDE) * 0.004 * RATIO)


def test_the_first_of_a_problem_also_waits_for_its_results_in_float64() -> None:
    learnt = rates()
    learnt.learn(SMALL, 2.0, 0.004, first=True)
    beside = 2.0 - (0.3 + BESIDE * 0.004)
    assert learnt.seconds(LARGE, first=True) == pytest.approx(beside * RATIO + (9 + BESIDE) * 0.004 * RATIO)


@pytest.mark.parametrize(("one", "other", "expected"), [(SMALL, LARGE, 2.0 * RATIO), (LARGE, SMALL, 2.0)])
def test_a_case_that_failed_has_no_latency(one: Case, other: Case, expected: float) -> None:
    learnt = rates()
    learnt.learn(one, 2.0, None, first=False)
    assert learnt.seconds(other, first=False) == pytest.approx(expected)


def test_the_most_alike_are_asked_first_and_of_these_the_nearest_in_work() -> None:
    learnt = rates()
    learnt.learn(case(mode="backward"), 9.0, 0.004, first=False)
    assert learnt.seconds(SMALL, first=False) == pytest.approx(9.0, rel=0.05)
    learnt.learn(LARGE, 7.0, 0.4, first=False)
    assert learnt.seconds(SMALL, first=False) < 7.0
    learnt.learn(SMALL, 2.0, 0.004, first=False)
    learnt.learn(LARGE, 7.0, 0.004, first=False)
    assert learnt.seconds(SMALL, first=False) == pytest.approx(2.0)
