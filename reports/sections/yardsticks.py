"""The section on yardsticks: what the layer's time is worth in convolutions and copies of the same sizes."""

import pandas as pd

from bench import SUITE

from ..data.parameters import KEYS, NETWORK, PROBLEM, implementations, yardsticks
from ..data.rows import measured
from ..data.speedups import mean_ratio
from ..report import Section, Table
from ..style import counted, times
from .material import Material
from .rows import placed

_EMPTY = f"The run has no yardsticks. To fill this: `{SUITE} run stages`, or --yardsticks with another sweep."
_TEXT = (
    "A yardstick is another function at the same sizes, timed in turn with the layer: a 3×3 convolution of the "
    "channels that ResNet-50 has there, a depthwise convolution with the layer's window, a copy of the least bytes. "
    "Their lines in the figures are grey and dashed."
)
_CAPTION = "The time of the fastest implementation over the yardstick's, case by case; the mean is geometric."


def section(material: Material) -> Section:
    """How many times a yardstick's time the layer takes at its fastest."""
    table = yardstick_table(material.cases[material.cases["scope"] != NETWORK])
    if table.frame.empty:
        return Section("yardsticks", "Yardsticks", empty=_EMPTY)
    text = [
        f"{row['scope']}, {str(row['mode']).replace('_', ' + ')}, {row['dtype']}, {row['cache']}: the layer takes "
        f"{times(row['mean'])} the time of {row['yardstick']} ({counted(row['cases'], 'case')})."
        for row in table.frame.to_dict("records")
        if len(table.frame) <= 12
    ]
    return Section("yardsticks", "Yardsticks", [_TEXT, *text], [table])


def yardstick_table(cases: pd.DataFrame) -> Table:
    """For each group, mode and yardstick: least, geometric mean and most of the ratio."""
    own, others = (
        of(cases).assign(ms=lambda rows: measured(rows, "latency_ms")) for of in (implementations, yardsticks)
    )
    fastest = own.groupby(PROBLEM)["ms"].min()
    found = others[KEYS].assign(ratio=others[PROBLEM].map(fastest) / others["ms"]).dropna(subset="ratio")
    numbers = {
        "cases": ("ratio", "size"),
        "least": ("ratio", "min"),
        "mean": ("ratio", mean_ratio),
        "most": ("ratio", "max"),
    }
    table = found.groupby(KEYS, observed=True).agg(**numbers).reset_index()
    return placed("yardsticks", _CAPTION, table.rename(columns={"implementation": "yardstick"}))
