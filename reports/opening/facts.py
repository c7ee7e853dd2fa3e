"""What was measured, when and with what; and how far the numbers may be trusted."""

from collections.abc import Mapping
from typing import Any

import pandas as pd

from bench import SUITE

from ..data.rows import ReportedRun, measured
from ..report import Mark
from ..sections.material import Material

# Up to this noise, two measurements of one thing are near enough to call a machine quiet.
_QUIET = 0.05
_VERSIONS = ("torch", "triton", "cuda", "python")


def title(material: Material) -> str:
    """The heading: on what was measured."""
    devices = sorted(material.cases["device"].unique())
    return f"Local relation layer on {' and '.join(devices)}" if devices else "Local relation layer"


def facts(material: Material) -> list[str]:
    """For each run its name, date, commit and versions."""
    return [" · ".join(filter(None, (run.name, _date(run), _commit(run), _versions(run)))) for run in material.runs]


def marks(material: Material) -> list[Mark]:
    """How noisy the machine was, and whether it was throttled."""
    if material.cases.empty:
        return []
    found = [_noise(material)]
    tainted = int((material.cases["tainted"] == "True").sum())
    if tainted:
        why = f"{tainted} of {len(material.cases)} cases were throttled, or the clock moved: they count, and are marked"
        found.append(Mark("throttled", why, warning=True))
    return found


def _noise(material: Material) -> Mark:
    """By doctor's noise floor, or by how narrow the intervals of the medians are."""
    floors = [floor for run in material.runs if (floor := _floor(run)) is not None]
    if floors:
        noise, why = max(floors), "two measurements of one thing differ by up to this, as doctor measured it"
    else:
        ends = [measured(material.cases, f"latency_{end}_ms") for end in ("low", "high")]
        widths = (ends[1] - ends[0]) / 2 / measured(material.cases, "latency_ms")
        if widths.isna().all():
            return Mark("noise not known", f"`{SUITE} doctor` measures it before a run", warning=True)
        noise, why = (
            float(widths.median()),
            "half of the medians are less sure than this; doctor did not measure the noise",
        )
    if noise <= _QUIET:
        return Mark(f"quiet, ±{noise:.1%}", why)
    return Mark(f"noisy, ±{noise:.0%}", why, warning=True)


def _floor(run: ReportedRun) -> float | None:
    doctor = run.environment.get("doctor")
    floor = doctor.get("noise_floor") if isinstance(doctor, dict) else None
    return float(floor) if isinstance(floor, int | float) and pd.notna(floor) else None


def _date(run: ReportedRun) -> str:
    return str(run.environment.get("started") or "")[:10]


def _commit(run: ReportedRun) -> str:
    code = _of(run.environment, "code")
    commit = str(code.get("git_commit") or "")[:8]
    return f"commit {commit}{' and changes' if code.get('git_dirty') else ''}" if commit else ""


def _versions(run: ReportedRun) -> str:
    versions = _of(run.environment, "versions")
    return ", ".join(f"{name} {versions[name]}" for name in _VERSIONS if versions.get(name))


def _of(environment: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    found = environment.get(name)
    return found if isinstance(found, dict) else {}
