"""Pages and Markdown, through templates. The page is one file that asks the network for nothing."""

import base64
import shlex
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd
from jinja2 import Environment, FileSystemLoader, StrictUndefined, select_autoescape

from reports.plots import Picture
from reports.rows import Run
from reports.style import Value, show
from reports.tables import Table

# Beyond this a browser takes long over a table; its CSV holds all of it.
ROW_LIMIT = 2000


@dataclass(frozen=True)
class Section:
    """A part of the page; `missing` says what to run where there is nothing to show."""

    slug: str
    title: str
    text: list[str]
    tables: list[tuple[str, Table]]
    pictures: list[Picture]
    missing: str = ""


@dataclass(frozen=True)
class Page:
    """All that the page shows, in order."""

    title: str
    sections: list[Section]
    warnings: list[str]


def render(page: Page) -> str:
    """The page as HTML; every text that came from a run is escaped."""
    return _templates().get_template("report.html.jinja").render(page=page, row_limit=ROW_LIMIT)


def write_tables(tables: Sequence[Table], folder: Path) -> None:
    """Write each table as NAME.csv and NAME.md."""
    folder.mkdir()
    template = _templates().get_template("table.md.jinja")
    for table in tables:
        table.frame.to_csv(folder / f"{table.name}.csv", index=False)
        (folder / f"{table.name}.md").write_text(template.render(table=table.folded()), encoding="utf-8")


def environment_table(runs: Sequence[Run]) -> Table:
    """Everything environment.json holds, nested keys with dots, a column for each run."""
    names = ["value"] if len(runs) == 1 else [run.name for run in runs]
    frame = _environments(runs).set_axis(names, axis=1).rename_axis("key").reset_index(allow_duplicates=True)
    return Table("environment", frame)


def differences(runs: Sequence[Run], names: Sequence[str]) -> list[str]:
    """Which of the environment's keys whose last part is in `names` differ between the runs."""
    frame = _environments(runs).fillna("")
    differing = frame.index[frame.ne(frame.iloc[:, 0], axis=0).any(axis=1)]
    return [key for key in differing if key.rpartition(".")[2] in names]


def _environments(runs: Sequence[Run]) -> pd.DataFrame:
    columns = [pd.Series(dict(_flatten(run.environment)), dtype="str") for run in runs]
    return pd.concat(columns, axis=1, sort=False)


def _flatten(value: Any, key: str = "") -> Iterator[tuple[str, str]]:
    """Yields (dotted key, text); a command line is quoted as a shell takes it."""
    if isinstance(value, Mapping) and value:
        for name, inner in value.items():
            yield from _flatten(inner, f"{key}.{name}" if key else str(name))
    elif isinstance(value, list) and all(isinstance(item, str | int | float) for item in value):
        texts = [str(item) for item in value]
        yield key, shlex.join(texts) if key.rpartition(".")[2] == "argv" else "; ".join(texts)
    elif isinstance(value, list):
        for index, inner in enumerate(value):
            yield from _flatten(inner, f"{key}.{index}")
    else:
        yield key, "" if value is None else str(value)


def _templates() -> Environment:
    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent / "templates"),
        autoescape=select_autoescape(["html.jinja"]),
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=StrictUndefined,
    )
    environment.filters |= {"show": show, "data_uri": _data_uri, "cell": _markdown_cell}
    return environment


def _markdown_cell(value: Value) -> str:
    text = " ".join(show(value).split()).replace("&", "&amp;").replace("<", "&lt;").replace("\\", "\\\\")
    return text.replace("|", "\\|")


def _data_uri(svg: str) -> str:
    return f"data:image/svg+xml;base64,{base64.b64encode(svg.encode()).decode()}"
