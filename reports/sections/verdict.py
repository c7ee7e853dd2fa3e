"""The section that answers first: which implementation to use for which shapes, and what it gains."""

import pandas as pd

from ..data.parameters import implementations
from ..data.rows import measured
from ..data.speedups import BASELINE, mean_ratio, ratios_to_baseline
from ..report import Section
from ..style import counted, shorten, times
from .regions import EVERYWHERE, Region, region_table, regions
from .view import View

_EMPTY = "Nothing was measured, so nothing is fastest. To fill this: `python -m bench run`."
_MOST_SENTENCES = 12


def section(view: View) -> Section:
    """Sentences on what is fastest where, and one table."""
    text = _measured(view.cases)
    found = regions(view)
    if not found:
        return Section("verdict", "Verdict", [*text, *_failing(view.cases)], empty=_EMPTY)
    speedup = ratios_to_baseline(view.cases, "latency_ms")
    sentences = [_sentence(one, found, speedup) for one in found if one.name == EVERYWHERE]
    rest = len(sentences) - _MOST_SENTENCES
    more = [f"{counted(rest, 'other setting')} and mode are in the table."] if rest > 0 else []
    text += [*sentences[:_MOST_SENTENCES], *more, *_failing(implementations(view.cases))]
    return Section("verdict", "Verdict", text, [region_table(view, found)])


def _measured(cases: pd.DataFrame) -> list[str]:
    if cases.empty:
        return ["The run holds no cases."]
    devices = sorted(cases["device"].unique())
    ok = int((cases["status"] == "ok").sum())
    text = [f"{ok} of {counted(len(cases), 'case')} measured on {' and on '.join(devices)}."]
    if len(devices) > 1:
        text.append("Times of different devices are never compared or drawn in one figure.")
    incorrect = int((cases["status"] == "incorrect").sum())
    if incorrect:
        text.append(f"{counted(incorrect, 'case')} gave wrong results and were not timed.")
    return text


def _sentence(one: Region, found: list[Region], speedups: pd.Series) -> str:
    """What is fastest in a group and mode, by how much, where it is not, and how near to the bound."""
    where = f"{one.group.label[:1].upper()}{one.group.label[1:]}, {one.mode.replace('_', ' + ')}"
    name = shorten(one.fastest, 60)
    its = one.rows[one.rows["implementation"] == one.fastest]
    text = f"{where}: {name} is the fastest in {one.problems} problems"
    if one.fastest == BASELINE:
        text += f": nothing beats {BASELINE}" if one.problems.split(" of ")[0] == one.problems.split(" of ")[1] else ""
    else:
        ratios = speedups.reindex(its.index).dropna()
        if len(ratios):
            span = f", {times(ratios.min())} to {times(ratios.max())}" if len(ratios) > 1 else ""
            pairs = f"geometric mean of {counted(len(ratios), 'pair')}{span}"
            text += f", at {times(mean_ratio(ratios))} {BASELINE}'s speed ({pairs})"
    share = mean_ratio(measured(its, "bound_fraction"))
    text += f", and reaches {share:.0%} of its bound" if share > 0 else ""
    elsewhere = [
        f"{shorten(other.fastest, 40)} at {other.name}"
        for other in found
        if other.group is one.group and other.mode == one.mode and other.fastest != one.fastest
    ]
    return f"{text}. Elsewhere: {'; '.join(elsewhere)}." if elsewhere else f"{text}."


def _failing(cases: pd.DataFrame) -> list[str]:
    """A sentence on each implementation that was measured nowhere."""
    text = []
    for name, its in cases.groupby("implementation", observed=True):
        if not (its["status"] == "ok").any():
            reasons = its["status"].astype(str) + ": " + its["reason"].fillna("no reason given")
            reason = shorten(reasons.value_counts().index[0], 80)
            text.append(f"{shorten(str(name), 60)} was measured in none of its {counted(len(its), 'case')} ({reason}).")
    return text
