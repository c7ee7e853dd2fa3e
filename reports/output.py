"""Writing what was asked for: a report in its folder, or a figure of it alone."""

from collections.abc import Sequence
from pathlib import Path

from .contents import all_figures, build
from .data.profiles import with_profiles
from .data.rows import Run
from .files import write_figure, write_files
from .folder import OutputError, replace_folder, require_replaceable
from .pages.html import render

_ENTRIES = frozenset({"index.html", "plots", "report.md", "tables"})


def default_out(paths: Sequence[Path]) -> Path:
    """Where the report of the run goes unless told otherwise.

    Raises:
        OutputError: There are several runs, so that none of their folders is the place.
    """
    if len(paths) > 1:
        raise OutputError(f"{len(paths)} runs in one report need a folder of their own: give --out DIR")
    return paths[0] / "report"


def write_report(runs: Sequence[Run], out: Path) -> dict[str, Path]:
    """Write the runs' report to the folder `out` and return where its parts are.

    Raises:
        OutputError: `out` is taken by something that is no report.
    """
    require_replaceable(out, _ENTRIES)
    report = build(with_profiles(runs, out))

    def write(folder: Path) -> None:
        write_files(report, folder)
        (folder / "index.html").write_text(render(report), encoding="utf-8")

    replace_folder(out, _ENTRIES, write)
    names = {"tables": "tables", "plots": "plots", "text": "report.md", "page": "index.html"}
    return {what: out / name for what, name in names.items()}


def write_one_figure(runs: Sequence[Run], name: str, out: Path) -> dict[str, Path]:
    """Write a figure of the report to the folder `out`/plots, in all its forms, and return where they are.

    Raises:
        OutputError: The report has no such figure.
    """
    figures = all_figures(runs)
    if name not in figures:
        raise OutputError(f"the report has no figure {name!r}: it has {', '.join(figures) or 'none'}")
    (out / "plots").mkdir(parents=True, exist_ok=True)
    return {path.suffix[1:]: path for path in write_figure(figures[name], out / "plots")}
