"""`python -m bench compare`: verdicts, exit codes, refusals and formats."""

import csv
import json
from io import StringIO
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from bench.errors import RunFolderError
from bench.results.comparing.comparison import Comparison, compare
from bench.results.comparing.verdicts import Judging
from bench.results.reading import read_run
from tests.support.compared import ENVIRONMENT, failed, row, timed, write_run
from tests.support.in_process import Invoke

RNG = np.random.default_rng(0)
FEW = (row(), np.ones(6))


def noisy(factor: float) -> tuple[Any, Any]:
    samples = factor * np.exp(0.5 * RNG.standard_normal(40))
    return row(float(np.median(samples))), samples


# One case in A and in B → its verdict, and the exit code where a second case is the same in both.
ENDS: dict[str, tuple[Any, Any, str, int]] = {
    "same": (timed(RNG), timed(RNG), "SAME", 0),
    "faster": (timed(RNG), timed(RNG, 0.9), "FASTER", 0),
    "slower": (timed(RNG), timed(RNG, 1.1), "SLOWER", 1),
    "slower within the tolerance": (timed(RNG), timed(RNG, 1.005, 1000), "SAME", 0),
    "too noisy": (noisy(1.0), noisy(1.0), "UNCLEAR", 4),
    "too few samples": (timed(RNG), FEW, "UNCLEAR", 4),
    "incorrect": (timed(RNG), failed("incorrect"), "INCORRECT", 3),
    "incorrect, and out of memory before": (failed("out_of_memory"), failed("incorrect"), "INCORRECT", 3),
    "incorrect as before": (failed("incorrect"), failed("incorrect"), "NEITHER", 0),
    "vanished": (timed(RNG), None, "VANISHED", 1),
    "crashed": (timed(RNG), failed("crashed"), "FAILED", 1),
    "new": (None, timed(RNG), "NEW", 0),
    "fixed": (failed("error"), timed(RNG), "FIXED", 0),
    "unsupported in both": (failed("unsupported"), failed("unsupported"), "NEITHER", 0),
}


def judged(path: Path, settings: Judging | None = None) -> Comparison:
    """What the runs `a` and `b` in a folder are found to be."""
    return compare(read_run(path / "a"), read_run(path / "b"), settings or Judging())


def compared(path: Path, a: Any, b: Any) -> Comparison:
    """A steady case, and one that is `a` in one run and `b` in the other."""
    steady = timed(RNG, count=500)
    for name, one in (("a", a), ("b", b)):
        write_run(path / name, {1: steady, **({2: one} if one else {})})
    return judged(path)


@pytest.mark.parametrize("end", ENDS)
def test_each_pair_of_ends_has_its_verdict_and_exit_code(invoke: Invoke, tmp_path: Path, end: str) -> None:
    a, b, verdict, code = ENDS[end]
    found = compared(tmp_path, a, b)
    assert {pair.parameters["batch"]: pair.verdict for pair in found.pairs} == {"1": "SAME", "2": verdict}
    assert invoke("compare", "a", "b")[0] == code


def test_a_throttled_block_is_no_evidence(tmp_path: Path) -> None:
    a, b = (read_run(write_run(tmp_path / name, {1: timed(RNG, factor)})) for name, factor in (("a", 1), ("b", 1.5)))
    assert compare(a, b, Judging()).exit_code == 1
    for row_b in b.rows.values():
        row_b["tainted"] = True
    found = compare(a, b, Judging())
    assert (found.pairs[0].verdict, found.pairs[0].why) == ("UNCLEAR", "throttled in B")
    assert found.exit_code == 4


LAUNCHED: dict[str, Any] = {"binary": "0123456789ab", "settings": "forward:w4", "timer": "graph"}
# What is otherwise in B → whether the slower case is noise.
BINARIES: dict[str, tuple[dict[str, Any], bool]] = {
    "equal": ({}, True),
    "others": ({"binary": "ba9876543210"}, False),
    "launched otherwise": ({"settings": "forward:w8"}, False),
    "not known": ({"binary": None}, False),
    "timed with the host": ({"timer": "wall"}, False),
}


@pytest.mark.parametrize(("changes", "noise"), BINARIES.values(), ids=BINARIES)
def test_equal_binaries_differ_by_noise(tmp_path: Path, changes: dict[str, Any], noise: bool) -> None:
    """A fifth slower by equal binaries: a tenth slower is then within the margin for the others too."""
    write_run(tmp_path / "a", {1: timed(RNG, **LAUNCHED), 2: timed(RNG)})
    write_run(tmp_path / "b", {1: timed(RNG, 1.2, **{**LAUNCHED, **changes}), 2: timed(RNG, 1.1)})
    found = judged(tmp_path)
    pairs = {pair.parameters["batch"]: pair for pair in found.pairs}
    assert [pairs[batch].verdict for batch in "12"] == (["SAME", "SAME"] if noise else ["SLOWER", "SLOWER"])
    assert (found.margin == pytest.approx(0.2, abs=0.03)) is noise
    assert ("which is noise" in " ".join(found.warnings)) is noise
    expected = "the binaries are equal: a difference is noise" if noise else "the whole interval is above the margin"
    assert pairs["1"].why.startswith(expected)


