"""A crew of stations: every case ends once, a problem stays on one device, and lost devices cost nothing but time."""

import threading
from collections import Counter

import pytest

from bench.errors import WorkerError
from bench.run.dispatch import ATTEMPTS, Crew
from bench.run.schedule import Done
from tests.support.slots import Hanging, Pretended, groups


def run(stations: list[Pretended], count: int = 20) -> list[Done]:
    """What becomes of the groups."""
    with Crew(stations) as crew:
        crew.open()
        ended = [done for _, done in crew.run(groups(count))]
    assert all(station.closed for station in stations)
    return ended


def require_each_once(ended: list[Done], count: int = 20) -> None:
    assert Counter(done.case for done in ended) == Counter(case for group in groups(count) for case in group)


@pytest.mark.parametrize("number", [1, 2, 5])
def test_every_case_ends_once_and_problems_stay_together(number: int) -> None:
    barrier = threading.Barrier(number)
    stations = [Pretended(f"host{index}", together=barrier) for index in range(number)]
    ended = run(stations)
    require_each_once(ended)
    hosts: dict[int, set[str]] = {}
    for done in ended:
        hosts.setdefault(done.case.problem.batch, set()).add(done.row["host"])
    assert all(len(names) == 1 for names in hosts.values())
    assert {name for names in hosts.values() for name in names} == {station.name for station in stations}


def test_a_lost_device_s_group_is_measured_elsewhere(capsys: pytest.CaptureFixture[str]) -> None:
    barrier = threading.Barrier(2)
    doomed = Pretended("doomed", deadly=frozenset(range(1, 21)), together=barrier)
    ended = run([doomed, Pretended("sound", together=barrier)])
    require_each_once(ended)
    # What it had ended of its group is not measured again; the rest is, by the other.
    assert [done.row["host"] for done in ended].count("doomed") == len(doomed.measured) == 1
    assert capsys.readouterr().err == "warning: a device is lost: doomed is no more\n"


def test_a_group_that_loses_every_device_is_given_up() -> None:
    stations = [Pretended(f"host{index}", deadly=frozenset({7}), revivals=5) for index in range(2)]
    ended = run(stations)
    require_each_once(ended)
    (given_up,) = [done for done in ended if "status" in done.row]
    assert given_up.case.problem.batch == 7
    assert given_up.row["status"] == "crashed"
    assert f"{ATTEMPTS} devices were lost over its problem, at last: host" in given_up.row["reason"]
    assert given_up.row["host"] in {"host0", "host1"}
    assert sum(5 - station.revivals for station in stations) == ATTEMPTS


@pytest.mark.parametrize("number", [1, 3])
def test_without_devices_there_is_no_going_on(number: int) -> None:
    stations = [Pretended("doomed", deadly=frozenset(range(4, 21))) for _ in range(number)]
    ended = []
    with Crew(stations) as crew, pytest.raises(WorkerError, match="doomed is no more"):  # noqa: PT012
        crew.open()
        for _, done in crew.run(groups(20)):
            ended.append(done)
    assert {done.case.problem.batch for done in ended} >= {1, 2, 3}
    assert all(station.closed for station in stations)


def test_what_nobody_expected_is_raised(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Pretended, "measure", lambda *_: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        run([Pretended("one"), Pretended("two")])


def test_whoever_is_in_the_midst_of_something_is_stopped() -> None:
    stations: list[Pretended] = [Hanging("one"), Hanging("two")]
    with pytest.raises(KeyboardInterrupt), Crew(stations) as crew:  # noqa: PT012
        crew.open()
        for _ in crew.run(groups(4)):
            raise KeyboardInterrupt
    assert all(station.closed for station in stations)


def test_a_device_that_cannot_be_opened_is_left_out(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    broken = Pretended("broken")

    def fail() -> None:
        raise WorkerError("it does not start")

    monkeypatch.setattr(broken, "open", fail)
    ended = run([broken, Pretended("sound")])
    require_each_once(ended)
    assert {done.row["host"] for done in ended} == {"sound"}
    assert capsys.readouterr().err == "warning: a device is lost: it does not start\n"
