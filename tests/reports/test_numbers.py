"""The report's numbers against hand computations."""

import math

import pandas as pd
import pytest

from bench.results import Row
from reports.fits import Fit, chosen_groups, fits
from reports.rows import load_run
from reports.slices import Group, coordinates, describe, group_rows, pool
from reports.speedups import speedups
from reports.tables import memory_table, sample_table, short_table
from tests.reports.conftest import MakeRun, case, failed, sweep


def cases_of(make_run: MakeRun, rows: list[Row]) -> pd.DataFrame:
    return pool([load_run(make_run(rows), "run")])


def groups_of(make_run: MakeRun, rows: list[Row]) -> list[Group]:
    return group_rows(cases_of(make_run, rows))


def test_speedup_is_the_geometric_mean_of_the_pairs(make_run: MakeRun) -> None:
    rows = [
        case(8.0, m=1),
        case(2.0, m=1, implementation="triton"),
        case(9.0, m=2),
        case(1.0, m=2, implementation="triton"),
        failed("out_of_memory", "too large", m=4),
        case(1.0, m=4, implementation="triton"),
        case(5.0, m=8),
        failed("unsupported", "no", m=8, implementation="triton"),
        case(1.0, m=16, implementation="triton"),
        case(5.0, m=32),
    ]
    (speedup,) = speedups(cases_of(make_run, rows)).to_dict("records")
    assert speedup["implementation"] == "triton"
    assert speedup["speedup"] == pytest.approx(math.sqrt(4 * 9))
    assert (speedup["least"], speedup["most"], speedup["pairs"]) == (4, 9, 2)
    assert speedup["left out"] == 4
    expected = {"1 unfold out_of_memory", "1 unsupported", "1 unfold not run", "1 not run"}
    assert set(speedup["why"].split(", ")) == expected


def test_modes_scopes_and_devices_are_never_paired(make_run: MakeRun) -> None:
    rows = [
        case(8.0),
        case(1.0, implementation="triton", mode="backward"),
        case(1.0, implementation="triton", scope="layer"),
        case(1.0, implementation="triton", device="cuda"),
    ]
    assert set(speedups(cases_of(make_run, rows))["pairs"]) == {0}


def test_fit_recovers_a_known_slope(make_run: MakeRun) -> None:
    rows = [case(3e-6 * cost**0.7, channels=c, paper_cost=cost) for c, cost in ((1, 1e5), (2, 1e6), (3, 1e8))]
    (fit,) = fits(groups_of(make_run, rows))
    assert fit.slope == pytest.approx(0.7)
    assert 10**fit.intercept == pytest.approx(3e-6)
    assert fit.r_squared == pytest.approx(1)
    assert fit.failing.startswith("Predicts every case within 1×")


def test_fit_r_squared_by_hand(make_run: MakeRun) -> None:
    # Logarithms: x 0, 1, 2 and y 0, 2, 1, so slope 1/2 and R² = 1 - 1.5/2 = 1/4.
    rows = [case(ms, channels=c, paper_cost=cost) for c, cost, ms in ((1, 1, 1.0), (2, 10, 100.0), (3, 100, 10.0))]
    (fit,) = fits(groups_of(make_run, rows))
    assert fit.slope == pytest.approx(0.5)
    assert fit.r_squared == pytest.approx(0.25)


def test_fit_names_the_case_and_axis_that_fail(make_run: MakeRun) -> None:
    rows = [case(1e-3 * c, channels=c, paper_cost=c) for c in (16, 32, 64, 128, 256)]
    rows += [case(6.4, m=1, paper_cost=64.1), case(0.064, m=16, paper_cost=63.9)]
    (fit,) = fits(groups_of(make_run, rows))
    assert "at m 1." in fit.failing
    assert "fails most along m" in fit.failing


def test_fit_needs_three_costs(make_run: MakeRun) -> None:
    (fit,) = fits(groups_of(make_run, [case(1.0), case(2.0, m=1), case(3.0, channels=32)]))
    assert fit.slope is None
    assert fit.failing.startswith("Not fitted")


def test_constant_latency_is_fitted_with_slope_zero(make_run: MakeRun) -> None:
    (fit,) = fits(groups_of(make_run, [case(1.0, channels=c) for c in (16, 32, 64)]))
    assert fit.slope == pytest.approx(0)


