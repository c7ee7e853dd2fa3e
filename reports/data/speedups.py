"""Speed-up over the baseline, case by case and as a geometric mean."""

import numpy as np
import pandas as pd

from .parameters import KEYS, PROBLEM
from .rows import measured

BASELINE = "unfold"


def ratios_to_baseline(cases: pd.DataFrame, column: str) -> pd.Series:
    """Baseline's value over the row's, where both are measured."""
    values = measured(cases, column)
    return _of_baseline(cases, values) / values


def mean_ratio(ratios: pd.Series) -> float:
    """The geometric mean of those that there are; NaN without any."""
    found = ratios.dropna()
    return float(np.exp(np.log(found.astype(float)).mean())) if len(found) else float("nan")


def speedups(cases: pd.DataFrame) -> pd.DataFrame:
    """A row for each implementation but the baseline, for each place, scope, setting and mode.

    `speedup` is the geometric mean over the `pairs`, the cases where both are ok.
    """
    cases = cases.assign(ratio=ratios_to_baseline(cases, "latency_ms"))
    rows = []
    for key, here in cases.groupby(KEYS[:-1], observed=True):
        for name, its in here.groupby("implementation", observed=True):
            if name == BASELINE:
                continue
            why = left_out(here, str(name))
            numbers = (mean_ratio(its["ratio"]), its["ratio"].min(), its["ratio"].max(), its["ratio"].count())
            rows.append([*key, name, *numbers, why or None])
    return pd.DataFrame(rows, columns=[*KEYS, "speedup", "least", "most", "pairs", "left out"])


def left_out(cases: pd.DataFrame, name: str) -> str:
    """How many cases of the implementation and the baseline make no pair, and why: statuses, or not run."""
    its, baseline = (cases[cases["implementation"] == one] for one in (name, BASELINE))
    unpaired = its[ratios_to_baseline(cases, "latency_ms").reindex(its.index).isna()]
    counts = _trouble(cases).reindex(unpaired.index).value_counts().to_dict()
    counts["not run"] = int((~baseline[PROBLEM].isin(its[PROBLEM])).sum())
    return ", ".join(f"{count} {reason}" for reason, count in counts.items() if count)


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
