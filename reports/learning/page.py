"""The page, tables and plot of what `python -m bench learn` trained."""

import shlex
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd
from jinja2 import Environment, FileSystemLoader, StrictUndefined

from bench import SUITE
from bench.errors import RunFolderError
from bench.results.folder import RunFolder

from ..pages.markdown import grid
from ..replacing import replacement
from ..style import counted, show
from .claims import CLAIM_LEVEL, CLAIMS, LEVEL, LITTLE, claims, differences, summary
from .plot import draw

TABLE = "learning.csv"
_NEEDED = (
    *("variant", "kernel_size", "composability", "prior", "m", "seed", "status", "reason"),
    *("correct", "held_out", "train_accuracy", "loss", "parameters", "seconds"),
)
_TEXT = ("composability", "prior", "m")
_FILES = frozenset({"learning.md", "accuracy.png", "accuracy.svg", "accuracy.csv", "claims.csv", "differences.csv"})


@dataclass(frozen=True)
class Learned:
    """A learning run: its trainings that ended well, those that failed, and the environment."""

    name: str
    rows: pd.DataFrame
    failed: pd.DataFrame
    environment: dict[str, Any]

    @property
    def learning(self) -> dict[str, Any]:
        """How it was trained."""
        return dict(self.environment["learning"])


def load(path: Path) -> Learned:
    """Read a learning run's folder.

    Raises:
        RunFolderError: It holds none, its table lacks a column or a number, or no training of it ended well.
    """
    environment, table = RunFolder(path).environment(older=True), path / TABLE
    if not isinstance(environment.get("learning"), dict):
        raise RunFolderError(f"{path} was not written by `{SUITE} learn`: its environment says nothing of it")
    try:
        rows = pd.read_csv(table, dtype=dict.fromkeys(_TEXT, "str"), keep_default_na=False)
    except (OSError, ValueError) as error:
        raise RunFolderError(f"{table} cannot be read: {error}") from None
    missing = [name for name in _NEEDED if name not in rows]
    if missing:
        raise RunFolderError(f"{table} has no column {', '.join(missing)}")
    well = rows["status"] == "ok"
    if not well.any():
        raise RunFolderError(f"{path} holds no training that ended well: its table has {counted(len(rows), 'row')}")
    numbers = ["kernel_size", "seed", "correct", "held_out", "train_accuracy", "loss", "parameters", "seconds"]
    try:
        good = rows[well].assign(**{name: pd.to_numeric(rows.loc[well, name]) for name in numbers})
    except ValueError as error:
        raise RunFolderError(f"{table} holds what is no number: {error}") from None
    return Learned(path.resolve().name, good.reset_index(drop=True), rows[~well], environment)


def write(run: Learned, out: Path) -> dict[str, Path]:
    """Write learning.md, accuracy.png and .svg and the tables as CSV to `out`, whose older report they replace.

    Returns:
        Where the page, the plot and the table of accuracies are.

    Raises:
        OutputError: `out` is a file, or holds something else.
    """
    tables = {"accuracy": summary(run.rows), "claims": claims(run.rows), "differences": differences(run.rows)}
    with replacement(out, _FILES) as folder:
        for name, frame in tables.items():
            frame.to_csv(folder / f"{name}.csv", index=False)
        draw(run.rows, folder)
        (folder / "learning.md").write_text(page(run, tables), encoding="utf-8")
    return {"page": out / "learning.md", "plot": out / "accuracy.png", "table": out / "accuracy.csv"}


def page(run: Learned, tables: dict[str, pd.DataFrame]) -> str:
    """The page in Markdown."""
    # Markdown, not HTML: what came from a run is escaped by `markdown`, cell by cell.
    templates = Environment(  # noqa: S701
        loader=FileSystemLoader(Path(__file__).parent),
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=StrictUndefined,
        keep_trailing_newline=True,
    )
    host, versions = run.environment.get("host", {}), run.environment.get("versions", {})
    return templates.get_template("learning.md.jinja").render(
        name=run.name,
        verdicts=sentences(tables["claims"]),
        claims=markdown(tables["claims"]),
        summary=markdown(tables["accuracy"]),
        differences=markdown(tables["differences"]) if len(tables["differences"]) else "",
        held_out=int(run.rows["held_out"].iloc[0]),
        level=f"{LEVEL:.0%}",
        claim_level=f"{CLAIM_LEVEL:.1%}",
        claim_count=len(CLAIMS),
        little=LITTLE,
        learning=run.learning,
        trained=progress(run),
        warnings=[_cell(f"{row.variant} seed {row.seed} failed: {row.reason}") for row in run.failed.itertuples()],
        machine=f"{host.get('cpu')}; " + ", ".join(f"{name} {value}" for name, value in versions.items() if value),
        command=shlex.join(run.environment.get("argv", [])),
    )


def sentences(verdicts: pd.DataFrame) -> list[str]:
    """A sentence for each claim: its verdict, and the mean with the interval."""
    return [
        f"{row['claim']}: **{row['verdict']}**"
        + ("." if pd.isna(row["low"]) else f" ({row['mean']:+.2f} points, {row['low']:+.2f} to {row['high']:+.2f}).")
        for _, row in verdicts.iterrows()
    ]


def progress(run: Learned) -> str:
    """How many trainings there are of those planned, and why not all."""
    asked = run.learning
    planned, done = len(asked["variants"]) * asked["seeds"], len(run.rows)
    text = f"{done} trainings of {planned}: {len(asked['variants'])} variants from {counted(asked['seeds'], 'seed')}"
    limit = f"in {counted(asked['calls'], 'call')} of at most {asked['minutes']:g} minutes"
    if done + len(run.failed) < planned:
        return f"{text}. **The others were not trained: time was over ({limit}).**"
    return f"{text}, {asked['processes']} at a time with one thread each, {limit}."


def markdown(table: pd.DataFrame) -> str:
    """A table in Markdown, numbers rounded to two decimals."""
    numeric = [pd.api.types.is_numeric_dtype(table[name]) for name in table]
    return grid(map(str, table.columns), numeric, (map(_cell, row) for row in table.itertuples(index=False)))


def _cell(value: Any) -> str:
    if isinstance(value, float):
        return "–" if pd.isna(value) else f"{value:.2f}"
    text = show(value if isinstance(value, str) else int(value))
    return " ".join(text.split()).replace("&", "&amp;").replace("<", "&lt;").replace("|", "\\|")
