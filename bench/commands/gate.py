"""The gate: the kernels of a commit and of the working tree, measured in turns by the working tree's harness."""

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

import typer

from .. import INSTALLED, ROOT, SUITE
from ..errors import Exit, SuiteError, UsageError
from ..results.comparing.comparison import compare
from ..results.comparing.formats import FORMATS
from ..results.comparing.verdicts import Judging
from ..results.folder import new_run_path
from ..results.reading import read_run
from ..results.turns import merge_turns

ORDER = "ABBA"
_NOT_IN_A_GATE = frozenset({"--resume", "--dry-run", "--devices", "--executor", "--shard"})
REPORTS = {"text": "comparison.txt", "markdown": "comparison.md", "csv": "comparison.csv", "json": "comparison.json"}


class NoEvidence(SuiteError):  # noqa: N818
    """A side could not be measured."""

    code = Exit.NO_EVIDENCE


def run_gate(base: str, arguments: Sequence[str], turns: int, tolerance: float, out: Path | None) -> Exit:
    """Measure and compare, and leave both runs and the comparison in a folder; compare's exit code.

    Args:
        base: The commit, tag or branch that is side A; the working tree is side B.
        arguments: What `python -m bench run` is told in every turn.
        turns: How many processes measure, in the order ABBA.
        tolerance: The share by which a time may change and still be the same.
        out: The folder; a new one under `RUNS` if None.

    Raises:
        UsageError: There is no such commit, the turns make no whole ABBA, or the folder holds something.
        NoEvidence: A side's kernels do not fit the harness, or a turn failed.
    """
    out = out or new_run_path("gate")
    commit = _require_sense(base, arguments, turns, out)
    with tempfile.TemporaryDirectory(prefix="gate-") as scratch:
        with _worktree(commit, Path(scratch) / "base") as tree:
            sides = {name: _side(Path(scratch) / name, kernels) for name, kernels in (("A", tree), ("B", ROOT))}
        runs: dict[str, list[Path]] = {name: [] for name in sides}
        for number in range(turns):
            name = ORDER[number % len(ORDER)]
            typer.echo(f"turn {number + 1} of {turns}: {name}, {'the working tree' if name == 'B' else base}")
            runs[name].append(_turn(number, name, sides[name], arguments))
        _merge(runs, commit, out)
    comparison = compare(read_run(out / "A"), read_run(out / "B"), Judging(tolerance))
    for form, file in REPORTS.items():
        (out / file).write_text(FORMATS[form](comparison), encoding="utf-8")
    typer.echo(FORMATS["text"](comparison))
    typer.echo(f"both runs and the comparison are in {out}")
    return comparison.exit_code


def _require_sense(base: str, arguments: Sequence[str], turns: int, out: Path) -> str:
    """The commit that BASE names."""
    if INSTALLED:
        raise UsageError("a gate compares a commit with a working tree: it needs a checkout, and this is a wheel")
    if turns % len(ORDER):
        raise UsageError(f"--turns must be a multiple of {len(ORDER)}, got {turns}")
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise UsageError(f"{out} is not an empty folder: give another with --out")
    strange = [word for word in arguments if word.partition("=")[0] in _NOT_IN_A_GATE]
    if strange:
        raise UsageError(f"a gate measures anew, whole, on one device: {strange[0]} is for `{SUITE} run`")
    found = _git("rev-parse", "--verify", "--quiet", f"{base}^{{commit}}")
    if found.returncode:
        raise UsageError(f"there is no commit {base!r} here: expected a commit, tag or branch")
    return found.stdout.strip()


def _turn(number: int, name: str, side: Path, arguments: Sequence[str]) -> Path:
    """Measure once on a side; the run's folder."""
    path = side.parent / "turns" / f"{number}-{name}"
    command = [sys.executable, "-m", "bench", "run", *arguments, "--out", str(path)]
    code = subprocess.run(command, cwd=side, env=_clean(side), check=False).returncode
    if code:
        kind = UsageError if code == Exit.USAGE and number == 0 else NoEvidence
        raise kind(f"turn {number + 1} ({name}) ended with exit code {code}")
    return path


@contextmanager
def _worktree(commit: str, path: Path) -> Iterator[Path]:
    """A checkout of the commit, for as long as it is needed."""
    added = _git("worktree", "add", "--detach", "--quiet", str(path), commit)
    if added.returncode:
        raise UsageError(f"git cannot check out {commit}: {added.stderr.strip()}")
    try:
        yield path
    finally:
        _git("worktree", "remove", "--force", str(path))


def _side(path: Path, kernels_of: Path) -> Path:
    """A folder to run in, which holds this harness and a tree's kernels, so that `python -m bench` finds both there.

    Raises:
        NoEvidence: The tree has no kernels, or they lack something that the harness uses.
    """
    ignored = shutil.ignore_patterns("__pycache__")
    if not (kernels_of / "kernels").is_dir():
        raise NoEvidence(f"side {path.name} has no folder kernels/")
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
        raise NoEvidence(f"the kernels of side {path.name} do not fit this harness: {last}")
    strangers = [
        name for name in asked.stdout.split("\n")[:2] if not Path(name).resolve().is_relative_to(path.resolve())
    ]
    if strangers:
        raise NoEvidence(f"side {path.name} would measure {strangers[0]}, which is not its own")
    return path


def _clean(side: Path) -> dict[str, str]:
    """This process's environment with caches of the side's own, empty at first, and the current folder importable."""
    caches = {"TRITON_CACHE_DIR": "triton", "TORCHINDUCTOR_CACHE_DIR": "inductor"}
    kept = {name: value for name, value in os.environ.items() if name not in {"PYTHONPATH", "PYTHONSAFEPATH"}}
    return kept | {name: str(side / "caches" / folder) for name, folder in caches.items()}


def _merge(runs: Mapping[str, Sequence[Path]], base: str, out: Path) -> None:
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
