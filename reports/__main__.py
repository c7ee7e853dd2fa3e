"""The command: `python -m reports RUN [RUN …]`, in a wheel `local-relation-bench report`."""

from pathlib import Path
from typing import Annotated

import typer

from bench import REPORTS, SUITE

from .errors import one_line_errors


def main(
    runs: Annotated[
        list[Path] | None, typer.Argument(metavar="RUN…", help=f"Run folders that `{SUITE} run` left.")
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option(metavar="DIR", help="Where the report goes: RUN/report if left out, needed for several runs."),
    ] = None,
    figure: Annotated[
        str | None, typer.Option(metavar="NAME", help="Make this figure alone, as SVG, PNG and CSV in DIR/plots.")
    ] = None,
    index: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Instead: write DIR/index.html, a page on the runs in DIR.")
    ] = None,
) -> None:
    """Make the page, the figures and the tables of one or more runs, or of what `learn` trained."""
    # Imported here so that --help does not wait for matplotlib and scipy.
    from .data.rows import load_runs
    from .learning.page import TABLE
    from .learning.page import load as load_learning
    from .learning.page import write as write_learning
    from .output import default_out, write_one_figure, write_report
    from .published import write_index

    if (index is None) == (not runs) or (index and (out or figure)):
        raise typer.BadParameter("give run folders, or --index with a folder of runs and nothing else")
    paths = runs or []
    with one_line_errors():
        if index:
            written = {"index": write_index(index)}
        elif figure:
            written = write_one_figure(load_runs(paths), figure, out or default_out(paths))
        elif len(paths) == 1 and (paths[0] / TABLE).is_file():
            written = write_learning(load_learning(paths[0]), out or default_out(paths))
        else:
            written = write_report(load_runs(paths), out or default_out(paths))
    for what, path in written.items():
        typer.echo(f"{what:<7}{path}")


app = typer.Typer(add_completion=False)
app.command()(main)

if __name__ == "__main__":
    app(prog_name=REPORTS)
