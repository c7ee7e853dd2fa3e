"""Fits of a formula, and the words on where it stops predicting."""

import pytest

from bench.results.columns import Row
from reports.data.fits import PAPER, Fit, border_share, failing, fits
from tests.support.report_rows import MakeRun, case
from tests.support.report_sections import material_from


def papers(make_run: MakeRun, rows: list[Row]) -> Fit:
    (fit,) = [fit for fit in fits(material_from(make_run, rows).groups) if fit.formula == PAPER]
    return fit


def test_fit_recovers_a_known_slope(make_run: MakeRun) -> None:
    rows = [case(3e-6 * cost**0.7, channels=c, paper_cost=cost) for c, cost in ((1, 1e5), (2, 1e6), (3, 1e8))]
    fit = papers(make_run, rows)
    assert fit.slope == pytest.approx(0.7)
    assert 10**fit.intercept == pytest.approx(3e-6)
    assert fit.r_squared == pytest.approx(1)
    assert failing(fit).startswith("Predicts every case within 1×")


def test_fit_r_squared_by_hand(make_run: MakeRun) -> None:
    # Logarithms: x 0, 1, 2 and y 0, 2, 1, so slope 1/2 and R² = 1 - 1.5/2 = 1/4.
    rows = [case(ms, channels=c, paper_cost=cost) for c, cost, ms in ((1, 1, 1.0), (2, 10, 100.0), (3, 100, 10.0))]
    fit = papers(make_run, rows)
    assert fit.slope == pytest.approx(0.5)
    assert fit.r_squared == pytest.approx(0.25)


def test_fit_names_the_axis_that_fails_and_why(make_run: MakeRun) -> None:
    rows = [case(1e-3 * c, channels=c, paper_cost=c) for c in (16, 32, 64, 128, 256)]
    rows += [case(6.4, m=1, paper_cost=64.1), case(0.064, m=16, paper_cost=63.9)]
    fit = papers(make_run, rows)
    # 100 between m = 1 and 16, at one cost.
    assert fit.residuals["m"].spread == pytest.approx(100, rel=0.01)
    assert fit.residuals["m"].exponent < -1
    assert "Along m time grows less than predicted (99.8×): sharing a weight saves more" in failing(fit)


def test_fit_needs_three_costs(make_run: MakeRun) -> None:
    fit = papers(make_run, [case(1.0), case(2.0, m=1), case(3.0, channels=32)])
    assert fit.slope is None
    assert failing(fit).startswith("Not fitted")


def test_constant_latency_is_fitted_with_slope_zero(make_run: MakeRun) -> None:
    assert papers(make_run, [case(1.0, channels=c) for c in (16, 32, 64)]).slope == pytest.approx(0)


def test_launch_bound_cases_are_named(make_run: MakeRun) -> None:
    rows = [
        case(ms, channels=c, paper_cost=c, host_ms=0.019, timer="graph") for c, ms in ((1, 0.02), (10, 0.02), (99, 9))
    ]
    assert "2 cases up to a cost of 10 are launch-bound." in failing(papers(make_run, rows))
    wall = [{**row, "timer": "wall"} for row in rows]
    assert "launch-bound" not in failing(papers(lambda rows: make_run(rows, "wall"), wall))


def test_border_share_against_a_count(make_run: MakeRun) -> None:
    sizes = ((7, 7), (28, 3), (14, 13))
    rows = material_from(make_run, [case(1.0, height=h, width=h, kernel_size=k) for h, k in sizes]).cases
    for (size, k), share in zip(sizes, border_share(rows), strict=True):
        inside = sum(0 <= place + tap - k // 2 < size for place in range(size) for tap in range(k)) / (size * k)
        assert share == pytest.approx(1 - inside**2)
