"""The largest batch: what is found against what fits, how often is tried, and a search in a worker of little memory."""

import csv
from pathlib import Path

import pytest

from bench.case.case import Case
from bench.device.timing import Timing
from bench.measure.runner import Runner
from bench.measure.steps import StepResult
from bench.results.columns import Row
from bench.run.capacity import MOST, BatchSearch, largest
from kernels.implementations import chunked
from tests.support.bench_cases import CPU, case, network_case
from tests.support.in_process import Invoke


@pytest.mark.parametrize("fitting", [0, 1, 2, 3, 7, 16, 17, 63, 64, 100, 1000, 4095, 4096, 9999])
@pytest.mark.parametrize("start", [1, 2, 64, 5000])
def test_what_is_found_fits_and_little_more_does(start: int, fitting: int) -> None:
    tried = []

    def fits(batch: int) -> bool:
        tried.append(batch)
        return batch <= fitting

    found = largest(fits, start)
    assert found <= min(fitting, MOST)
    assert min(fitting, MOST) <= found + max(0, found // 16)
    assert found == 0 or found in tried
    assert len(tried) == len(set(tried)) <= 20
    assert all(1 <= batch <= MOST for batch in tried)


class Limited:
    """Steps that say how a batch ends, and remember what was tried."""

    def __init__(self, most: int, beyond: str = "out_of_memory") -> None:
        self.most, self.beyond = most, beyond
        self.tried: list[Case] = []

    def prepare(self, _: Case) -> StepResult:
        raise AssertionError

    def round(self, _: Case) -> StepResult:
        raise AssertionError

    def recheck(self, _: Case) -> StepResult:
        raise AssertionError

    def fits(self, one: Case) -> StepResult:
        self.tried.append(one)
        return StepResult() if one.problem.batch <= self.most else StepResult(status=self.beyond, reason="too large")


def test_cases_that_differ_in_the_batch_share_a_search() -> None:
    steps = Limited(37)
    search = BatchSearch(steps)
    found = [search.columns(network_case(batch=batch), "ok") for batch in (2, 4)]
    assert found[0] == found[1]
    assert 35 <= found[0]["largest_batch"] <= 37
    tries = len(steps.tried)
    assert search.columns(network_case(mode="training"), "ok").keys() == {"largest_batch"}
    assert len(steps.tried) > tries
    assert {one.mode for one in steps.tried[:tries]} == {"forward"}
    assert all(one.problem.height == 32 for one in steps.tried)


def test_a_case_that_ran_out_of_memory_has_a_smaller_batch() -> None:
    assert BatchSearch(Limited(5)).columns(case(batch=64), "out_of_memory") == {"largest_batch": 5}


@pytest.mark.parametrize(("beyond", "found"), [("error", 8), ("timeout", None), ("crashed", None)])
def test_what_another_end_says(beyond: str, found: int | None) -> None:
    assert BatchSearch(Limited(8, beyond)).columns(case(), "ok") == {"largest_batch": found}


@pytest.mark.parametrize(
    ("one", "status"),
    [(case(), "unsupported"), (case(), "incorrect"), (case(), "crashed"), (case("conv3x3"), "ok")],
    ids=lambda value: value if isinstance(value, str) else value.implementation,
)
def test_nothing_is_searched_for_what_says_nothing(one: Case, status: str) -> None:
    steps = Limited(8)
    assert BatchSearch(steps).columns(one, status) == {}
    assert steps.tried == []


def test_the_resnet_has_a_largest_batch_too() -> None:
    assert BatchSearch(Limited(8)).columns(network_case("resnet"), "ok") == {"largest_batch": 8}


def test_a_try_leaves_nothing_behind_and_checks_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    runner, wrong = Runner(CPU, Timing(seconds=0.0)), chunked.run
    monkeypatch.setattr(chunked, "run", lambda *given: 0 * wrong(*given))
    runner.prepare(case())
    assert runner.fits(case()) == StepResult()
    assert runner._prepared is None

    def full(*_: object) -> None:
        raise MemoryError

    monkeypatch.setattr(chunked, "run", full)
    assert runner.fits(case()).status == "out_of_memory"
    assert runner._prepared is None


def rows_of(path: Path) -> list[Row]:
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


@pytest.mark.extended
def test_a_search_in_a_worker_of_little_memory(invoke: Invoke, tmp_path: Path) -> None:
    """A batch that does not fit costs the run nothing, and what is found is what the memory's size lets expect."""
    posed = ["-a", "hw=64", "-a", "C=128", "-a", "k=7", "-a", "m=8", "-a", "s=1", "-a", "N=2", "--mode", "forward"]
    words = ["--implementation", "unfold", "--device", "cpu", "--seconds", "0", "--largest-batch"]
    code, said, error = invoke("run", "quick", *posed, *words, "--memory-limit", 1500, "--out", "run")
    assert (code, error) == (0, "")
    (row,) = rows_of(tmp_path / "run" / "results.csv")
    assert row["status"] == "ok"
    assert f"largest batch {row['largest_batch']}" in said
    of_an_image = float(row["predicted_mib"]) / 2
    # Python and torch take some hundred MiB of the 1500.
    assert (int(row["largest_batch"]) + 2) * of_an_image >= 600
    assert int(row["largest_batch"]) * of_an_image <= 1500
