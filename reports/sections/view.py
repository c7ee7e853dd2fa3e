"""What the sections of a report are made from."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import pandas as pd

from bench.results.intervals import DEFAULT_FLOOR

from ..data.parameters import PLACE
from ..data.rows import Run, columns
from ..data.slices import Group
from ..drawing.figures import Studio


@dataclass(frozen=True)
class View:
    """The runs, their pooled cases, the groups of comparable ones, and what figures are drawn with."""

    runs: Sequence[Run]
    cases: pd.DataFrame
    groups: Sequence[Group]
    studio: Studio

    @cached_property
    def devices(self) -> Mapping[str, Mapping[str, Any]]:
        """What the environments say of each place's device, with what the doctor found under `doctor`."""
        found: dict[str, Mapping[str, Any]] = {}
        places = columns(self.cases, (PLACE, "device", "run")).drop_duplicates().itertuples(index=False)
        for place, device, name in places:
            for run in self.runs:
                of = run.environment.get("device")
                if len(self.runs) > 1 and run.name != name:
                    continue
                if isinstance(of, dict) and of.get("name", device) == device:
                    doctor = run.environment.get("doctor")
                    found.setdefault(str(place), {**of, "doctor": doctor if isinstance(doctor, dict) else {}})
        return found

    def floor(self, place: str) -> float:
        """The share by which two measurements of one thing differ there: doctor's, or what is usual."""
        of = self.devices.get(place, {})
        found = of.get("doctor", {}).get("noise_floor")
        usual = DEFAULT_FLOOR.get(str(of.get("type")), max(DEFAULT_FLOOR.values()))
        return float(found) if isinstance(found, int | float) and 0 <= found < 1 else usual
