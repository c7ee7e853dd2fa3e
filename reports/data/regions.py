"""Regions: all of a group and mode, or neighbouring values of an axis, each with the implementation fastest there."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby

import pandas as pd

from ..style import Value, show
from .parameters import PROBLEM, implementations
from .rows import measured
from .slices import Group, Slice
from .speedups import mean_ratio

EVERYWHERE = "all cases"


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


def regions(groups: Sequence[Group]) -> list[Region]:
    """For each group and mode the whole of it, and the regions along each axis where the fastest changes."""
    return [
        region
        for group in groups
        for mode in group.modes
        for region in _of_mode(group, mode, implementations(group.rows[group.rows["mode"] == mode]))
    ]


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
