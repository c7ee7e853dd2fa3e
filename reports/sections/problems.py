"""The section on single problems: all that was timed there, side by side, and whether "auto" takes the fastest."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pandas as pd

from bench import SUITE

from ..data.parameters import COORDINATES, KEYS, PLACE, PROBLEM, implementations
from ..data.rows import measured
from ..report import Section, Table
from ..style import counted, times
from .material import Material
from .rows import placed

_EMPTY = f"Nothing was timed. To fill this: `{SUITE} run`."
_CAPTION = (
    "Median latency in ms of all that was timed of a problem. “auto / fastest” is the time of what “auto” takes over "
    "the fastest implementation's; the share of arithmetic is the fastest's of what the device's multiply–adds allow."
)
# The time of what "auto" takes over the fastest's that is still called as fast.
_AS_FAST = 1.1
_JUDGED = ("fastest", "auto", "auto / fastest", "share of arithmetic (%)")
_OWN = [*KEYS[:-1], *(name for name in COORDINATES if name not in KEYS)]


def section(material: Material) -> Section:
    """A row for each problem and mode, and how often "auto" is as fast as the fastest."""
    table = problem_table(material.cases, material.devices)
    if table.frame.empty:
        return Section("problems", "Problem by problem", empty=_EMPTY)
    return Section("problems", "Problem by problem", _of_auto(table.frame), [table])


def problem_table(cases: pd.DataFrame, devices: Mapping[str, Mapping[str, Any]]) -> Table:
    """For each problem and mode every latency, the fastest implementation, and what "auto" takes."""
    timed = cases.assign(ms=measured(cases, "latency_ms")).dropna(subset="ms")
    sizes = timed.drop_duplicates(PROBLEM).set_index(PROBLEM)[_OWN]
    each = timed.pivot_table("ms", PROBLEM, "implementation", aggfunc="first", observed=True)
    own = implementations(timed).sort_values("ms", kind="stable")
    fastest = own.drop_duplicates(PROBLEM).set_index(PROBLEM)
    auto = own[own["auto"] == "True"].drop_duplicates(PROBLEM).set_index(PROBLEM)
    found = {
        "fastest": fastest["implementation"].astype(str),
        "auto": auto["implementation"].astype(str),
        "auto / fastest": auto["ms"] / fastest["ms"],
        "share of arithmetic (%)": 100 * _arithmetic_ms(fastest, devices) / fastest["ms"],
    }
    frame = sizes.join(pd.DataFrame({**each, **found}, index=sizes.index)).reset_index(drop=True)
    table = placed("problems", _CAPTION, frame, frozenset({"device", *_OWN}))
    return replace(table, browsable=True, first=("mode", *map(str, each), *_JUDGED))


def _arithmetic_ms(rows: pd.DataFrame, devices: Mapping[str, Mapping[str, Any]]) -> pd.Series:
    """The least time for the arithmetic: the bound of the row or, where it has none, as on a CPU, by doctor's rate."""
    rates = {place: of.get("doctor", {}).get("roofs", {}).get("fma") for place, of in devices.items()}
    rate = pd.to_numeric(rows[PLACE].astype(str).map(rates))
    return measured(rows, "bound_arithmetic_ms").fillna(1e3 * measured(rows, "flops") / (2 * rate))


def _of_auto(frame: pd.DataFrame) -> list[str]:
    """A sentence for each device, scope and mode where "auto" was measured."""
    known = frame.dropna(subset="auto / fastest").rename(columns={"auto / fastest": "ratio", "device": PLACE})
    text = []
    for (place, scope, mode), its in known.groupby([PLACE, "scope", "mode"], observed=True):
        near = int((its["ratio"] <= _AS_FAST).sum())
        text.append(
            f"{place}, {scope}, {str(mode).replace('_', ' + ')}: auto is within {_AS_FAST - 1:.0%} of the fastest in "
            f"{near} of {counted(len(its), 'problem')}, and takes {times(its['ratio'].max())} its time at the most."
        )
    return text
