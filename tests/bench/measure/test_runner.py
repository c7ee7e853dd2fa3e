"""Every case leaves a row, whatever comes of it; numbers that were not measured are not there."""

from typing import Any

import pytest
import torch

from bench.case.case import Case
from bench.cost.bounds import bounds_us, largest, mode_work
from bench.cost.chips import CHIPS
from bench.cost.metrics import bounded, counts
from bench.device import timers
from bench.device.device import chip_of
from bench.measure import runner as runner_module
from bench.measure.preflight import predicted_mib
from bench.measure.workloads import Tensors, draw
from bench.results.columns import COLUMNS, PARAMETERS
from bench.run import schedule
from kernels import Problem, predicted_bytes
from kernels.implementations.triton_fused.settings import heuristic
from tests.support.bench_cases import CPU, case, every_device, problem
from tests.support.measured import TIMING, Measured


@every_device
@pytest.mark.parametrize("mode", ["forward", "backward", "forward_backward"])
@pytest.mark.parametrize("scope", ["operator", "layer"])
@pytest.mark.parametrize("implementation", ["unfold", "chunked"])
def test_a_measured_case(device: torch.device, implementation: str, scope: str, mode: str) -> None:
    runner, one = Measured(device), case(implementation, mode, scope)
    row = runner.row(one)
    assert row["status"] == "ok", row["reason"]
    of_bounds = {name for name in COLUMNS if name.startswith("bound")}
    bounded = of_bounds if chip_of(device) and scope == "operator" else set()
    parts = {f"{name}_{unit}" for name in ("aggregation", "projections") for unit in ("ms", "macs")}
    placed = {"fingerprint", "host", "gpu_uuid", "gpus_busy"}  # filled in by who asked for the case
    absent = {"energy_mj", "largest_batch", *placed, *of_bounds} - bounded
    absent |= parts if scope == "operator" else set()
    assert row.keys() == {*COLUMNS, *bounded} - absent - {"score"}  # of a run's rows side by side
    assert {name: row[name] for name in PARAMETERS} == one.parameters()
    assert {name: row[name] for name in counts(one)} == counts(one)
    assert 0 < row["latency_p20_ms"] <= row["latency_ms"] <= row["latency_p80_ms"]
    assert row["samples"] == len(runner.samples_ms) == TIMING.least(device)
    assert min(runner.samples_ms) <= row["latency_ms"] <= max(runner.samples_ms)
    assert 0 <= row["error"] <= 1e-4
    assert row["predicted_mib"] > 0
    assert row["images_per_s"] == pytest.approx(2 / row["latency_ms"] * 1e3)
    assert row["peak_mib"] is None or row["peak_mib"] >= 0


