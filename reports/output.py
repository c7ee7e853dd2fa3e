"""Writing what was asked for: the page, Markdown, figures and tables of a report in its folder, or one figure alone."""

from collections.abc import Sequence
from pathlib import Path

from .assembly import all_figures, assemble
from .data.profiles import with_profiles
from .data.rows import ReportedRun
from .drawing.canvas import draw_all
from .errors import OutputError
from .pages.html import render
from .pages.markdown import markdown
from .replacing import replacement, require_replaceable
from .report import Drawn, Figure, Report, Table

_ENTRIES = frozenset({"index.html", "plots", "report.md", "tables"})
# No measurement has more.
_DIGITS = "%.9g"


def default_out(paths: Sequence[Path]) -> Path:
    """Where the report of the run goes unless told otherwise.

    Raises:
        OutputError: There are several runs, so that none of their folders is the place.
    """
    if len(paths) > 1:
        raise OutputError(f"{len(paths)} runs in one report need a folder of their own: give --out DIR")
    return paths[0] / "report"


def write_report(runs: Sequence[ReportedRun], out: Path) -> dict[str, Path]:
    """Write the runs' report to the folder `out` and return where its parts are.

    Raises:
        OutputError: `out` is taken by something that is no report.
    """
    require_replaceable(out, _ENTRIES)
    report = assemble(with_profiles(runs, out))
    with replacement(out, _ENTRIES) as folder:
        write_files(report, folder)
    names = {"tables": "tables", "plots": "plots", "text": "report.md", "page": "index.html"}
    return {what: out / name for what, name in names.items()}


def write_one_figure(runs: Sequence[ReportedRun], name: str, out: Path) -> dict[str, Path]:
    """Write a figure of the report to the folder `out`/plots, in all its forms, and return where they are.

    Raises:
        OutputError: The report has no such figure.
    """
    figures = all_figures(runs)
    if name not in figures:
        raise OutputError(f"the report has no figure {name!r}: it has {', '.join(figures) or 'none'}")
    (out / "plots").mkdir(parents=True, exist_ok=True)
    return {
        path.suffix[1:]: path for path in _write_figure(figures[name], figures[name].drawing.drawn(), out / "plots")
    }


def write_files(report: Report, folder: Path) -> None:
    """Write plots/, tables/, report.md and index.html into an empty folder."""
    plots, tables = folder / "plots", folder / "tables"
    plots.mkdir()
    tables.mkdir()
    figures = report.figures
    for figure, drawn in zip(figures, draw_all([figure.drawing for figure in figures]), strict=True):
        _write_figure(figure, drawn, plots)
    for table in report.tables:
        _write_table(table, tables)
    (folder / "report.md").write_text(markdown(report), encoding="utf-8")
    (folder / "index.html").write_text(render(report), encoding="utf-8")


def _write_figure(figure: Figure, drawn: Drawn, folder: Path) -> list[Path]:
    """Write a figure as NAME.svg and NAME.png, and its numbers as NAME.csv."""
    paths = [folder / f"{figure.name}.{ending}" for ending in ("svg", "png", "csv")]
    paths[0].write_text(drawn.vector, encoding="utf-8")
    paths[1].write_bytes(drawn.pixels)
    figure.data.to_csv(paths[2], index=False, float_format=_DIGITS)
    return paths


def _write_table(table: Table, folder: Path) -> None:
    """Write a table as NAME.csv, every column and row of it."""
    table.frame.to_csv(folder / f"{table.name}.csv", index=False, float_format=_DIGITS)
