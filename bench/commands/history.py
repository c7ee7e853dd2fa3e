"""`python -m bench history`: a case over many runs as a table and a plot, or all cases in short. Free of torch."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import typer

from ..errors import Exit, UsageError
from ..results.columns import PARAMETERS
from ..results.comparing.formats import SHORT, case_name, telling
from ..results.comparing.history import Point, Series, histories, read_runs
from ..results.comparing.verdicts import Judging
from ..results.reading import number
from ..results.sheets import SHEETS
from .output import emit

_HEAD = ("run", "commit", "started", "ms", "95 % interval", "against", "ratio", "interval", "verdict", "why")
_SUMMARY_HEAD = ("case", "device", "runs", "first ms", "last ms", "last/first", "changes")
_PLOTS = (".png", ".svg")


@dataclass(frozen=True)
class Output:
    """How the table is written and where it goes, and where the plot."""

    form: str
    out: Path | None
    plot: Path | None


def run_history(folder: Path, where: Sequence[str], settings: Judging, output: Output) -> Exit:
    """Follow cases over the runs in a folder.

    Raises:
        UsageError: There is no such case, several are to be drawn, or the plot's name has no known ending.
        RunFolderError: The folder holds no runs.
    """
    if output.plot is not None and output.plot.suffix not in _PLOTS:
        raise UsageError(f"--plot must end in {' or '.join(_PLOTS)}, got {output.plot}")
    wanted = dict(map(_condition, where))
    runs, warnings = read_runs(folder)
    found = histories(runs, wanted, settings)
    for warning in warnings:
        typer.echo(f"warning: {warning}", err=True)
    if output.plot is not None and len(found) > 1:
        raise UsageError(f"--plot draws one case, and {len(found)} are left: name its columns with --where")
    head, lines = (_HEAD, [_line(point) for point in found[0].points]) if len(found) == 1 else _summary(found)
    emit(SHEETS[output.form](head, lines) + "\n", output.out, "the table is in")
    if output.plot is not None:
        from ..results.comparing.history_plot import draw  # noqa: PLC0415  matplotlib, where something is drawn

        draw(found[0], output.plot)
        typer.echo(f"the plot is in {output.plot}")
    return Exit.OK


def _condition(text: str) -> tuple[str, frozenset[str]]:
    """COLUMN=VALUE,VALUE in parts, short names made whole."""
    name, sign, values = text.partition("=")
    whole = {short: column for column, short in SHORT.items()}.get(name, name)
    if not sign or whole not in (*PARAMETERS, "device"):
        columns = ", ".join((*PARAMETERS, "device"))
        raise UsageError(f"--where takes COLUMN=VALUE,VALUE with a column of {columns}, got {text!r}")
    return whole, frozenset(values.split(","))


def _line(point: Point) -> list[str]:
    """A run of a case."""
    row, pair = point.run.rows[point.key], point.pair
    low, high = (number(row, f"latency_{end}_ms") for end in ("low", "high"))
    interval = None if pair is None else pair.interval
    why = (pair.why if pair else "the first run") if point.latency_ms is not None else str(row["reason"] or "")
    return [
        point.run.path.name,
        point.commit,
        str(point.run.environment.get("started", ""))[:16],
        _number(point.latency_ms) or str(row["status"]),
        "" if low is None or high is None else f"{low:.4g} to {high:.4g}",
        "" if point.against is None else point.against.path.name,
        "" if pair is None or pair.ratio is None else f"{pair.ratio:.3f}",
        "" if interval is None else f"{interval.low:.3f} to {interval.high:.3f}",
        "" if pair is None else pair.verdict,
        why,
    ]


def _summary(found: Sequence[Series]) -> tuple[Sequence[str], list[list[str]]]:
    """Each case in a line."""
    names = telling([series.key for series in found])
    lines = []
    for series in found:
        times = [point.latency_ms for point in series.points if point.latency_ms is not None]
        lines.append(
            [
                case_name(series.key, names),
                series.device,
                str(len(series.points)),
                *([_number(times[0]), _number(times[-1]), f"{times[-1] / times[0]:.3f}"] if times else ["", "", ""]),
                "; ".join(_change(point) for point in series.changes),
            ]
        )
    return _SUMMARY_HEAD, lines


def _change(point: Point) -> str:
    assert point.pair is not None  # noqa: S101  for the type checker: a change is one against something
    return f"{point.pair.verdict} {point.pair.ratio:.3f} in {point.run.path.name}"


def _number(value: float | None) -> str:
    return "" if value is None else f"{value:.4g}"
