"""A dispatch of slots: every case ends once, a problem stays on one device, and lost devices cost nothing but time."""

import threading
from collections import Counter

import pytest

from bench.errors import WorkerError
from bench.run.dispatch import ATTEMPTS, Dispatch
from bench.run.schedule import CaseResult
from tests.support.slots import Hanging, Pretended, groups


def run(slots: list[Pretended], count: int = 20) -> list[CaseResult]:
    """What becomes of the groups."""
    with Dispatch(slots) as dispatch:
        dispatch.open()
        ended = [result for _, result in dispatch.run(groups(count))]
    assert all(slot.closed for slot in slots)
    return ended


def require_each_once(ended: list[CaseResult], count: int = 20) -> None:
    assert Counter(result.case for result in ended) == Counter(case for group in groups(count) for case in group)


@pytest.mark.parametrize("number", [1, 2, 5])
def test_every_case_ends_once_and_problems_stay_together(number: int) -> None:
    barrier = threading.Barrier(number)
    slots = [Pretended(f"host{index}", together=barrier) for index in range(number)]
    ended = run(slots)
    require_each_once(ended)
    hosts: dict[int, set[str]] = {}
    for result in ended:
        hosts.setdefault(result.case.problem.batch, set()).add(result.row["host"])
    assert all(len(names) == 1 for names in hosts.values())
    assert {name for names in hosts.values() for name in names} == {slot.name for slot in slots}


def test_a_lost_device_s_group_is_measured_elsewhere(capsys: pytest.CaptureFixture[str]) -> None:
    barrier = threading.Barrier(2)
    doomed = Pretended("doomed", deadly=frozenset(range(1, 21)), together=barrier)
    ended = run([doomed, Pretended("sound", together=barrier)])
    require_each_once(ended)
    # What it had ended of its group is not measured again; the rest is, by the other.
    assert [result.row["host"] for result in ended].count("doomed") == len(doomed.measured) == 1
    assert capsys.readouterr().err == "warning: a device is lost: doomed is no more\n"


def test_a_group_that_loses_every_device_is_given_up() -> None:
    slots = [Pretended(f"host{index}", deadly=frozenset({7}), revivals=5) for index in range(2)]
    ended = run(slots)
    require_each_once(ended)
    (given_up,) = [result for result in ended if result.status != "ok"]
    assert given_up.case.problem.batch == 7
    assert given_up.row["status"] == "crashed"
    assert f"{ATTEMPTS} devices were lost over its problem, at last: host" in given_up.row["reason"]
    assert given_up.row["host"] in {"host0", "host1"}
    assert sum(5 - slot.revivals for slot in slots) == ATTEMPTS


@pytest.mark.parametrize("number", [1, 3])
def test_without_devices_there_is_no_going_on(number: int) -> None:
    slots = [Pretended("doomed", deadly=frozenset(range(4, 21))) for _ in range(number)]
    ended = []
    with Dispatch(slots) as dispatch, pytest.raises(WorkerError, match="doomed is no more"):  # noqa: PT012
        dispatch.open()
        for _, result in dispatch.run(groups(20)):
            ended.append(result)
    assert {result.case.problem.batch for result in ended} >= {1, 2, 3}
    assert all(slot.closed for slot in slots)


def test_what_nobody_expected_is_raised(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Pretended, "measure", lambda *_: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        run([Pretended("one"), Pretended("two")])


def test_whoever_is_in_the_midst_of_something_is_stopped() -> None:
    slots: list[Pretended] = [Hanging("one"), Hanging("two")]
    with pytest.raises(KeyboardInterrupt), Dispatch(slots) as dispatch:  # noqa: PT012
        dispatch.open()
        for _ in dispatch.run(groups(4)):
            raise KeyboardInterrupt
    assert all(slot.closed for slot in slots)


def test_a_device_that_cannot_be_opened_is_left_out(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    broken = Pretended("broken")

    def fail() -> None:
        raise WorkerError("it does not start")

    monkeypatch.setattr(broken, "open", fail)
    ended = run([broken, Pretended("sound")])
    require_each_once(ended)
    assert {result.row["host"] for result in ended} == {"sound"}
    assert capsys.readouterr().err == "warning: a device is lost: it does not start\n"
