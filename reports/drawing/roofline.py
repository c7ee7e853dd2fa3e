"""The roofline: arithmetic against intensity, under what the chip allows."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd

from ..data.parameters import PROBLEM, implementations
from ..data.rows import measured
from ..data.slices import Group
from .panels import Line, Panel

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
    reached, share = measured(rows, "tflops"), measured(rows, "bound_fraction")
    at = pd.DataFrame({"x": flops / moved, "y": reached, "roof": reached / share}).dropna(subset=["x", "y"])
    roofs = _roofs_of_rows(rows, flops, flops / moved) or _roofs_of_doctor(device, at["x"])
    if at.empty or not roofs:
        return None
    at["roof"] = at["roof"].fillna(_lowest(roofs, at["x"]))
    lines = []
    for name, points in at.sort_values("x").groupby(rows["implementation"], observed=True):
        shown = points.iloc[np.linspace(0, len(points) - 1, min(len(points), _MOST_POINTS)).astype(int)]
        lines.append(Line(str(name), shown, joined=False))
    titles = (mode.replace("_", " + "), "arithmetic intensity (FLOP/byte)", "arithmetic (TFLOP/s)")
    ticked = [name for name in roofs if not name.startswith(_LINES)]
    return Panel(*titles, lines, [], log_x=True, references=roofs, ticked=ticked)


def _roofs_of_rows(rows: pd.DataFrame, flops: pd.Series, intensity: pd.Series) -> dict[str, pd.DataFrame]:
    """What each bound allows: lines for memory and arithmetic, a tick for each problem otherwise."""
    roofs = {}
    for column, name in BOUNDS.items():
        allowed = flops / measured(rows, column) / 1e9
        points = pd.DataFrame({"x": intensity, "y": allowed}).dropna().groupby(rows[PROBLEM]).first()
        if len(points):
            roofs[name] = _line(points, name) if name in _LINES else points.sort_values("x").drop_duplicates()
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


def _lowest(roofs: Mapping[str, pd.DataFrame], intensity: pd.Series) -> pd.Series:
    """The lowest of the roofs that are lines at each intensity; NaN without such."""
    lines = [roof for name, roof in roofs.items() if name.startswith(_LINES)]
    logs = [np.interp(np.log(intensity), np.log(roof["x"]), np.log(roof["y"])) for roof in lines]
    return pd.Series(np.exp(np.min(logs, axis=0)) if logs else np.nan, intensity.index)
