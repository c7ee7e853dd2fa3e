"""`python -m bench submit`: checks a run and packs what is published of it. Free of torch."""

from pathlib import Path

import typer

from ..errors import Exit
from ..locks import locked
from ..results.reading import read_run
from ..results.submission import examine, pack, require_rows
from .output import index_of, report_on


def run_submit(path: Path, published: Path, *, dry_run: bool) -> Exit:
    """Print what each check finds; where nothing is amiss, pack the run with its report, and renew the index.

    Returns:
        1 where something is amiss: nothing is packed then.

    Raises:
        RunFolderError: The folder holds no run, or one that is packed already.
    """
    require_rows(path)
    with locked(path):
        run = read_run(path)
        found = examine(run)
        for name, faults in found.items():
            typer.echo("\n".join(f"{name}: {fault}" for fault in faults) or f"{name}: good")
        if any(found.values()):
            typer.echo(f"{path} cannot be published as it is", err=True)
            return Exit.FAILED
        if dry_run:
            return Exit.OK
        target = pack(run, published)
    code = report_on(target) or index_of(published)
    if not code:
        typer.echo(f"{target} and the index beside it are ready to be handed in")
    return code
