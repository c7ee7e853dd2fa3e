"""Tables of a report that several sections share, and the one of all rows."""

from dataclasses import replace

import pandas as pd

from bench import SUITE
from bench.results.columns import COLUMNS

from ..data.parameters import COORDINATES, KEYS, PLACE, PROBLEM, SETTING, implementations
from ..data.speedups import ratios_to_baseline
from ..report import Section, Table
from .material import Material

_FIRST = ("implementation", "mode", "status", "latency_ms", "speedup", "profile")
_PLACE = frozenset({"device", "scope", *SETTING, "mode"})
_OUTCOMES = [
    "status",
    "latency_ms",
    "latency_low_ms",
    "latency_high_ms",
    "samples",
    "images_per_s",
    "tflops",
    "gbps",
    "peak_mib",
    "bound",
    "bound_fraction",
    "largest_batch",
    "aggregation_ms",
    "projections_ms",
]
_EMPTY = f"There are no rows. To fill this: `{SUITE} run`."
_CAPTION = "One row per case; speedup is against the baseline's same case. The run's results.csv has every column."


def placed(name: str, caption: str, frame: pd.DataFrame, folding: frozenset[str] = _PLACE) -> Table:
    """A table of the frame, its place shown as the device."""
    return Table(name, caption, frame.rename(columns={PLACE: "device"}), folding)


def section(material: Material) -> Section:
    """All rows, to sort and to filter."""
    if material.cases.empty:
        return Section("rows", "All rows", empty=_EMPTY)
    return Section("rows", "All rows", tables=[row_table(material.cases)])


def row_table(cases: pd.DataFrame) -> Table:
    """One row per case: what it is, as far as cases differ, how it went, its speed-up; unknown columns too."""
    # A yardstick is another function: its time over the baseline's says nothing.
    ratios = ratios_to_baseline(implementations(cases), "latency_ms")
    known = {*COLUMNS, PLACE, PROBLEM, "run"}
    unknown = [name for name in cases if name not in known and cases[name].notna().any()]
    coordinates = [name for name in COORDINATES if name not in KEYS]
    outcomes = [name for name in _OUTCOMES if name in cases and cases[name].notna().any()]
    frame = cases.assign(speedup=ratios)[[*KEYS, "kind", *coordinates, *outcomes, "speedup", *unknown, "reason"]]
    table = placed("rows", _CAPTION, frame, frozenset({"device", *frame.columns}) - {"implementation", "status"})
    return replace(table, browsable=True, first=_FIRST, tinted=frozenset())
