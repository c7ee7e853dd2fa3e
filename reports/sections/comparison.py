"""The section on several runs: GPUs or commits side by side, and what may be said of their differences."""

import numpy as np
import pandas as pd

from bench import REPORTS, SUITE
from bench.errors import RunFolderError
from bench.results.comparing.comparison import Comparison, compare
from bench.results.comparing.verdicts import Judging
from bench.results.reading import read_run

from ..data.environments import differences
from ..data.parameters import COORDINATES, SETTING, implementations
from ..data.rows import ReportedRun, measured
from ..data.speedups import mean_ratio
from ..drawing.panels import Line, Panel
from ..report import Figure, Section, Table
from ..style import Value, counted, times
from .material import Material

_EMPTY = f"This is one run. To fill this: `{REPORTS} RUN RUN --out DIR`."
_CASE = ["scope", *(name for name in COORDINATES if name not in SETTING), *SETTING, "mode", "implementation"]
_FIRST = ("verdict", "implementation", "mode", "A (ms)", "B (ms)", "B/A")
_KEYS = ["scope", *SETTING, "mode", "implementation"]
_SIDES = (
    "Latencies side by side in ms: geometric means over the cases that every run has a time for; of different devices "
    "they say which device is faster, not which code."
)
# A bootstrap for each pair takes milliseconds; more pairs than this are left to the command.
_MOST_PAIRS = 4000
_MOST_POINTS = 250
# More figures than this make the page slow.
_MOST_FIGURES = 6


def section(material: Material) -> Section:
    """The runs side by side, and each against the first with compare's verdicts, or why that is refused."""
    if len(material.runs) < 2:
        return Section("runs", "Several runs", empty=_EMPTY)
    differing = differences(material.runs)
    text = [f"The runs differ in {', '.join(differing)}."] if differing else []
    sides = _side_by_side(material)
    tables, figures = [sides] if len(sides.frame) else [], []
    told = {warning for run in material.runs for warning in run.warnings}
    for number, run in enumerate(material.runs[1:], 1):
        judged = judge(material.runs[0], run)
        if isinstance(judged, str):
            text.append(judged)
            continue
        text.append(_sentence(judged, material.runs[0], run))
        text += [warning for warning in judged.warnings if f"{warning}." not in told]
        tables += [table for table in [_pairs(judged, run, number)] if len(table.frame)]
        figures += _figures(judged, material, run, number)
    shown, rest = material.studio.limited(figures, _MOST_FIGURES)
    return Section("runs", "Several runs", [*text, *rest], tables, shown)


def judge(a: ReportedRun, b: ReportedRun) -> Comparison | str:
    """The comparison of two runs, or a sentence on why there is none."""
    command = f"`{SUITE} compare {a.argument} {b.argument}`"
    if max(len(a.rows), len(b.rows)) > _MOST_PAIRS:
        return f"{b.name} is not compared with {a.name} here, more than {_MOST_PAIRS} cases take long: {command}."
    try:
        return compare(read_run(a.path), read_run(b.path), Judging())
    except RunFolderError as error:
        return f"{b.name} is not compared with {a.name}: {error}."


def _sentence(judged: Comparison, a: ReportedRun, b: ReportedRun) -> str:
    mean, pairs = judged.mean
    counts = ", ".join(f"{count} {verdict}" for verdict, count in judged.counts.items()) or "no cases"
    ratio = "no pair has a time in both" if mean is None else f"{times(mean)} its time over {counted(pairs, 'pair')}"
    lost = "; ".join(f"{count} {why}" for why, count in judged.left_out.items())
    text = f"{b.name} against {a.name}: {ratio} ({counts})"
    margin = f"Times within {judged.margin:.1%} are the same: {judged.margin_from}."
    return f"{text}{f', left out: {lost}' if lost else ''}. {margin}"


def _pairs(judged: Comparison, run: ReportedRun, number: int) -> Table:
    """Every pair with its verdict, the worst first."""
    rows = [
        {
            "verdict": f"({pair.verdict})" if pair.yardstick else pair.verdict,
            **{name: pd.to_numeric(value) if value.isdecimal() else value for name, value in pair.parameters.items()},
            "A (ms)": pair.a_ms,
            "B (ms)": pair.b_ms,
            "B/A": pair.ratio,
            "low": pair.interval.low if pair.interval else None,
            "high": pair.interval.high if pair.interval else None,
            "why": pair.why or None,
        }
        for pair in judged.pairs
    ]
    caption = f"B is {run.name}, A the first run; verdicts of yardsticks are in brackets, and decide nothing."
    frame = pd.DataFrame(rows)
    folding = frozenset(frame.columns) - {"verdict", "implementation", "mode"}
    return Table(f"compare{number}", caption, frame, folding, browsable=True, first=_FIRST)


def _figures(judged: Comparison, material: Material, run: ReportedRun, number: int) -> list[Figure]:
    """Each pair's ratio with its interval, in order of size."""
    pairs = [pair for pair in judged.pairs if pair.ratio is not None]
    if not pairs:
        return []
    pairs.sort(key=lambda pair: pair.ratio or 0)
    if len(pairs) > _MOST_POINTS:
        pairs = [pairs[int(place)] for place in np.linspace(0, len(pairs) - 1, _MOST_POINTS)]
    points = pd.DataFrame(
        {
            "x": float(place),
            "y": pair.ratio,
            "low": pair.interval.low if pair.interval else pair.ratio,
            "high": pair.interval.high if pair.interval else pair.ratio,
            "name": pair.parameters["implementation"],
        }
        for place, pair in enumerate(pairs, 1)
    )
    lines = [Line(str(name), its.drop(columns="name"), joined=False) for name, its in points.groupby("name")]
    ends = pd.Series([0.5, len(pairs) + 0.5])
    edges = {
        f"margin of {judged.margin:.1%}": pd.DataFrame(
            {"x": [*ends, np.nan, *ends], "y": [1 + judged.margin] * 2 + [np.nan] + [1 / (1 + judged.margin)] * 2}
        )
    }
    ticks: list[Value] = [
        float(place) for place in dict.fromkeys(np.linspace(1, len(pairs), min(8, len(pairs))).astype(int))
    ]
    panel = Panel("", "cases, in order of the ratio", "time of B over time of A", lines, ticks, False, references=edges)
    title = f"{run.name} against {material.runs[0].name}"
    caption = "Each case's ratio of medians with its 99 % interval; within the dashed margin times are the same."
    return [material.studio.panels(("compare", str(number)), title, caption, [panel], 1)]


def _side_by_side(material: Material) -> Table:
    """Geometric-mean latencies of each run over the cases that all of them have."""
    frames = [
        implementations(run.rows).assign(ms=measured(implementations(run.rows), "latency_ms"), run=run.name)
        for run in material.runs
    ]
    found = pd.concat(frames, ignore_index=True).dropna(subset="ms")
    # A coordinate that a scope does not have is a value like any other.
    found[_CASE] = found[_CASE].astype(object).where(found[_CASE].notna(), "")
    wide = found.pivot_table("ms", _CASE, "run", sort=False) if len(found) else pd.DataFrame()
    names = [run.name for run in material.runs if run.name in wide]
    if len(names) < len(material.runs):
        return Table("sides", _SIDES, pd.DataFrame())
    shared = wide.dropna()
    means = shared.groupby(level=_KEYS, sort=False)[names].agg(mean_ratio)
    means.insert(0, "cases", shared.groupby(level=_KEYS, sort=False).size())
    return Table("sides", _SIDES, means.reset_index(), frozenset({"scope", *SETTING}))
