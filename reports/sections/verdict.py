"""The section that answers first: which implementation to use for which shapes, and what it gains."""

from collections.abc import Sequence
from dataclasses import replace

import pandas as pd

from bench import SUITE

from ..data.parameters import KEYS
from ..data.regions import EVERYWHERE, Region, regions
from ..data.rows import measured
from ..data.speedups import BASELINE, left_out, mean_ratio, ratios_to_baseline
from ..report import Details, Section, Table
from ..style import counted, shorten, times
from .material import Material
from .rows import placed

_EMPTY = f"Nothing was measured, so nothing is fastest. To fill this: `{SUITE} run`."
_MOST_SENTENCES = 2
_CAPTION = (
    f"The fastest by region. Speed-up and memory are against {BASELINE}, geometric means over the pairs of cases where "
    "both were measured; the lead is over the next, and a tie where it is within the noise."
)
# What the sentences and the disclosure say better than a cell.
_ASIDE = frozenset({"pairs", "left out", "failed, and why"})


def section(material: Material) -> Section:
    """Sentences on what is fastest where, and one table."""
    text = _measured(material.cases)
    found = regions(material.groups)
    if not found and (material.cases["status"] == "ok").any():
        return Section("verdict", "Verdict", [*text, "No operator or layer was timed: see the networks."])
    if not found:
        return Section("verdict", "Verdict", text, empty=_EMPTY)
    speedup = ratios_to_baseline(material.cases, "latency_ms")
    sentences = [_sentence(one, found, speedup) for one in found if one.name == EVERYWHERE]
    more = sentences[_MOST_SENTENCES:]
    details = [
        *([Details("In words, for the other settings and modes", more)] if more else []),
        *_lost(material, found),
    ]
    table = _region_table(material, found)
    return Section("verdict", "Verdict", [*text, *sentences[:_MOST_SENTENCES]], [table], details=details)


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
    name = shorten(one.fastest, 60)
    its = one.rows[one.rows["implementation"] == one.fastest]
    text = f"{_place(one)}: {name} is the fastest in {one.problems} problems"
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


def _region_table(material: Material, found: Sequence[Region]) -> Table:
    """What the fastest implementation of each region gains, and what failed there."""
    ratios = {name: ratios_to_baseline(material.cases, name) for name in ("latency_ms", "peak_mib")}
    rows = [
        {**dict(zip(KEYS[:-2], one.rows[KEYS[:-2]].iloc[0], strict=True)), **_row(one, material, ratios)}
        for one in found
    ]
    frame = pd.DataFrame(rows) if rows else pd.DataFrame(columns=[*KEYS[:-1], "region"])
    return replace(placed("verdict", _CAPTION, frame), aside=_ASIDE, tinted=frozenset({"lead (×)"}))


def _lost(material: Material, found: Sequence[Region]) -> list[Details]:
    """For each group and mode what has no part in the means, and what failed."""
    text = []
    for one in (one for one in found if one.name == EVERYWHERE):
        unpaired = left_out(material.cases.loc[one.rows.index], one.fastest) if one.fastest != BASELINE else ""
        told = "; ".join(filter(None, [f"{one.fastest} left out: {unpaired}" * bool(unpaired), _failed(one.rows)]))
        text += [f"{_place(one)}: {told}."] if told else []
    return [Details("What failed, and what was left out", text)] if text else []


def _place(one: Region) -> str:
    """Its group and mode in words."""
    return f"{one.group.label[:1].upper()}{one.group.label[1:]}, {one.mode.replace('_', ' + ')}"


def _row(one: Region, material: Material, ratios: dict[str, pd.Series]) -> dict[str, object]:
    its = one.rows[one.rows["implementation"] == one.fastest]
    speedup, memory = (ratios[name].reindex(its.index) for name in ("latency_ms", "peak_mib"))
    tie = bool(one.second) and one.lead <= 1 + material.floor(one.group.key[0])
    baseline = one.fastest == BASELINE
    return {
        "mode": one.mode,
        "region": one.name,
        "fastest": one.fastest,
        "problems": one.problems,
        "lead (×)": one.lead,
        "next": f"{one.second}, a tie" if tie else one.second or None,
        "speed-up (×)": None if baseline else mean_ratio(speedup),
        "pairs": None if baseline else int(speedup.count()),
        "left out": None if baseline else left_out(material.cases.loc[one.rows.index], one.fastest) or None,
        "memory saved (%)": None if baseline else 100 * (1 - 1 / mean_ratio(memory)),
        "of bound (%)": 100 * mean_ratio(measured(its, "bound_fraction")),
        "failed, and why": _failed(one.rows),
    }


def _failed(rows: pd.DataFrame) -> str | None:
    """How many cases of each implementation have no time, with the most frequent reason."""
    lost = rows[rows["status"] != "ok"]
    texts = []
    for (name, status), its in lost.groupby(["implementation", "status"], observed=True):
        reasons = its["reason"].value_counts()
        reason = f": {shorten(str(reasons.index[0]), 60)}" if len(reasons) else ""
        texts.append(f"{shorten(str(name), 40)} {len(its)} {status}{reason}")
    return "; ".join(texts) or None
