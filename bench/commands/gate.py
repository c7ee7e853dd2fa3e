"""The gate: the kernels of a commit and of the working tree, measured in turns by the working tree's harness."""

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import typer

from .. import ROOT
from ..errors import RunFolderError
from ..results.comparison import NO_EVIDENCE, USAGE, Settings, compare
from ..results.formats import FORMATS
from ..results.reading import read_run
from .turns import merge_turns

ORDER = "ABBA"
_NOT_IN_A_GATE = frozenset({"--resume", "--dry-run", "--devices", "--executor", "--shard"})
REPORTS = {"text": "comparison.txt", "markdown": "comparison.md", "csv": "comparison.csv", "json": "comparison.json"}


@dataclass(frozen=True)
class Gate:
    """What is to be compared, and how.

    Args:
        base: The commit, tag or branch that is side A; the working tree is side B.
        arguments: What `python -m bench run` is told in every turn.
        turns: How many processes measure, in the order ABBA.
        tolerance: The share by which a time may change and still be the same.
        out: The folder for both runs and the comparison.
    """

    base: str
    arguments: tuple[str, ...]
    turns: int = 8
    tolerance: float = 0.02
    out: Path | None = None


class GateError(RuntimeError):
    """A side could not be measured: its exit code, and what went wrong as the message."""

    def __init__(self, code: int, message: str) -> None:
        super().__init__(message)
        self.code = code


def run_gate(gate: Gate) -> int:
    """Measure and compare; return compare's exit code."""
    out = gate.out or Path("reports/runs") / f"{datetime.now():%Y%m%d-%H%M%S}-gate"  # noqa: DTZ005
    try:
        base = _require_sense(gate, out)
        with tempfile.TemporaryDirectory(prefix="gate-") as scratch:
            runs = _measure(gate, base, Path(scratch))
            _merge(runs, base, out)
        comparison = compare(read_run(out / "A"), read_run(out / "B"), Settings(gate.tolerance))
        for form, name in REPORTS.items():
            (out / name).write_text(FORMATS[form](comparison), encoding="utf-8")
    except GateError as error:
        typer.echo(f"error: {error}", err=True)
        return error.code
    except (RunFolderError, OSError) as error:
        typer.echo(f"error: {error}", err=True)
        return USAGE
    typer.echo(FORMATS["text"](comparison))
    typer.echo(f"both runs and the comparison are in {out}")
    return comparison.exit_code


def _require_sense(gate: Gate, out: Path) -> str:
    """The commit that BASE names.

    Raises:
        GateError: There is no such commit, the turns make no whole ABBA, or the folder holds something.
    """
    if gate.turns % len(ORDER):
        raise GateError(USAGE, f"--turns must be a multiple of {len(ORDER)}, got {gate.turns}")
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise GateError(USAGE, f"{out} is not an empty folder: give another with --out")
    strange = [word for word in gate.arguments if word.partition("=")[0] in _NOT_IN_A_GATE]
    if strange:
        raise GateError(USAGE, f"a gate measures anew, whole, on one device: {strange[0]} is for `python -m bench run`")
    found = _git("rev-parse", "--verify", "--quiet", f"{gate.base}^{{commit}}")
    if found.returncode:
        raise GateError(USAGE, f"there is no commit {gate.base!r} here: expected a commit, tag or branch")
    return found.stdout.strip()


def _measure(gate: Gate, base: str, scratch: Path) -> dict[str, list[Path]]:
    """Run the turns; the run folders of each side in order.

    Raises:
        GateError: A side's kernels do not fit the harness, or a turn failed.
    """
    with _worktree(base, scratch / "base") as tree:
        sides = {name: _side(scratch / name, kernels) for name, kernels in (("A", tree), ("B", ROOT))}
    runs: dict[str, list[Path]] = {name: [] for name in sides}
    for number in range(gate.turns):
        name = ORDER[number % len(ORDER)]
        typer.echo(f"turn {number + 1} of {gate.turns}: {name}, {'the working tree' if name == 'B' else gate.base}")
        path = scratch / "turns" / f"{number}-{name}"
        command = [sys.executable, "-m", "bench", "run", *gate.arguments, "--out", str(path)]
        code = subprocess.run(command, cwd=sides[name], env=_clean(sides[name]), check=False).returncode
        if code:
            refused = code == USAGE and number == 0
            raise GateError(
                USAGE if refused else NO_EVIDENCE, f"turn {number + 1} ({name}) ended with exit code {code}"
            )
        runs[name].append(path)
    return runs


@contextmanager
def _worktree(commit: str, path: Path) -> Iterator[Path]:
    """A checkout of the commit, for as long as it is needed."""
    added = _git("worktree", "add", "--detach", "--quiet", str(path), commit)
    if added.returncode:
        raise GateError(USAGE, f"git cannot check out {commit}: {added.stderr.strip()}")
    try:
        yield path
    finally:
        _git("worktree", "remove", "--force", str(path))


def _side(path: Path, kernels_of: Path) -> Path:
    """A folder to run in, which holds this harness and a tree's kernels, so that `python -m bench` finds both there.

    Raises:
        GateError: The tree has no kernels, or they lack something that the harness uses.
    """
    ignored = shutil.ignore_patterns("__pycache__")
    if not (kernels_of / "kernels").is_dir():
        raise GateError(NO_EVIDENCE, f"side {path.name} has no folder kernels/")
    shutil.copytree(ROOT / "bench", path / "bench", ignore=ignored)
    shutil.copytree(kernels_of / "kernels", path / "kernels", ignore=ignored)
    question = (
        "import bench.commands.run, bench.measure.runner, kernels; "
        "print(bench.commands.run.__file__, kernels.__file__, sep='\\n')"
    )
    asked = subprocess.run(
        [sys.executable, "-c", question], cwd=path, env=_clean(path), capture_output=True, text=True, check=False
    )
    if asked.returncode:
        last = (asked.stderr.strip().splitlines() or ["no message"])[-1]
        raise GateError(NO_EVIDENCE, f"the kernels of side {path.name} do not fit this harness: {last}")
    strangers = [
        name for name in asked.stdout.split("\n")[:2] if not Path(name).resolve().is_relative_to(path.resolve())
    ]
    if strangers:
        raise GateError(NO_EVIDENCE, f"side {path.name} would measure {strangers[0]}, which is not its own")
    return path


def _clean(side: Path) -> dict[str, str]:
    """This process's environment with caches of the side's own, empty at first, and the current folder importable."""
    caches = {"TRITON_CACHE_DIR": "triton", "TORCHINDUCTOR_CACHE_DIR": "inductor"}
    kept = {name: value for name, value in os.environ.items() if name not in {"PYTHONPATH", "PYTHONSAFEPATH"}}
    return kept | {name: str(side / "caches" / folder) for name, folder in caches.items()}


def _merge(runs: dict[str, list[Path]], base: str, out: Path) -> None:
    """The turns of each side as one run folder that names the side's code."""
    head, status = _git("rev-parse", "HEAD").stdout.strip(), _git("status", "--porcelain").stdout
    codes = {
        "A": {"git_commit": base, "git_dirty": False},
        "B": {"git_commit": head, "git_dirty": bool(status)},
    }
    for name, paths in runs.items():
        merge_turns(paths, out / name, {"code": codes[name], "turns": [path.name for path in paths]})


def _git(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(["git", *arguments], cwd=ROOT, capture_output=True, text=True, check=False)