def test_memory_is_empty_where_it_cannot_be_measured(runner: Measured, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(runner_module, "unmeasurable", lambda _: "sealed")
    row = runner.row(case())
    assert (row["status"], row.get("peak_mib")) == ("ok", None)


def test_the_first_call_is_of_the_case_that_made_it(runner: Measured) -> None:
    rows = [runner.row(case(mode=mode)) for mode in ("forward", "backward", "forward_backward")]
    assert [row.get("compile_s") is None for row in rows] == [False, False, True]
    assert rows[0]["tune_s"] == 0.0


def test_a_process_that_captures_no_more_says_so(runner: Measured, monkeypatch: pytest.MonkeyPatch) -> None:
    assert not runner.runner.round(case()).capture_failed
    monkeypatch.setattr(timers, "capture_failures", ["RuntimeError: cannot be captured"])
    monkeypatch.setattr(runner_module, "capture_failures", timers.capture_failures)
    assert runner.runner.round(case()).capture_failed


def test_inputs_are_those_that_were_drawn(runner: Measured) -> None:
    # Query and key, 2·2·5·4 numbers each; value and the output's gradient, 2·6·5·4 each; prior, 2·3·3. Four bytes each.
    assert runner.row(case())["inputs_mib"] == pytest.approx(4 * (2 * 80 + 2 * 240 + 18) / 2**20)


def test_a_yardstick_is_timed_and_not_checked(runner: Measured) -> None:
    for name in ("conv3x3", "depthwise", "copy"):
        row = runner.row(case(name, "backward"))
        assert (row["status"], row["kind"]) == ("ok", "yardstick")
        assert row["latency_ms"] > 0
        assert row["images_per_s"] == pytest.approx(2 / row["latency_ms"] * 1e3)
        assert not {"error", "predicted_mib", "paper_cost"} & row.keys()


def test_a_copy_has_the_bound_of_the_memory(runner: Measured, monkeypatch: pytest.MonkeyPatch) -> None:
    runner.chip = CHIPS["H200 SXM"]
    row = runner.row(case("copy"))
    # It all fits the L2, which is hot, and so has no bound.
    assert "bound" not in row
    assert row["gbps"] == pytest.approx(row["min_bytes"] / row["latency_ms"] / 1e6)
    monkeypatch.setattr(schedule, "bounded", lambda work, chip, _, latency_ms: bounded(work, chip, "cold", latency_ms))
    row = runner.row(case("copy"))
    assert row["bound"] == "memory"
    assert row["gbps"] == pytest.approx(4800 * row["bound_fraction"])
    assert "bound" not in runner.row(case("depthwise"))


def test_the_bound_is_the_operators(runner: Measured) -> None:
    runner.chip = CHIPS["H200 SXM"]
    row, layer = runner.row(case()), runner.row(case(scope="layer"))
    bounds = bounds_us(mode_work(case().problem, "forward"), CHIPS["H200 SXM"])
    del bounds["memory"]  # its bytes fit the hot L2
    assert row["bound"] == largest(bounds)
    assert row["bound_fraction"] * row["latency_ms"] * 1e3 == pytest.approx(max(bounds.values()))
    assert layer["status"] == "ok"
    assert "bound" not in layer


def test_tensors_are_drawn_once_per_problem(runner: Measured, monkeypatch: pytest.MonkeyPatch) -> None:
    drawn: list[tuple[Problem, str]] = []

    def counting(problem: Problem, scope: str, device: torch.device) -> Tensors:
        drawn.append((problem, scope))
        return draw(problem, scope, device)

    monkeypatch.setattr("bench.measure.prepared.draw", counting)
    cases = [case("unfold"), case(mode="backward"), case(scope="layer"), case("unfold", scope="layer"), case(m=3)]
    assert [runner.row(one)["status"] for one in cases] == ["ok"] * 5
    assert drawn == [(cases[index].problem, cases[index].scope) for index in (0, 2, 4)]


@pytest.mark.parametrize("mode", ["forward", "backward"])
def test_a_layer_needs_its_convolutions_too(mode: str) -> None:
    one, layer = case(mode=mode), case(mode=mode, scope="layer")
    operator = predicted_bytes("chunked", one.problem, CPU, backward=one.backward)
    assert predicted_mib(one, CPU) == operator / 2**20
    # Query 2·2·5·4, key the same and output 2·6·5·4 numbers of four bytes, and as many gradients.
    maps = 4 * (2 * 80 + 240) * (2 if layer.backward else 1)
    assert predicted_mib(layer, CPU) == (operator + maps) / 2**20


@pytest.mark.parametrize("posed", [case(kernel_size=1, padding=0), case(height=1, width=1)], ids=str)
def test_gradients_that_are_zero_are_no_error(runner: Measured, posed: Case) -> None:
    for mode in ("forward", "backward"):
        row = runner.row(Case(posed.problem, posed.scope, mode, "chunked"))
        assert row["status"] == "ok", row["reason"]


@pytest.mark.parametrize(("mode", "kernels"), [("forward", ["forward"]), ("backward", ["forward", "query", "key"])])
def test_rows_say_which_launch_settings_ran(runner: Measured, mode: str, kernels: list[str]) -> None:
    small: dict[str, Any] = {"batch": 1, "channels": 2, "height": 2, "width": 3, "m": 2}  # for the interpreter's sake
    row = runner.row(case("triton", mode, **small))
    assert row["status"] == "ok", row["reason"]
    assert [part.partition(":")[0] for part in row["settings"].split()] == kernels
    assert str(heuristic("forward", problem(**small))) in row["settings"]
    assert runner.row(case("unfold", mode, **small))["settings"] is None
