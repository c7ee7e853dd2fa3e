"""What the numbers say, in sentences."""

import pandas as pd

from reports.slices import KEYS, PLACE, SETTING, implementations
from reports.speedups import BASELINE
from reports.style import counted, shorten, times


def sentences(cases: pd.DataFrame, found: pd.DataFrame) -> list[str]:
    """How much was measured, what is fastest where, and what could not be used."""
    if cases.empty:
        return ["The run holds no cases."]
    devices = sorted(cases["device"].unique())
    ok = (cases["status"] == "ok").sum()
    text = [f"{ok} of {counted(len(cases), 'case')} measured on {' and on '.join(devices)}."]
    if len(devices) > 1:
        text.append("Times of different devices are never compared or drawn in one figure.")
    incorrect = (cases["status"] == "incorrect").sum()
    if incorrect:
        text.append(f"{counted(incorrect, 'case')} gave wrong results and were not timed.")
    named = [key for key in (PLACE, *SETTING) if len(cases[key].unique()) > 1]
    compared = found.dropna(subset="speedup").groupby(KEYS[:-1], sort=False)
    return [*text, *(_fastest(here, named) for _, here in compared), *_failing(implementations(cases))]


def _fastest(found: pd.DataFrame, named: list[str]) -> str:
    """A sentence on the fastest implementation of one place, scope, setting and mode; `named` are the keys to tell."""
    best = found.sort_values("speedup", ascending=False, kind="stable").iloc[0]
    where = ", ".join(
        [best["scope"].capitalize(), best["mode"].replace("_", " + "), *(str(best[key]) for key in named)]
    )
    name = shorten(best["implementation"], 60)
    if best["speedup"] <= 1:
        return f"{where}: nothing beats {BASELINE}; the nearest is {name} at {times(best['speedup'])} its speed."
    span = f", {times(best['least'])} to {times(best['most'])}" if best["pairs"] > 1 else ""
    pairs = f"geometric mean of {counted(best['pairs'], 'pair')}{span}"
    text = f"{where}: {name} is the fastest at {times(best['speedup'])} {BASELINE}'s speed ({pairs})."
    if (found["pairs"] != best["pairs"]).any():
        text += " Not all were compared over as many cases: mind the pairs in the table."
    return text


def _failing(cases: pd.DataFrame) -> list[str]:
    """A sentence on each implementation that was measured nowhere."""
    text = []
    for name, its in cases.groupby("implementation", observed=True):
        if not (its["status"] == "ok").any():
            reasons = its["status"].astype(str) + ": " + its["reason"].fillna("no reason given")
            reason = shorten(reasons.value_counts().index[0], 80)
            text.append(f"{shorten(str(name), 60)} was measured in none of its {counted(len(its), 'case')} ({reason}).")
    return text
