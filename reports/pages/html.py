"""Pages, through templates: each is one file that asks the network for nothing."""

import base64
import hashlib
import zlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined, select_autoescape
from markupsafe import Markup, escape

from ..drawing.inline.marks import key
from ..report import Report
from ..style import show
from .tables import WIDTHS, View

_STYLES = ("page.css", "plots.css", "tables.css.jinja")
_SCRIPTS = ("tables.js", "plots.js")
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
        "words": _words,
        "packed": _packed,
        "key": key,
        "csp_hash": _csp_hash,
    }
    # Files of the package: nothing in them came from a run.
    style, script = (
        Markup("".join(environment.get_template(name).render(widths=WIDTHS) for name in names))  # noqa: S704
        for names in (_STYLES, _SCRIPTS)
    )
    return environment.get_template(template).render(style=style, script=script, view=View, **values)


def _csp_hash(text: str) -> str:
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"


def _words(text: str) -> Markup:
    """A text, what stands between backticks in it as code."""
    parts = text.split("`")
    if len(parts) % 2 == 0:
        return escape(text)
    markup = Markup("<code>{}</code>")
    return Markup("").join(markup.format(part) if index % 2 else escape(part) for index, part in enumerate(parts))


def _packed(text: str) -> str:
    """The text deflated, in base64."""
    return base64.b64encode(zlib.compress(text.encode())).decode()
