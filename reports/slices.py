"""Groups of comparable rows, the swept axes in them, and the one-at-a-time slice along each axis."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property

import pandas as pd

from bench.results import KINDS, PARAMETERS, STATUSES
from reports.rows import CASE, Run
from reports.style import LOOKS, Value, show

COORDINATES = [name for name in PARAMETERS if name not in ("implementation", "kind", "mode", "scope")]
# What is never compared in one figure or mean, as it is a setting and no size.
SETTING = ["dtype", "cache"]
# Columns that pool() adds: the device, with the run where runs overlap, and a number for what is paired.
PLACE, PROBLEM = "_place", "_problem"
KEYS = [PLACE, "scope", *SETTING, "mode", "implementation"]
_ORDERS: dict[str, Sequence[str]] = {
    "scope": ("operator", "layer", "network"),
    "dtype": ("bfloat16", "float16", "float32", "float64"),
    "cache": ("cold", "hot"),
    "mode": ("forward", "backward", "forward_backward", "training"),
    "implementation": tuple(LOOKS),
    "status": STATUSES,
}


@dataclass(frozen=True)
class Axis:
    """A parameter, or parameters that vary together, with its title and whether its ratios matter."""

    name: str
    columns: tuple[str, ...]
    title: str
    log: bool = False
    numeric: bool = True


AXES = (
    Axis("kernel_size", ("kernel_size",), "kernel size k (pixels)"),
    Axis("m", ("m",), "m (channels sharing a weight)", log=True),
    Axis("channels", ("channels",), "channels C", log=True),
    Axis("resolution", ("height", "width"), "resolution, height = width (pixels)", log=True),
    Axis("height", ("height",), "height (pixels)", log=True),
    Axis("width", ("width",), "width (pixels)", log=True),
    Axis("stride", ("stride",), "stride (pixels)"),
    Axis("batch", ("batch",), "batch (images)", log=True),
    Axis("dilation", ("dilation",), "dilation (pixels)"),
    Axis("padding", ("padding",), "padding (pixels)", numeric=False),
    Axis("dtype", ("dtype",), "dtype", numeric=False),
    Axis("memory_format", ("memory_format",), "memory format", numeric=False),
    Axis("composability", ("composability",), "composability Φ", numeric=False),
    Axis("padding_mode", ("padding_mode",), "padding mode", numeric=False),
    Axis("channel_order", ("channel_order",), "channel order", numeric=False),
    Axis("prior", ("prior",), "geometric prior", numeric=False),
    Axis("cache", ("cache",), "L2 cache", numeric=False),
    Axis("depth", ("depth",), "depth of the network", numeric=False),
    Axis("torch_compile", ("torch_compile",), "torch.compile of the network", numeric=False),
)
_PROBLEM_AXIS = Axis("problem", ("channels", "height", "width", "stride"), "problem", numeric=False)
_MOST_PROBLEMS = 12


@dataclass(frozen=True)
class Slice:
    """The rows that differ from the base along one axis only, where each is on it, and its values in order."""

    axis: Axis
    rows: pd.DataFrame
    along: pd.Series
    ticks: list[Value]


@dataclass(frozen=True)
class Group:
    """Rows that may share a figure: one place (device, and run where runs overlap) and one scope."""

    place: str
    scope: str
    rows: pd.DataFrame

    @cached_property
    def points(self) -> pd.DataFrame:
        """Each row's coordinates, "" where there is none."""
        return coordinates(self.rows)

    @cached_property
    def base(self) -> pd.Series:
        """The point whose slices hold the most rows; of several, the one in the middle."""
        return _base(self.points)

    @cached_property
    def slices(self) -> list[Slice]:
        """A slice for each axis that has more than one value while everything else is as at the base."""
        found = (_slice(axis, self) for axis in AXES)
        return [one for one in found if len(one.ticks) > 1]

    @cached_property
    def problems(self) -> Slice | None:
        """The base and the points off all slices that differ from it in sizes and stride, as the stages of a network.

        None where there are fewer than two of them, or too many for one figure.
        """
        elsewhere = _elsewhere(_PROBLEM_AXIS)
        sliced = {index for one in self.slices for index in one.rows.index}
        off = ~self.points.index.isin(sliced) | (self.points == self.base).all(axis=1)
        here = (self.points[elsewhere] == self.base[elsewhere]).all(axis=1) & off
        labels = _problem_labels(self.points[here])
        ticks: list[Value] = list(labels.unique())
        return Slice(_PROBLEM_AXIS, self.rows[here], labels, ticks) if 1 < len(ticks) <= _MOST_PROBLEMS else None

    @cached_property
    def settings(self) -> list[tuple[str, "Group"]]:
        """The group parted by dtype and cache, each part with its name; the name is empty where there is one part."""
        parts = list(self.rows.groupby(SETTING, observed=True))
        return [
            (", ".join(map(str, setting)) if len(parts) > 1 else "", Group(self.place, self.scope, rows))
            for setting, rows in parts
        ]


