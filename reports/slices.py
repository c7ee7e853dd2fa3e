"""Groups of comparable rows, the swept axes in them, and the one-at-a-time slice along each axis."""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property

from bench.results import PARAMETERS
from reports.rows import Row, Run, case_key
from reports.style import Value, show

COORDINATES = tuple(name for name in PARAMETERS if name not in ("implementation", "mode", "scope"))
MODES = ("forward", "backward", "forward_backward")
SCOPES = ("operator", "layer", "network")

Point = tuple[Value, ...]


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
)


@dataclass(frozen=True)
class Slice:
    """The rows that differ from the base along one axis only, and the axis's values in order."""

    axis: Axis
    rows: list[Row]
    values: list[Value]

    def at(self, row: Row) -> Value:
        """The row's value on the axis."""
        return coordinate(row, self.axis.columns[0])


@dataclass(frozen=True)
class Group:
    """Rows that may share a figure: one place (device, and run where runs overlap) and one scope."""

    place: str
    scope: str
    rows: list[Row]

    @property
    def modes(self) -> list[str]:
        """The modes present, forward first."""
        return in_known_order({str(row["mode"]) for row in self.rows}, MODES)

    @cached_property
    def points(self) -> list[Point]:
        """Each row's point."""
        return [tuple(coordinate(row, name) for name in COORDINATES) for row in self.rows]

    @cached_property
    def base(self) -> Point:
        """The point whose slices hold the most rows; of several, the one in the middle."""
        return _base(self.points)

    @cached_property
    def slices(self) -> list[Slice]:
        """A slice for each axis that has more than one value while everything else is as at the base."""
        found = (_slice(axis, self) for axis in AXES)
        return [one for one in found if len(one.values) > 1]


def group_rows(runs: Sequence[Run]) -> list[Group]:
    """All rows, parted by place and scope; runs are parted only if they share a case on one device."""
    cases = Counter(case_key(row) for run in runs for row in run.rows)
    overlap = any(count > 1 for count in cases.values())
    groups: dict[tuple[str, str], list[Row]] = {}
    for run in runs:
        for row in run.rows:
            place = f"{row['device']}, run {run.name}" if overlap else str(row["device"])
            groups.setdefault((place, str(row["scope"])), []).append(row)
    places = list(dict.fromkeys(place for place, _ in groups))
    scopes = in_known_order({scope for _, scope in groups}, SCOPES)
    return [Group(p, s, groups[p, s]) for p in places for s in scopes if (p, s) in groups]


def in_known_order(names: Iterable[str], known: Sequence[str]) -> list[str]:
    """The names, known ones first and in their order."""
    return sorted(names, key=lambda name: (known.index(name) if name in known else len(known), name))


def coordinate(row: Row, name: str) -> Value:
    """The row's parameter; padding that keeps the size is "same", and so does not vary with k."""
    value = row.get(name)
    if name != "padding":
        return value
    kernel_size, dilation = row.get("kernel_size"), row.get("dilation", 1)
    if not isinstance(kernel_size, int) or not isinstance(dilation, int) or not isinstance(value, int):
        return value
    return "same" if kernel_size % 2 and value == dilation * (kernel_size - 1) // 2 else value


def sort_key(value: Value) -> tuple[int, float, str]:
    """Orders numbers before texts before nothing."""
    if isinstance(value, str):
        return (1, 0.0, value)
    return (2, 0.0, "") if value is None else (0, float(value), "")


def describe(base: Point) -> str:
    """A point in words."""
    at = dict(zip(COORDINATES, base, strict=True))
    square = at["height"] == at["width"]
    parts = [f"{show(at['height'])}×{show(at['width'])} pixels"] if square else []
    skipped = ("height", "width") if square else ()
    for name, value in at.items():
        if name not in skipped and value is not None:
            parts.append(f"{name.replace('_', ' ')} {show(value)}")
    return ", ".join(parts)


def _elsewhere(point: Point, axis: Axis) -> Point:
    return tuple(value for name, value in zip(COORDINATES, point, strict=True) if name not in axis.columns)


def _on(point: Point, axis: Axis) -> bool:
    """Whether a point may lie on the axis: parameters that vary together are equal."""
    values = {value for name, value in zip(COORDINATES, point, strict=True) if name in axis.columns}
    return len(values) == 1


def _base(points: list[Point]) -> Point:
    on_slice = {axis.name: Counter(_elsewhere(p, axis) for p in points if _on(p, axis)) for axis in AXES}
    ranks = [sorted({p[i] for p in points}, key=sort_key) for i in range(len(COORDINATES))]

    def merit(point: Point) -> tuple[int, float]:
        rows = sum(on_slice[axis.name][_elsewhere(point, axis)] for axis in AXES if _on(point, axis))
        offsets = (abs(2 * r.index(value) - len(r) + 1) / len(r) for value, r in zip(point, ranks, strict=True))
        return rows, -sum(offsets)

    return max(dict.fromkeys(points), key=merit)


def _slice(axis: Axis, group: Group) -> Slice:
    elsewhere = _elsewhere(group.base, axis)
    found = zip(group.rows, group.points, strict=True)
    rows = [row for row, point in found if _elsewhere(point, axis) == elsewhere and _on(point, axis)]
    values = {coordinate(row, axis.columns[0]) for row in rows} - {None}
    return Slice(axis, rows, sorted(values, key=sort_key))
