"""Profiles that `python -m bench profile RUN:LINE` left beside a run: the page that belongs to each row."""

import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pandas as pd

from bench.results.columns import PARAMETERS

from ..style import counted
from .rows import ReportedRun

COLUMN = "profile"
_PAGE = "profile.md"


def with_profiles(runs: Sequence[ReportedRun], out: Path) -> list[ReportedRun]:
    """The runs with a column `profile`, the page's address as seen from the folder `out`, where a row has one."""
    return [_linked(run, out) for run in runs]


def _linked(run: ReportedRun, out: Path) -> ReportedRun:
    rows, warnings = run.rows.copy(), list(run.warnings)
    unread = 0
    for file in sorted(run.path.glob("profiles/*/profile.json")):
        page = file.with_name(_PAGE)
        summary = _summary(file)
        if summary is None or not page.exists():
            unread += 1
            continue
        address = Path(os.path.relpath(page.resolve(), out.resolve())).as_posix()
        rows.loc[_rows_of(rows, summary), COLUMN] = address
    if unread:
        warnings.append(f"{counted(unread, 'profile')} in {run.name}/profiles cannot be read; left out.")
    return replace(run, rows=rows, warnings=warnings)


def _summary(file: Path) -> Mapping[str, Any] | None:
    """What profile.json says, None unless it names a case."""
    try:
        found = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return found if isinstance(found, dict) and found.keys() >= set(PARAMETERS) else None


def _rows_of(rows: pd.DataFrame, summary: Mapping[str, Any]) -> "pd.Series[bool]":
    """Which rows are of the case that was profiled."""
    same = pd.Series(data=True, index=rows.index)
    for name in PARAMETERS:
        same &= rows[name].astype("string").fillna("") == str(summary[name])
    return same
