"""The roofline: what was reached, and what each of the four bounds allows, against arithmetic intensity."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd

from ..data.parameters import PROBLEM, implementations
from ..data.rows import measured
from ..data.slices import Group
from ..drawing.plots import Line, Panel

# The columns that hold each bound, and its name in the legend.
BOUNDS: Mapping[str, str] = {
    "bound_memory_ms": "memory",
    "bound_arithmetic_ms": "arithmetic",
    "bound_exp_ms": "exponentials",
    "bound_issue_ms": "instruction issue",
}
_LINES = ("memory", "arithmetic")
_MOST_POINTS = 120
# How far the lines reach beyond the points, to either side.
_ENDS = np.array([1 / 1.5, 1.5])


def roofline(group: Group, mode: str, device: Mapping[str, Any]) -> Panel | None:
    """TFLOP/s against FLOP per byte for a group and mode; None without points or without any roof."""
    rows = implementations(group.rows[group.rows["mode"] == mode])
    flops, moved = measured(rows, "flops"), measured(rows, "min_bytes")
    at = pd.DataFrame({"x": flops / moved, "y": measured(rows, "tflops")}).dropna()
    roofs = _roofs_of_rows(rows, flops, flops / moved) or _roofs_of_doctor(device, at["x"])
    if at.empty or not roofs:
        return None
    lines = []
    for name, points in at.sort_values("x").groupby(rows["implementation"], observed=True):
        shown = points.iloc[np.linspace(0, len(points) - 1, min(len(points), _MOST_POINTS)).astype(int)]
        lines.append(Line(str(name), shown, joined=False))
    titles = ("", "arithmetic intensity (FLOP/byte)", "arithmetic (TFLOP/s)")
    ticked = [name for name in roofs if not name.startswith(_LINES)]
    return Panel(*titles, lines, [], log_x=True, references=roofs, ticked=ticked)


def _roofs_of_rows(rows: pd.DataFrame, flops: pd.Series, intensity: pd.Series) -> dict[str, pd.DataFrame]:
    """What the bounds that the run kept allow: lines for memory and arithmetic, a tick for each problem otherwise.

    A run from before they were kept has the deciding bound alone.
    """
    roofs = {}
    for column, name in BOUNDS.items():
        allowed = flops / measured(rows, column) / 1e9
        points = pd.DataFrame({"x": intensity, "y": allowed}).dropna().groupby(rows[PROBLEM]).first()
        if len(points):
            roofs[name] = _line(points, name) if name in _LINES else points.sort_values("x").drop_duplicates()
    if roofs:
        return roofs
    allowed = flops / (measured(rows, "bound_fraction") * measured(rows, "latency_ms")) / 1e9
    for name, its in pd.DataFrame({"x": intensity, "y": allowed}).dropna().groupby(rows["bound"]):
        roofs[str(name)] = its.groupby(rows[PROBLEM]).first().sort_values("x")
    return roofs


def _line(points: pd.DataFrame, name: str) -> pd.DataFrame:
    """A roof over the width of the points: in proportion to the intensity for memory, level for arithmetic.

    It is the highest that any of the cases allows: taps outside the image and a hot L2 raise some.
    """
    ends = points["x"].agg(["min", "max"]).to_numpy() * _ENDS
    rate = (points["y"] / points["x"]).max() if name == _LINES[0] else points["y"].max()
    return pd.DataFrame({"x": ends, "y": rate * ends if name == _LINES[0] else [rate, rate]})


def _roofs_of_doctor(device: Mapping[str, Any], intensity: pd.Series) -> dict[str, pd.DataFrame]:
    """What doctor measured of a device that has no bounds of its own, as a CPU: copy and multiply–adds."""
    rates = device.get("doctor", {}).get("roofs", {})
    if not {"copy", "fma"} <= rates.keys() or intensity.empty:
        return {}
    ends = intensity.agg(["min", "max"]).to_numpy() * _ENDS
    return {
        "memory (a copy)": pd.DataFrame({"x": ends, "y": rates["copy"] * ends / 1e12}),
        "arithmetic (multiply–adds)": pd.DataFrame({"x": ends, "y": 2 * rates["fma"] / 1e12}),
    }
