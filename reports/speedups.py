"""Speed-up over the baseline, case by case and as a geometric mean."""

import pandas as pd
from scipy.stats import gmean

from reports.rows import measured
from reports.slices import KEYS, PROBLEM

BASELINE = "unfold"


def ratios_to_baseline(cases: pd.DataFrame, metric: str) -> pd.Series:
    """Baseline's value over the row's, where both are measured."""
    values = measured(cases, metric)
    return _of_baseline(cases, values) / values


def mean_ratio(ratios: pd.Series) -> float:
    """The geometric mean of those that there are; NaN without any."""
    found = ratios.dropna()
    return float(gmean(found)) if len(found) else float("nan")


def speedups(cases: pd.DataFrame) -> pd.DataFrame:
    """A row for each implementation but the baseline, for each place, scope and mode.

    `speedup` is the geometric mean over the `pairs`, the cases where both are ok.
    """
    cases = cases.assign(ratio=ratios_to_baseline(cases, "latency_ms"), why=_trouble(cases))
    rows = []
    for key, here in cases.groupby(KEYS[:-1], observed=True):
        baseline = here.loc[here["implementation"] == BASELINE, PROBLEM]
        for name, its in here.groupby("implementation", observed=True):
            if name == BASELINE:
                continue
            left_out = its.loc[its["ratio"].isna(), "why"].value_counts().to_dict()
            left_out["not run"] = int((~baseline.isin(its[PROBLEM])).sum())
            why = ", ".join(f"{count} {reason}" for reason, count in left_out.items() if count)
            numbers = (mean_ratio(its["ratio"]), its["ratio"].min(), its["ratio"].max(), its["ratio"].count())
            rows.append([*key, name, *numbers, sum(left_out.values()), why or None])
    return pd.DataFrame(rows, columns=[*KEYS, "speedup", "least", "most", "pairs", "left out", "why"])


def _of_baseline(cases: pd.DataFrame, values: pd.Series) -> pd.Series:
    """For each row the baseline's value in the same problem."""
    its = cases["implementation"] == BASELINE
    return cases[PROBLEM].map(pd.Series(values[its].to_numpy(), cases.loc[its, PROBLEM]))


def _trouble(cases: pd.DataFrame) -> pd.Series:
    """Why a case has no speed-up: the first of the two that has no latency."""
    status = cases["status"].astype(str)
    trouble = status.mask(status == "ok", "without a latency")
    baseline = BASELINE + " " + _of_baseline(cases, trouble).astype("str").fillna("not run")
    return trouble.where(measured(cases, "latency_ms").isna(), baseline)
