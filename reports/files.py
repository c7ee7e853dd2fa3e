"""The files of a report beside its page: figures as SVG, PNG and CSV, tables as CSV, and the whole as Markdown."""

from pathlib import Path

from .pages.markdown import markdown
from .report import Figure, Report, Table

# No measurement has more.
_DIGITS = "%.9g"


def write_files(report: Report, folder: Path) -> None:
    """Write plots/, tables/ and report.md into a folder that has none of them."""
    plots, tables = folder / "plots", folder / "tables"
    plots.mkdir()
    tables.mkdir()
    for figure in report.figures:
        write_figure(figure, plots)
    for table in report.tables:
        write_table(table, tables)
    (folder / "report.md").write_text(markdown(report), encoding="utf-8")


def write_figure(figure: Figure, folder: Path) -> list[Path]:
    """Write a figure as NAME.svg and NAME.png, and its numbers as NAME.csv."""
    drawn = figure.drawing.drawn()
    paths = [folder / f"{figure.name}.{ending}" for ending in ("svg", "png", "csv")]
    paths[0].write_text(drawn.vector, encoding="utf-8")
    paths[1].write_bytes(drawn.pixels)
    figure.data.to_csv(paths[2], index=False, float_format=_DIGITS)
    return paths


def write_table(table: Table, folder: Path) -> None:
    """Write a table as NAME.csv, every column and row of it."""
    table.frame.to_csv(folder / f"{table.name}.csv", index=False, float_format=_DIGITS)
