"""The page: one file that holds everything and asks the network for nothing."""

import base64
import shlex
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from reports.plots import Picture
from reports.rows import Run
from reports.style import show
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
    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent / "templates"),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=StrictUndefined,
    )
    environment.globals["row_limit"] = ROW_LIMIT
    environment.filters |= {"show": show, "data_uri": _data_uri}
    return environment.get_template("report.html.jinja").render(page=page)


def environment_table(runs: Sequence[Run]) -> Table:
    """Everything environment.json holds, nested keys with dots, a column for each run."""
    flat = [dict(_flatten(run.environment)) for run in runs]
    keys = list(dict.fromkeys(key for one in flat for key in one))
    names = ["value"] if len(runs) == 1 else [run.name for run in runs]
    return Table("environment", ["key", *names], [[key, *(one.get(key) for one in flat)] for key in keys])


def differences(runs: Sequence[Run], names: Sequence[str]) -> list[str]:
    """Which of the environment's keys whose last part is in `names` differ between the runs."""
    flat = [dict(_flatten(run.environment)) for run in runs]
    keys = dict.fromkeys(key for one in flat for key in one if key.rpartition(".")[2] in names)
    return [key for key in keys if len({one.get(key, "") for one in flat}) > 1]


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


def _data_uri(svg: str) -> str:
    return f"data:image/svg+xml;base64,{base64.b64encode(svg.encode()).decode()}"
