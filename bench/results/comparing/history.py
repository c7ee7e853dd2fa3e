"""A case over many runs: its times in the order of the runs, and where they changed. Free of torch.

A run is compared with the one in which the last change was found, or the first: a drift in small steps is found once it
is larger than the margin. A change is what `compare` calls slower or faster, the whole interval beyond the margin: a
least effect and significance, both.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from ...errors import RunFolderError, UsageError
from ..columns import PARAMETERS
from ..folder import RunFolder
from ..reading import Key, Run, read_run
from .comparison import margin_between
from .intervals import devices_of
from .verdicts import FASTER, SLOWER, Judging, Pair, pair_of, time_of

CHANGED = frozenset({FASTER, SLOWER})


@dataclass(frozen=True)
class Point:
    """A case in one run, compared with an earlier one; nothing to compare it with is there in the first."""

    run: Run
    key: Key
    against: Run | None = None
    pair: Pair | None = None

    @property
    def latency_ms(self) -> float | None:
        """The median; None unless the case is ok."""
        return time_of(self.run.rows[self.key])

    @property
    def is_change(self) -> bool:
        """Whether a new level begins here."""
        return self.pair is not None and self.pair.verdict in CHANGED

    @property
    def commit(self) -> str:
        """The commit in short, a + behind it where files differed from it."""
        code = self.run.environment.get("code") or {}
        return f"{code.get('git_commit') or ''}"[:10] + ("+" if code.get("git_dirty") else "")


@dataclass(frozen=True)
class Series:
    """A case on one device, over the runs that have it."""

    device: str
    key: Key
    points: Sequence[Point]

    @property
    def changes(self) -> list[Point]:
        """Where a new level begins."""
        return [point for point in self.points if point.is_change]


def read_runs(folder: Path) -> tuple[list[Run], list[str]]:
    """The runs in a folder, the oldest first, and sentences on what was left out.

    Raises:
        RunFolderError: There is none, or one cannot be read.
    """
    found, warnings = [], []
    for path in sorted(path.parent for path in folder.glob("*/environment.json")):
        files = RunFolder(path)
        if not (files.rows_path.exists() or files.csv_path.exists()):
            warnings.append(f"{path} has no rows: left out")
            continue
        run = read_run(path)
        warnings += [f"{path}: {warning}" for warning in run.warnings]
        if len(devices := devices_of(run)) != 1:
            warnings.append(f"{path} ran on {len(devices)} devices: left out")
            continue
        found.append(run)
    if not found:
        raise RunFolderError(f"{folder} holds no run folders whose cases could be followed")
    return sorted(found, key=lambda run: str(run.environment.get("started", ""))), warnings


def histories(runs: Sequence[Run], where: Mapping[str, Collection[str]], settings: Judging) -> list[Series]:
    """Every case that is asked for, device by device.

    Args:
        runs: The oldest first, each of one device.
        where: Of some columns the values that are asked for; "device" is one of them.
        settings: How two runs are compared.

    Raises:
        UsageError: No run has such a case.
    """
    places: dict[tuple[str, Key], list[Run]] = {}
    for run in runs:
        (device,) = devices_of(run)
        for key in run.rows:
            places.setdefault((device, key), []).append(run)
    chosen = _chosen(list(places), where)
    margins: dict[tuple[Path, Path], float] = {}
    return [Series(*place, _points(place[1], places[place], settings, margins)) for place in chosen]


def _chosen(places: Sequence[tuple[str, Key]], where: Mapping[str, Collection[str]]) -> Sequence[tuple[str, Key]]:
    for name, wanted in where.items():
        values = {_value(place, name) for place in places}
        if strange := sorted(set(wanted) - values):
            raise UsageError(
                f"no case that is left has {name}={strange[0]}: {name} is {', '.join(sorted(values)) or 'nothing'}"
            )
        places = [place for place in places if _value(place, name) in wanted]
    return places


def _value(place: tuple[str, Key], name: str) -> str:
    device, key = place
    return device if name == "device" else key[PARAMETERS.index(name)]


def _points(
    key: Key, runs: Sequence[Run], settings: Judging, margins: dict[tuple[Path, Path], float]
) -> Sequence[Point]:
    """The case in each run; `margins` keeps what two runs are compared by, which all their cases share."""
    level: Run | None = None
    points = []
    for run in runs:
        pair = None
        if level is not None:
            both = (level.path, run.path)
            if both not in margins:
                margins[both] = margin_between(level, run, settings)[0]
            pair = pair_of(key, level, run, margins[both], settings)
        point = Point(run, key, level, pair)
        points.append(point)
        if point.latency_ms is not None and (level is None or point.is_change):
            level = run
    return points
