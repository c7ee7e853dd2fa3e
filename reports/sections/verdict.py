"""The section that answers first: which implementation to use for which shapes, and what it gains."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby

import pandas as pd

from bench import SUITE

from ..data.parameters import KEYS, PROBLEM, implementations
from ..data.rows import measured
from ..data.slices import Group, Slice
from ..data.speedups import BASELINE, left_out, mean_ratio, ratios_to_baseline
from ..report import Section, Table
from ..style import Value, counted, shorten, show, times
from .material import Material
from .rows import placed

_EMPTY = f"Nothing was measured, so nothing is fastest. To fill this: `{SUITE} run`."
_MOST_SENTENCES = 12
EVERYWHERE = "all cases"
_CAPTION = (
    f"The fastest implementation by region. Speed-up and memory are against {BASELINE}, geometric means over the pairs "
    "of cases where both were measured; the share of the bound is its geometric mean. A tie is a lead within the noise."
)


@dataclass(frozen=True)
class Region:
    """Rows of one group and mode, and the implementation that is the fastest there."""

    group: Group
    mode: str
    name: str
    rows: pd.DataFrame
    fastest: str
    problems: str
    lead: float
    second: str


def section(material: Material) -> Section:
    """Sentences on what is fastest where, and one table."""
    text = _measured(material.cases)
    found = _regions(material)
    if not found:
        return Section("verdict", "Verdict", [*text, *_measured_nowhere(material.cases)], empty=_EMPTY)
    speedup = ratios_to_baseline(material.cases, "latency_ms")
    sentences = [_sentence(one, found, speedup) for one in found if one.name == EVERYWHERE]
    rest = len(sentences) - _MOST_SENTENCES
    more = [f"{counted(rest, 'other setting')} and mode are in the table."] if rest > 0 else []
    text += [*sentences[:_MOST_SENTENCES], *more, *_measured_nowhere(implementations(material.cases))]
    return Section("verdict", "Verdict", text, [_region_table(material, found)])


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


def _measured_nowhere(cases: pd.DataFrame) -> list[str]:
    """A sentence on each implementation that was measured nowhere."""
    text = []
    for name, its in cases.groupby("implementation", observed=True):
        if not (its["status"] == "ok").any():
            reasons = its["status"].astype(str) + ": " + its["reason"].fillna("no reason given")
            reason = shorten(reasons.value_counts().index[0], 80)
            text.append(f"{shorten(str(name), 60)} was measured in none of its {counted(len(its), 'case')} ({reason}).")
    return text


def _regions(material: Material) -> list[Region]:
    """For each group and mode the whole of it, and the regions along each axis where the fastest changes."""
    return [
        region
        for group in material.groups
        for mode in group.modes
        for region in _of_mode(group, mode, implementations(group.rows[group.rows["mode"] == mode]))
    ]


def _region_table(material: Material, found: Sequence[Region]) -> Table:
    """What the fastest implementation of each region gains, and what failed there."""
    ratios = {name: ratios_to_baseline(material.cases, name) for name in ("latency_ms", "peak_mib")}
    rows = [
        {**dict(zip(KEYS[:-2], one.rows[KEYS[:-2]].iloc[0], strict=True)), **_row(one, material, ratios)}
        for one in found
    ]
    frame = pd.DataFrame(rows) if rows else pd.DataFrame(columns=[*KEYS[:-1], "region"])
    return placed("verdict", _CAPTION, frame)


def _of_mode(group: Group, mode: str, rows: pd.DataFrame) -> Iterator[Region]:
    everywhere = _fastest(rows, rows[PROBLEM])
    if everywhere.empty:
        return
    wins = everywhere["fastest"].value_counts()
    name = str(wins.index[0])
    leads = everywhere[everywhere["fastest"] == name]
    problems = f"{wins.iloc[0]} of {len(everywhere)}"
    second = str(leads["second"].mode().iloc[0]) if leads["second"].any() else ""
    yield Region(group, mode, EVERYWHERE, rows, name, problems, mean_ratio(leads["lead"]), second)
    if len(wins) < 2:
        return
    for one in (*group.slices, *([group.problems] if group.problems else [])):
        yield from _along(group, mode, one.of(rows[rows.index.isin(one.rows.index)]))


def _along(group: Group, mode: str, one: Slice) -> Iterator[Region]:
    best = _fastest(one.rows, one.along)
    ticks = [tick for tick in one.ticks if tick in best.index]
    fastest = best["fastest"].to_dict()
    for name, part in groupby(ticks, key=lambda tick: str(fastest[tick])):
        here = list(part)
        leads = best.loc[here]
        words = _span(one.axis.words, here)
        second = str(leads["second"].mode().iloc[0]) if leads["second"].any() else ""
        rows = one.rows[one.along.isin(here)]
        yield Region(group, mode, words, rows, name, str(len(here)), mean_ratio(leads["lead"]), second)


def _span(axis: str, values: Sequence[Value]) -> str:
    ends = dict.fromkeys((show(values[0]), show(values[-1])))
    return f"{axis} {' to '.join(ends)}"


def _fastest(rows: pd.DataFrame, by: pd.Series) -> pd.DataFrame:
    """For each value of `by` the fastest implementation, the second, and the second's time over the fastest's."""
    points = pd.DataFrame({"at": by, "name": rows["implementation"].astype(str), "ms": measured(rows, "latency_ms")})
    points = points.dropna(subset="ms").sort_values("ms", kind="stable")
    first = points.groupby("at", sort=False).nth(0).set_index("at")
    others = points[points["name"] != points["at"].map(first["name"])]
    second = others.groupby("at", sort=False).nth(0).set_index("at").reindex(first.index)
    lead = second["ms"] / first["ms"]
    return pd.DataFrame({"fastest": first["name"], "second": second["name"].fillna(""), "lead": lead})


def _row(one: Region, material: Material, ratios: dict[str, pd.Series]) -> dict[str, object]:
    its = one.rows[one.rows["implementation"] == one.fastest]
    speedup, memory = (ratios[name].reindex(its.index) for name in ("latency_ms", "peak_mib"))
    tie = bool(one.second) and one.lead <= 1 + material.floor(one.group.key[0])
    baseline = one.fastest == BASELINE
    return {
        "mode": one.mode,
        "region": one.name,
        "fastest": f"{one.fastest} (tie with {one.second})" if tie else one.fastest,
        "fastest in": one.problems,
        "lead over the next": one.lead,
        "next": one.second or None,
        f"speed-up over {BASELINE}": None if baseline else mean_ratio(speedup),
        "pairs": None if baseline else int(speedup.count()),
        "left out": None if baseline else left_out(material.cases.loc[one.rows.index], one.fastest) or None,
        "memory saved (%)": None if baseline else 100 * (1 - 1 / mean_ratio(memory)),
        "share of bound (%)": 100 * mean_ratio(measured(its, "bound_fraction")),
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
