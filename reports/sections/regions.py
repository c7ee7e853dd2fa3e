"""Regions of a sweep: neighbouring values of an axis at which the same implementation is the fastest."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby

import pandas as pd

from ..data.parameters import KEYS, PROBLEM, implementations
from ..data.rows import measured
from ..data.slices import Group, Slice
from ..data.speedups import BASELINE, left_out, mean_ratio, ratios_to_baseline
from ..report import Table
from ..style import Value, shorten, show
from .rows import placed
from .view import View

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


def regions(view: View) -> list[Region]:
    """For each group and mode the whole of it, and the regions along each axis where the fastest changes."""
    return [
        region
        for group in view.groups
        for mode in group.modes
        for region in _of_mode(group, mode, implementations(group.rows[group.rows["mode"] == mode]))
    ]


def region_table(view: View, found: Sequence[Region]) -> Table:
    """What the fastest implementation of each region gains, and what failed there."""
    ratios = {name: ratios_to_baseline(view.cases, name) for name in ("latency_ms", "peak_mib")}
    rows = [
        {**dict(zip(KEYS[:-2], one.rows[KEYS[:-2]].iloc[0], strict=True)), **_row(one, view, ratios)} for one in found
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


def _row(one: Region, view: View, ratios: dict[str, pd.Series]) -> dict[str, object]:
    its = one.rows[one.rows["implementation"] == one.fastest]
    speedup, memory = (ratios[name].reindex(its.index) for name in ("latency_ms", "peak_mib"))
    tie = bool(one.second) and one.lead <= 1 + view.floor(one.group.key[0])
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
        "left out": None if baseline else left_out(view.cases.loc[one.rows.index], one.fastest) or None,
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
