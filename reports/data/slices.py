"""Groups of comparable rows, the swept axes in them, and the one-at-a-time slice along each axis."""

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property

import pandas as pd

from ..style import Value, show
from .parameters import (
    COORDINATES,
    IMAGE,
    KEYS,
    NETWORK,
    OF_NETWORKS,
    PLACE,
    PROBLEM_AXIS,
    SETTING,
    SWEPT_AXES,
    SweptAxis,
)

_MOST_PROBLEMS = 12


@dataclass(frozen=True)
class Slice:
    """The rows that differ from the base along one axis only, where each is on it, and its values in order."""

    axis: SweptAxis
    rows: pd.DataFrame
    along: pd.Series
    ticks: list[Value]

    def of(self, rows: pd.DataFrame) -> "Slice":
        """The slice with those of its rows alone."""
        return Slice(self.axis, rows, self.along[rows.index], self.ticks)


@dataclass(frozen=True)
class Group:
    """Rows that may share a figure: of one place (device, and run where runs overlap), scope, dtype and cache.

    `label` tells it from the report's other groups in words, `slug` in a file's name.
    """

    key: tuple[str, ...]
    rows: pd.DataFrame
    label: str = ""
    slug: str = ""

    @property
    def scope(self) -> str:
        """`operator` or `layer`."""
        return self.key[1]

    @cached_property
    def points(self) -> pd.DataFrame:
        """Each row's coordinates, "" where there is none."""
        return coordinates(self.rows)

    @cached_property
    def base(self) -> pd.Series:
        """The point whose slices hold the most points; of several, the one in the middle."""
        return _base(self.points.drop_duplicates())

    @cached_property
    def at_base(self) -> pd.DataFrame:
        """For each row and coordinate, whether it is the base's."""
        return self.points.eq(self.base, axis=1)

    def like_base(self, free: Collection[str]) -> pd.Series:
        """Which rows are at the base in all coordinates but those that are free."""
        return self.at_base[[name for name in COORDINATES if name not in free]].all(axis=1)

    @cached_property
    def slices(self) -> list[Slice]:
        """A slice for each axis that has more than one value while everything else is as at the base."""
        found = (_slice(axis, self) for axis in SWEPT_AXES)
        return [one for one in found if len(one.ticks) > 1]

    @cached_property
    def problems(self) -> Slice | None:
        """The base and the points off all slices that differ from it in sizes and stride, as the stages of a network.

        None where there are fewer than two of them, or too many for one figure.
        """
        off = pd.Series(data=True, index=self.rows.index)
        for one in self.slices:
            off[one.rows.index] = False
        here = self.like_base(PROBLEM_AXIS.columns) & (off | self.like_base(()))
        labels = _problem_labels(self.points[here])
        ticks: list[Value] = list(labels.unique())
        return Slice(PROBLEM_AXIS, self.rows[here], labels, ticks) if 1 < len(ticks) <= _MOST_PROBLEMS else None

    @cached_property
    def modes(self) -> list[str]:
        """The modes present, forward first."""
        return list(self.rows["mode"].sort_values().unique())

    @property
    def off_slices(self) -> int:
        """How many rows no slice holds."""
        on = {index for one in (*self.slices, self.problems) if one for index in one.rows.index}
        return len(self.rows) - len(on)


def group_rows(cases: pd.DataFrame) -> list[Group]:
    """The pooled rows of operator and layer, parted by place, scope and setting; a network's rows are none of them."""
    keys = KEYS[:-2]
    sized = cases[cases["scope"] != NETWORK]
    parts = [(key, rows) for key, rows in sized.groupby(keys, observed=True) if isinstance(key, tuple)]
    varying = [name for name in keys if name == "scope" or len(sized[name].unique()) > 1]
    places = list(sized[PLACE].unique())
    groups = []
    for key, rows in parts:
        words = {name: str(value) for name, value in zip(keys, key, strict=True) if name in varying}
        slugs = {**words, PLACE: f"place{places.index(key[0])}"} if PLACE in words else words
        label = ", ".join(words[name] for name in ("scope", *SETTING, PLACE) if name in words)
        groups.append(Group(tuple(map(str, key)), rows, label, "_".join(slugs.values())))
    return groups


def coordinates(rows: pd.DataFrame) -> pd.DataFrame:
    """The rows' parameters; padding that keeps the size is "same", and so does not vary with k."""
    points = rows[COORDINATES].astype(object)
    points = points.where(points.notna(), "")
    k, dilation, padding = (pd.to_numeric(rows[name], "coerce") for name in ("kernel_size", "dilation", "padding"))
    same = (k % 2 == 1) & (padding == dilation.fillna(1) * (k - 1) // 2)
    points["padding"] = points["padding"].mask(same.fillna(value=False).astype(bool), "same")
    return points


def describe(base: pd.Series) -> str:
    """A point of an operator or a layer in words."""
    at = {str(name): value for name, value in base.items() if value != "" and name not in OF_NETWORKS}
    parts = []
    if at.get("height") == at.get("width") and "height" in at:
        parts.append(f"{show(at.pop('height'))}×{show(at.pop('width'))} pixels")
    return ", ".join([*parts, *(f"{name.replace('_', ' ')} {show(value)}" for name, value in at.items())])


def ordered(values: Iterable[Value]) -> list[Value]:
    """The values once each, numbers before texts."""
    return sorted(set(values), key=lambda value: (isinstance(value, str), value))


def _problem_labels(points: pd.DataFrame) -> pd.Series:
    """A label for each point's sizes, as 64×112² s2; a stride of 1 goes without saying."""
    channels, height, width, stride = (points[name].map(show) for name in PROBLEM_AXIS.columns)
    size = (height + "²").where(height == width, height + "×" + width)
    return channels + "×" + size + (" s" + stride).mask(stride == "1", "")


def _elsewhere(axis: SweptAxis) -> list[str]:
    return [name for name in COORDINATES if name not in axis.columns]


def _on(points: pd.DataFrame, axis: SweptAxis) -> pd.Series:
    """Which points may lie on the axis: parameters that vary together are equal."""
    return points[list(axis.columns)].eq(points[axis.columns[0]], axis=0).all(axis=1)


def _base(points: pd.DataFrame) -> pd.Series:
    rows = pd.Series(0, points.index)
    offsets = pd.Series(0.0, points.index)
    for axis in SWEPT_AXES:
        on = points[_on(points, axis)]
        together = on.groupby(_elsewhere(axis), sort=False)[axis.columns[0]].transform("size")
        rows = rows.add(together, fill_value=0)
    for name in COORDINATES:
        order = ordered(points[name])
        offset = {value: abs(2 * i - len(order) + 1) / len(order) for i, value in enumerate(order)}
        offsets += points[name].map(offset)
    most = rows == rows.max()
    return points[most].iloc[int(offsets[most].argmin())]


def _slice(axis: SweptAxis, group: Group) -> Slice:
    here = group.like_base(axis.columns)
    here[here] = _on(group.points[here], axis)
    along = group.points.loc[here, axis.columns[0]]
    return Slice(axis, group.rows[here], along, ordered(set(along) - {""}))


def plane(group: Group, across: Sequence[str]) -> pd.DataFrame:
    """The rows that differ from the base in the two parameters alone; resolution is height and width, equal."""
    free = {name for parameter in across for name in (IMAGE if parameter == "resolution" else (parameter,))}
    here = group.like_base(free)
    if "resolution" in across:
        here &= group.points["height"] == group.points["width"]
    return group.rows[here]
