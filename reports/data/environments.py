"""Where and how runs were made, as tables, and in what they differ."""

import shlex
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import pandas as pd

from ..report import Table
from .rows import ReportedRun

_COMPARED = ("torch", "triton", "python", "cuda", "driver", "git_commit", "git_dirty", "cpu", "cores", "name")
# What environment.json says beside the run's own machine and code, in keys of the same names.
_ASIDE = frozenset({"devices", "doctor", "sweep"})
# Whole environments of other runs: those that this one continued, and those that it was merged from.
_OTHERS = frozenset({"earlier", "parts"})
_CAPTION = "Where and how it was measured: all of environment.json, but for what doctor found."


def environment_table(runs: Sequence[ReportedRun]) -> Table:
    """Everything environment.json holds, nested keys with dots, a column for each run."""
    names = ["value"] if len(runs) == 1 else [run.name for run in runs]
    frame = _environments(runs).set_axis(names, axis=1).rename_axis("key").reset_index(allow_duplicates=True)
    return Table("environment", _CAPTION, frame)


def differences(runs: Sequence[ReportedRun]) -> list[str]:
    """Which of the keys that change times differ between the runs."""
    frame = _environments(runs).fillna("")
    differing = frame.index[frame.ne(frame.iloc[:, 0], axis=0).any(axis=1)]
    own = [key for key in differing if key.partition(".")[0] not in _ASIDE]
    return [key for key in own if key.rpartition(".")[2] in _COMPARED]


def command_of(run: ReportedRun) -> str:
    """The command that made the run, as a shell takes it."""
    argv = run.environment.get("argv")
    return shlex.join(map(str, argv)) if isinstance(argv, list) and argv else "not kept"


def _environments(runs: Sequence[ReportedRun]) -> pd.DataFrame:
    columns = [pd.Series(dict(_flatten(_without_checks(run.environment))), dtype="str") for run in runs]
    return pd.concat(columns, axis=1, sort=False)


def _without_checks(environment: Mapping[str, Any]) -> dict[str, Any]:
    """The environment without doctor's checks, which have a table of their own, and without other runs'."""
    doctor = environment.get("doctor")
    kept = {name: value for name, value in environment.items() if name not in _OTHERS}
    if isinstance(doctor, dict):
        kept["doctor"] = {name: value for name, value in doctor.items() if name != "checks"}
    return kept


def _flatten(value: Any, key: str = "") -> Iterator[tuple[str, str]]:
    """Yields (dotted key, text); a command line is quoted as a shell takes it."""
    if isinstance(value, Mapping) and value:
        for name, inner in value.items():
            yield from _flatten(inner, f"{key}.{name}" if key else str(name))
    elif isinstance(value, list) and all(isinstance(item, str | int | float) for item in value):
        texts = [str(item) for item in value]
        yield key, shlex.join(texts) if key.rpartition(".")[2] == "argv" else "; ".join(texts)
    elif isinstance(value, list):
        for index, inner in enumerate(value):
            yield from _flatten(inner, f"{key}.{index}")
    else:
        yield key, "" if value is None else str(value)