def test_a_case_that_the_time_did_not_suffice_for_is_no_evidence(tmp_path: Path) -> None:
    left, samples = failed("timeout")
    found = compared(
        tmp_path, timed(RNG), ({**left, "reason": "not run: the time for the whole run was over"}, samples)
    )
    assert (found.counts, found.exit_code) == ({"UNCLEAR": 1, "SAME": 1}, 4)
    assert found.left_out == {"ok in A, timeout in B: not run: the time for the whole run was over": 1}


def test_what_may_be_faster_but_not_slower_is_evidence_enough(tmp_path: Path) -> None:
    """An interval that reaches from 0.9 into the margin, and not above it."""
    a, b = timed(RNG, 1.0, 400), timed(RNG, 0.98, 400)
    found = compared(tmp_path, a, b)
    assert found.counts["UNCLEAR"] == 1
    assert found.exit_code == 0


def test_wrong_results_are_worse_than_slow_ones(tmp_path: Path) -> None:
    slow = {number: timed(RNG, 1.5) for number in (1, 2)}
    write_run(tmp_path / "a", {1: timed(RNG), 2: timed(RNG), 3: timed(RNG)})
    write_run(tmp_path / "b", {**slow, 3: failed("incorrect")})
    found = judged(tmp_path)
    assert [pair.verdict for pair in found.pairs] == ["INCORRECT", "SLOWER", "SLOWER"]
    assert found.exit_code == 3


def test_nothing_in_common_is_no_evidence(tmp_path: Path) -> None:
    write_run(tmp_path / "a", {})
    write_run(tmp_path / "b", {1: timed(RNG)})
    assert judged(tmp_path).exit_code == 4


def test_the_mean_is_over_pairs_that_are_both_ok_and_ours(tmp_path: Path) -> None:
    def level(factor: float, **changes: Any) -> tuple[Any, Any]:
        return row(factor, **changes), factor * np.ones(50)

    a = {1: level(1.0), 2: level(1.0), 3: level(1.0), 4: failed("out_of_memory"), 5: level(1.0, kind="yardstick")}
    b = {1: level(2.0), 2: level(0.25), 3: failed("incorrect"), 4: level(1.0), 5: level(1.0, kind="yardstick")}
    found = compare(read_run(write_run(tmp_path / "a", a)), read_run(write_run(tmp_path / "b", b)), Judging())
    mean, pairs = found.mean
    assert mean == pytest.approx(0.5**0.5)
    assert pairs == 2
    assert found.left_out == {
        "ok in A, incorrect in B": 1,
        "out_of_memory in A, ok in B": 1,
        "yardstick, not ours": 1,
    }


def test_a_yardstick_decides_nothing_but_widens_the_margin(tmp_path: Path) -> None:
    write_run(tmp_path / "a", {1: timed(RNG), 2: timed(RNG, kind="yardstick")})
    write_run(tmp_path / "b", {1: timed(RNG, 1.2), 2: timed(RNG, 1.3, kind="yardstick")})
    found = judged(tmp_path)
    assert found.margin == pytest.approx(0.3, abs=0.03)
    assert found.counts == {"SAME": 1}
    assert found.exit_code == 0
    assert "the machine was not the same" in found.warnings[0]


MARGINS = {
    "tolerance": ({"doctor": {"noise_floor": 0.01}}, 0.03, 0.03),
    "floor": ({"doctor": {"noise_floor": 0.07}}, 0.03, 0.07),
    "no doctor, GPU": ({}, 0.0, 0.02),
    "no doctor, CPU": ({"device": {"type": "cpu", "name": "GPU 1"}}, 0.0, 0.05),
}


@pytest.mark.parametrize(("environment", "tolerance", "margin"), MARGINS.values(), ids=MARGINS.keys())
def test_the_margin_is_the_larger_of_floor_and_tolerance(
    tmp_path: Path, environment: dict[str, Any], tolerance: float, margin: float
) -> None:
    plain = {"device": ENVIRONMENT["device"]}
    for name in "ab":
        write_run(tmp_path / name, {1: timed(RNG)}, {**plain, **environment})
    assert judged(tmp_path, Judging(tolerance)).margin == margin


def test_runs_of_different_devices_are_refused(invoke: Invoke, tmp_path: Path) -> None:
    write_run(tmp_path / "a", {1: timed(RNG)})
    write_run(tmp_path / "b", {1: timed(RNG, device="GPU 2")}, {"device": {"type": "cuda", "name": "GPU 2"}})
    code, out, error = invoke("compare", "a", "b")
    assert (code, out, error.count("\n")) == (2, "", 1)
    assert "GPU 1" in error
    assert "GPU 2" in error
    code, out, _ = invoke("compare", "a", "b", "--across-devices", "--tolerance", "0.1")
    assert code == 0
    assert "a difference may be the device's" in out