def pool(runs: Sequence[Run]) -> pd.DataFrame:
    """All rows by place and scope; runs are places of their own only if they share a case on one device."""
    cases = pd.concat([run.rows for run in runs], ignore_index=True)
    overlap = cases.duplicated(CASE).any()
    cases[PLACE] = cases["device"] + ", run " + cases["run"] if overlap else cases["device"]
    cases[PROBLEM] = cases.groupby([PLACE, "scope", "mode", *COORDINATES], dropna=False).ngroup()
    for name, known in {PLACE: cases[PLACE].unique(), **_ORDERS}.items():
        categories = in_known_order(cases[name].unique(), list(known))
        cases[name] = pd.Categorical(cases[name], categories, ordered=True)
    return cases.sort_values([PLACE, "scope"], kind="stable", ignore_index=True)


def implementations(cases: pd.DataFrame) -> pd.DataFrame:
    """The cases of implementations: yardsticks are other functions, which nothing is compared with."""
    return cases[cases["kind"] == KINDS[0]]


def group_rows(cases: pd.DataFrame) -> list[Group]:
    """The pooled rows, parted by place and scope."""
    parts = cases.groupby([PLACE, "scope"], observed=True)
    return [Group(str(place), str(scope), rows) for (place, scope), rows in parts]


def in_known_order(names: Iterable[str], known: Sequence[str]) -> list[str]:
    """The names, known ones first and in their order."""
    return sorted(names, key=lambda name: (known.index(name) if name in known else len(known), name))


def coordinates(rows: pd.DataFrame) -> pd.DataFrame:
    """The rows' parameters; padding that keeps the size is "same", and so does not vary with k."""
    points = rows[COORDINATES].astype(object)
    points = points.where(points.notna(), "")
    k, dilation, padding = (pd.to_numeric(rows[name], "coerce") for name in ("kernel_size", "dilation", "padding"))
    same = (k % 2 == 1) & (padding == dilation.fillna(1) * (k - 1) // 2)
    points["padding"] = points["padding"].mask(same.fillna(value=False).astype(bool), "same")
    return points


def describe(base: pd.Series) -> str:
    """A point in words."""
    at = {str(name): value for name, value in base.items() if value != ""}
    parts = []
    if at.get("height") == at.get("width") and "height" in at:
        parts.append(f"{show(at.pop('height'))}×{show(at.pop('width'))} pixels")
    return ", ".join([*parts, *(f"{name.replace('_', ' ')} {show(value)}" for name, value in at.items())])


def _ordered(values: Iterable[Value]) -> list[Value]:
    """The values once each, numbers before texts."""
    return sorted(set(values), key=lambda value: (isinstance(value, str), value))


def _problem_labels(points: pd.DataFrame) -> pd.Series:
    """A label for each point's sizes, as 64×112² s2; a stride of 1 goes without saying."""
    channels, height, width, stride = (points[name].map(show) for name in _PROBLEM_AXIS.columns)
    size = (height + "²").where(height == width, height + "×" + width)
    return channels + "×" + size + (" s" + stride).mask(stride == "1", "")


def _elsewhere(axis: Axis) -> list[str]:
    return [name for name in COORDINATES if name not in axis.columns]


def _on(points: pd.DataFrame, axis: Axis) -> pd.Series:
    """Which points may lie on the axis: parameters that vary together are equal."""
    return points[list(axis.columns)].eq(points[axis.columns[0]], axis=0).all(axis=1)


def _base(points: pd.DataFrame) -> pd.Series:
    rows = pd.Series(0, points.index)
    offsets = pd.Series(0.0, points.index)
    for axis in AXES:
        on = points[_on(points, axis)]
        together = on.groupby(_elsewhere(axis), sort=False)[axis.columns[0]].transform("size")
        rows = rows.add(together, fill_value=0)
    for name in COORDINATES:
        order = _ordered(points[name])
        offset = {value: abs(2 * i - len(order) + 1) / len(order) for i, value in enumerate(order)}
        offsets += points[name].map(offset)
    most = rows == rows.max()
    return points[most].iloc[int(offsets[most].argmin())]


def _slice(axis: Axis, group: Group) -> Slice:
    elsewhere = _elsewhere(axis)
    here = _on(group.points, axis) & (group.points[elsewhere] == group.base[elsewhere]).all(axis=1)
    along = group.points.loc[here, axis.columns[0]]
    return Slice(axis, group.rows[here], along, _ordered(set(along) - {""}))
