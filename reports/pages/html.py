"""Pages, through templates: each is one file that asks the network for nothing."""

import base64
import hashlib
import json
import re
import zlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from jinja2 import Environment, FileSystemLoader, StrictUndefined, select_autoescape
from markupsafe import Markup, escape

from ..report import Report, Table
from ..style import show

# Rows of a table that the page holds as they are; the script pages through the rest of a browsable one.
ROW_LIMIT = 200
PAGE_ROWS = 25
_ESSAY = 120
_ESCAPES = str.maketrans({"%": "%25", "#": "%23", "<": "%3C", "&": "%26"})
_TEMPLATES = Path(__file__).parent / "templates"


def render(report: Report) -> str:
    """The report as HTML; every text that came from a run is escaped."""
    return _page("report.html.jinja", report=report)


def index_page(devices: Mapping[str, Sequence[Any]]) -> str:
    """The page on several runs, by device; an entry has a name, facts, paragraphs and links."""
    return _page("index.html.jinja", devices=devices)


def _page(template: str, **values: Any) -> str:
    """A page with its style and script inside, which its policy allows by their hashes and nothing else."""
    environment = Environment(
        loader=FileSystemLoader(_TEMPLATES),
        autoescape=select_autoescape(["html.jinja"]),
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=StrictUndefined,
    )
    environment.filters |= {
        "show": show,
        "image": _image,
        "words": _words,
        "essays": _essays,
        "packed": _packed,
        "packed_table": _packed_table,
        "csp_hash": _csp_hash,
    }
    style, script = (_inline(name) for name in ("page.css", "page.js"))
    limits = {"row_limit": ROW_LIMIT, "page_rows": PAGE_ROWS}
    return environment.get_template(template).render(style=style, script=script, **limits, **values)


def _inline(name: str) -> Markup:
    return Markup((_TEMPLATES / name).read_text(encoding="utf-8"))  # noqa: S704


def _csp_hash(text: str) -> str:
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"


def _essays(table: Table) -> list[int]:
    """Which columns hold texts too long for a cell: each gets the width of the table, below its row."""
    values = zip(*table.rows(ROW_LIMIT), strict=True)
    return [index for index, column in enumerate(values) if any(len(show(value)) > _ESSAY for value in column)]


def _words(text: str) -> Markup:
    """A text, what stands between backticks in it as code."""
    parts = text.split("`")
    if len(parts) % 2 == 0:
        return escape(text)
    markup = Markup("<code>{}</code>")
    return Markup("").join(markup.format(part) if index % 2 else escape(part) for index, part in enumerate(parts))


def _image(svg: str) -> Markup:
    """An SVG as an address for an image, to stand in double quotes; base64 would be a third longer."""
    bare = re.sub(r"\s+", " ", re.sub(r"<!--.*?-->", "", svg, flags=re.DOTALL)).replace("> <", "><")
    quoted = bare.replace("'", "&apos;").replace('"', "'")
    return Markup("data:image/svg+xml;charset=utf-8,{}").format(Markup(quoted.translate(_ESCAPES)))  # noqa: S704


def _packed(text: str) -> str:
    """The text deflated, in base64."""
    return base64.b64encode(zlib.compress(text.encode())).decode()


def _packed_table(table: Table) -> str:
    """A table packed as JSON: of each column the values as people see them, in ascending order, and each row's place.

    A place of -1 is a value that is missing. The names and values of the table's constants come along.
    """
    columns = [
        {"name": str(name), "numeric": numeric, **_column(table.frame.iloc[:, index])}
        for index, (name, numeric) in enumerate(zip(table.frame.columns, table.numeric, strict=True))
    ]
    constants = {name: show(value) for name, value in table.constants.items()}
    content = {"rows": len(table.frame), "columns": columns, "constants": constants}
    return _packed(json.dumps(content, ensure_ascii=False, separators=(",", ":")))


def _column(values: pd.Series) -> dict[str, Any]:
    """What is shown, each once and in the values' order, numbers before text; and of each row which of them."""
    codes, found = pd.factorize(values, sort=True)
    places: dict[str, int] = {}
    place = np.array([*(places.setdefault(show(value), len(places)) for value in found.tolist()), -1])
    return {"words": list(places), "codes": place[codes].tolist()}
