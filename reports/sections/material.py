"""What the sections of a report are made from."""

import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import pandas as pd

from bench import REPORTS
from bench.results.comparing.intervals import DEFAULT_FLOOR

from ..data.parameters import PLACE, pool, yardsticks
from ..data.rows import ReportedRun
from ..data.slices import Group, group_rows
from ..drawing.figures import Studio
from ..style import looks


@dataclass(frozen=True)
class Material:
    """The runs, their pooled cases, the groups of comparable ones, and what figures are drawn with."""

    runs: Sequence[ReportedRun]
    cases: pd.DataFrame
    groups: Sequence[Group]
    studio: Studio

    @cached_property
    def devices(self) -> Mapping[str, Mapping[str, Any]]:
        """What the environments say of each place's device, with what the doctor found under `doctor`."""
        found: dict[str, Mapping[str, Any]] = {}
        places = self.cases[[PLACE, "device", "run"]].drop_duplicates().itertuples(index=False)
        for place, device, name in places:
            for run in self.runs:
                of = run.environment.get("device")
                if run.name == name and isinstance(of, dict) and of.get("name", device) == device:
                    doctor = run.environment.get("doctor")
                    found.setdefault(str(place), {**of, "doctor": doctor if isinstance(doctor, dict) else {}})
        return found

    def floor(self, place: str) -> float:
        """The share by which two measurements of one thing differ there: doctor's, or what is usual."""
        of = self.devices.get(place, {})
        found = of.get("doctor", {}).get("noise_floor")
        usual = DEFAULT_FLOOR.get(str(of.get("type")), max(DEFAULT_FLOOR.values()))
        return float(found) if isinstance(found, int | float) and 0 <= found < 1 else usual


def material_of(runs: Sequence[ReportedRun], *, whole: bool = False) -> Material:
    """What the sections are made from; a `whole` report leaves no figure out."""
    cases = pool(runs)
    shown = looks(cases["implementation"].unique(), yardsticks(cases)["implementation"].unique())
    out = " --out DIR" if len(runs) > 1 else ""
    command = f"{REPORTS} {shlex.join(run.argument for run in runs)}{out}"
    return Material(runs, cases, group_rows(cases), Studio(shown, command, whole))