def test_layer_is_preferred_for_the_fit(make_run: MakeRun) -> None:
    groups = groups_of(make_run, [case(1.0), case(2.0, scope="layer")])
    assert [group.scope for group in chosen_groups(groups)] == ["layer"]
    assert chosen_groups([]) == []


def test_slices_move_one_parameter(make_run: MakeRun) -> None:
    (group,) = groups_of(make_run, sweep({"unfold": 1.0, "triton": 9.0}))
    assert {one.axis.name: one.ticks for one in group.slices} == {
        "kernel_size": [3, 5, 7, 9],
        "m": [1, 2, 8, 16],
        "resolution": [7, 14, 28, 56],
    }
    assert {len(one.rows) for one in group.slices} == {8}
    assert describe(group.base).startswith("28×28 pixels, batch 2, channels 64, kernel size 7, m 8,")


def test_grid_is_cut_through_its_middle(make_run: MakeRun) -> None:
    rows = [case(1.0, kernel_size=k, m=m) for k in (3, 5, 7) for m in (1, 2, 4, 8, 16)]
    (group,) = groups_of(make_run, rows)
    k, m = group.slices
    assert set(k.rows["m"]) == {4}
    assert set(m.rows["kernel_size"]) == {5}


def test_height_and_width_on_their_own_are_two_axes(make_run: MakeRun) -> None:
    rows = [case(1.0, height=h, width=w) for h, w in ((28, 28), (14, 28), (56, 28), (28, 7), (14, 14))]
    (group,) = groups_of(make_run, rows)
    assert {one.axis.name: one.ticks for one in group.slices} == {
        "resolution": [14, 28],
        "height": [14, 28, 56],
        "width": [7, 28],
    }


def test_padding_that_keeps_the_size_is_no_axis(make_run: MakeRun) -> None:
    rows = cases_of(make_run, [case(1.0), case(1.0, kernel_size=9), case(kernel_size=9, padding=1, m=1)])
    assert list(coordinates(rows)["padding"]) == ["same", "same", 1]
    (group,) = group_rows(rows.iloc[:2])
    assert [one.axis.name for one in group.slices] == ["kernel_size"]


def test_stages_have_no_axis(make_run: MakeRun) -> None:
    rows = [case(1.0, channels=c, height=h, width=h) for c, h in ((100, 56), (200, 28), (400, 14))]
    (group,) = groups_of(make_run, rows)
    assert group.slices == []


def test_memory_is_compared_with_baseline_and_prediction(make_run: MakeRun) -> None:
    rows = [
        case(1.0, m=1, peak_mib=100, predicted_mib=50),
        case(1.0, m=1, implementation="triton", peak_mib=25, predicted_mib=25),
        case(1.0, m=2, peak_mib=90, predicted_mib=90),
        case(1.0, m=2, implementation="triton", peak_mib=10, predicted_mib=5),
    ]
    triton = memory_table(cases_of(make_run, rows)).frame.iloc[1]
    assert triton["implementation"] == "triton"
    assert triton["of unfold's"] == pytest.approx(1 / 6)
    assert (triton["measured / predicted"], triton["at most"]) == (1.5, 2)


def test_spread_of_samples(make_run: MakeRun) -> None:
    row = sample_table(cases_of(make_run, [case(2.0), case(3.0, m=1, samples=10)])).frame.iloc[0]
    assert (row["measured"], row["least samples"], row["median samples"]) == (2, 10, 15)
    assert row["worst spread"] == pytest.approx(0.3)


def test_short_table_has_a_row_per_case_and_its_speedup(make_run: MakeRun) -> None:
    table = short_table(cases_of(make_run, sweep({"unfold": 1.0, "triton": 9.0})))
    assert len(table.frame) == 20
    pairs = zip(table.frame["implementation"], table.frame["speedup"].round(6), strict=True)
    assert set(pairs) == {("unfold", 1), ("triton", 9)}
    assert "batch" not in table.folded().frame
    assert table.folded().constants["batch"] == 2


def test_fit_line_passes_through_its_points() -> None:
    points = pd.DataFrame({"cost": [10.0], "latency_ms": [30.0]})
    fit = Fit("cpu", "layer", "forward", "unfold", points, slope=2.0, intercept=-1.0)
    assert list(fit.at(points["cost"])) == pytest.approx([10])
    assert list(fit.factors) == pytest.approx([3])
