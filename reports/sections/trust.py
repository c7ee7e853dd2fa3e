"""The section on trust: where the numbers are from, how noisy they are, what was lost, and how to make them again."""

from collections.abc import Sequence
from typing import Any

import pandas as pd

from bench import SUITE

from ..data.environments import command_of, environment_table
from ..data.parameters import KEYS, PLACE
from ..data.rows import ReportedRun, measured
from ..report import Figure, Section, Table
from ..style import counted
from .material import Material
from .rows import placed

_STOPS = {
    "interval": "the interval was narrow enough",
    "seconds": "the time of the case was over",
    "samples": "there were enough samples",
    "rounds": "all rounds were done",
    "deadline": "the run's time was over after some of the rounds",
}
_SAMPLES = (
    "Samples behind the numbers. The spread is p80 less p20 over the median; outliers are marked and kept; tainted are "
    "cases in which the GPU was throttled or its clock moved."
)


def section(material: Material) -> Section:
    """The commands, the noise, the checks, the statuses and the environment."""
    text = [f"{run.name} was made by `{command_of(run)}`{_commit(run)}." for run in material.runs]
    text += [f"The report is made again by `{material.studio.command}`, and a figure alone with --figure NAME."]
    text += [sentence for run in material.runs for sentence in (_noise(run), *_notes(run))]
    text += _tainted(material.cases)
    tables = [
        status_table(material.cases),
        sample_table(material.cases),
        stop_table(material.cases),
        _checks(material.runs),
    ]
    tables += [environment_table(material.runs)]
    return Section(
        "trust",
        "Trust",
        text,
        [table for table in tables if len(table.frame)],
        closed="Statuses, samples, machine, commands",
    )


def command_table(figures: Sequence[Figure]) -> Table:
    """The command that makes each figure again."""
    frame = pd.DataFrame([(figure.name, figure.title, figure.command) for figure in figures])
    return Table(
        "figures", "The command that makes each figure again.", frame.set_axis(["figure", "title", "command"], axis=1)
    )


def _commit(run: ReportedRun) -> str:
    code = run.environment.get("code")
    commit = code.get("git_commit") if isinstance(code, dict) else None
    if not commit or not isinstance(code, dict):
        return ""
    return f" at commit {str(commit)[:12]}{', with changes that were not committed' if code.get('git_dirty') else ''}"


def _noise(run: ReportedRun) -> str:
    doctor = run.environment.get("doctor")
    floor = doctor.get("noise_floor") if isinstance(doctor, dict) else None
    if not isinstance(floor, int | float):
        return f"The noise floor of {run.name} is not known: `{SUITE} doctor` measures it before a run."
    return f"The noise floor of {run.name} is {floor:.1%}, as doctor measured it: smaller differences say nothing."


def _notes(run: ReportedRun) -> list[str]:
    notes = run.environment.get("notes")
    return [f"{run.name}: {note}." for note in notes] if isinstance(notes, list) else []


def _tainted(cases: pd.DataFrame) -> list[str]:
    """What was throttled, and by what."""
    tainted = cases["tainted"] == "True"
    if not cases["tainted"].notna().any():
        return ["Whether samples were tainted is not known."] if len(cases) else []
    if not tainted.any():
        return ["No case was tainted by throttling."]
    reasons = cases.loc[tainted, "throttle"].fillna("a clock that moved").value_counts()
    why = ", ".join(f"{count} {reason}" for reason, count in reasons.items())
    count = counted(int(tainted.sum()), "case")
    return [f"{count} of {len(cases)} tainted by throttling ({why}): they count, and are marked."]


def status_table(cases: pd.DataFrame) -> Table:
    """How many cases of each implementation ended how, with the reasons given."""
    keys = [PLACE, "scope", "implementation", "status"]
    reasons = cases.assign(reason=cases["reason"].mask(cases["status"] == "ok"))
    counts = reasons.groupby([*keys, "reason"], observed=True, dropna=False, sort=False).size()
    frame = counts.reset_index(name="cases")[[*keys, "cases", "reason"]]
    return placed("statuses", "How the cases ended.", frame)


def sample_table(cases: pd.DataFrame) -> Table:
    """How many samples stand behind the numbers, how far they spread, and what is odd about them."""
    low, middle, high = (measured(cases, f"latency_{name}ms") for name in ("p20_", "", "p80_"))
    found = cases[KEYS].assign(
        samples=measured(cases, "samples"),
        spread=(high - low) / middle,
        outliers=pd.to_numeric(cases["outliers"], errors="coerce").astype(float),
        tainted=cases["tainted"] == "True",
    )
    numbers = {
        "measured": ("samples", "size"),
        "least samples": ("samples", "min"),
        "median samples": ("samples", "median"),
        "median spread": ("spread", "median"),
        "worst spread": ("spread", "max"),
        "outliers": ("outliers", "sum"),
        "tainted cases": ("tainted", "sum"),
    }
    frame = found[cases["status"] == "ok"].groupby(KEYS, observed=True).agg(**numbers).reset_index()
    return placed("samples", _SAMPLES, frame)


def stop_table(cases: pd.DataFrame) -> Table:
    """Why the measuring of cases stopped, and with which timer."""
    found = cases[(cases["status"] == "ok") & cases["stop"].notna()]
    frame = found.groupby([PLACE, "timer", "stop"], observed=True, dropna=False).size().reset_index(name="cases")
    frame["meaning"] = frame["stop"].map(_STOPS)
    return placed("stops", "Why measuring stopped, by timer.", frame)


def _checks(runs: Sequence[ReportedRun]) -> Table:
    """What doctor checked on the device of each run."""
    rows: list[dict[str, Any]] = []
    for run in runs:
        doctor = run.environment.get("doctor")
        checks = doctor.get("checks") if isinstance(doctor, dict) else None
        rows += [{"run": run.name, **check} for check in checks or [] if isinstance(check, dict)]
    return Table("doctor", "What doctor found on the device.", pd.DataFrame(rows), frozenset({"run"}))