REFUSED = {
    "no folder": (["a", "nowhere"], "nowhere"),
    "tolerance": (["a", "a", "--tolerance", "5"], "5.0"),
    "confidence": (["a", "a", "--confidence", "1"], "1.0"),
}


def test_a_format_that_is_none_is_refused(invoke: Invoke) -> None:
    code, out, error = invoke("compare", "a", "a", "--format", "html")
    assert (code, out) == (2, "")
    assert "'html' is not one of 'text', 'markdown', 'csv', 'json'" in error


@pytest.mark.parametrize(("arguments", "said"), REFUSED.values(), ids=REFUSED.keys())
def test_what_makes_no_sense_is_refused(invoke: Invoke, tmp_path: Path, arguments: list[str], said: str) -> None:
    write_run(tmp_path / "a", {1: timed(RNG)})
    code, out, error = invoke("compare", *arguments)
    assert (code, out, error.count("\n")) == (2, "", 1)
    assert said in error


def test_a_noise_floor_that_is_none_is_refused(tmp_path: Path) -> None:
    run = read_run(write_run(tmp_path / "a", {1: timed(RNG)}, {**ENVIRONMENT, "doctor": {"noise_floor": "low"}}))
    with pytest.raises(RunFolderError, match="'low'"):
        compare(run, run, Judging())


def test_a_torn_line_is_left_out_with_a_warning(tmp_path: Path) -> None:
    path = write_run(tmp_path / "a", {1: timed(RNG), 2: timed(RNG)})
    text = (path / "results.jsonl").read_text()
    (path / "results.jsonl").write_text(text[:-30])
    run = read_run(path)
    assert (len(run.rows), len(run.warnings)) == (1, 1)


def test_a_published_run_has_rows_and_no_samples(tmp_path: Path) -> None:
    path = write_run(tmp_path / "a", {1: timed(RNG), 2: failed("incorrect")})
    whole = read_run(path)
    for name in ("results.jsonl", "samples.jsonl"):
        (path / name).unlink()
    found = compare(read_run(path), whole, Judging())
    assert found.counts == {"UNCLEAR": 1, "NEITHER": 1}
    assert found.pairs[0].ratio == pytest.approx(1)
    assert found.exit_code == 4


def test_a_case_measured_again_counts_once(tmp_path: Path) -> None:
    path = write_run(tmp_path / "a", {1: timed(RNG, 2.0)})
    again = write_run(tmp_path / "again", {1: timed(RNG, 3.0)})
    for name in ("results.jsonl", "samples.jsonl"):
        (path / name).write_text((path / name).read_text() + (again / name).read_text())
    run = read_run(path)
    ((line,),) = run.samples.values()
    assert np.median(line.samples_ms) == pytest.approx(3.0, rel=0.02)


def test_every_format_tells_the_same(invoke: Invoke, tmp_path: Path) -> None:
    write_run(tmp_path / "a", {1: timed(RNG), 2: timed(RNG), 3: timed(RNG)})
    write_run(tmp_path / "b", {1: timed(RNG, 1.5), 2: timed(RNG), 3: failed("crashed")})
    told = {name: invoke("compare", "a", "b", "--format", name) for name in ("text", "markdown", "csv", "json")}
    assert {code for code, _, _ in told.values()} == {1}
    value = json.loads(told["json"][1])
    assert value["verdicts"] == {"FAILED": 1, "SLOWER": 1, "SAME": 1}
    lines = list(csv.DictReader(StringIO(told["csv"][1])))
    assert [line["verdict"] for line in lines] == [pair["verdict"] for pair in value["pairs"]]
    assert float(lines[1]["ratio"]) == value["pairs"][1]["ratio"] == pytest.approx(1.5, rel=0.02)
    assert "### Benchmark: regression confirmed (1 FAILED, 1 SLOWER, 1 SAME)" in told["markdown"][1]
    assert told["markdown"][1].index("SLOWER") < told["markdown"][1].index("<details>")
    assert "crashed in B" in told["text"][1]
    assert invoke("compare", "a", "b", "--format", "json", "--out", "c.json")[0] == 1
    assert json.loads((tmp_path / "c.json").read_text()) == value


def test_an_interval_does_not_depend_on_the_other_cases(tmp_path: Path) -> None:
    a, b = timed(RNG), timed(RNG)
    other = timed(RNG)
    pairs = []
    for name, more in (("few", {}), ("many", {1: other, 3: other})):
        for side, one in (("a", a), ("b", b)):
            write_run(tmp_path / name / side, {**more, 2: one})
        pairs.append(next(p for p in judged(tmp_path / name).pairs if p.parameters["batch"] == "2"))
    assert pairs[0] == pairs[1]
