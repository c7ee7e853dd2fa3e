"""The command `python -m reports`, and what is in the pages that it makes."""

import re
import xml.etree.ElementTree as ET
from html.parser import HTMLParser
from pathlib import Path

from typer import Typer
from typer.testing import CliRunner

from reports.__main__ import main


class Outline(HTMLParser):
    """Collects the elements of a page."""

    def __init__(self) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))

    def of(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.elements if name == tag]


def command(*arguments: object) -> tuple[int, str, str]:
    """The exit code of `python -m reports ARGUMENTS`, and what it printed to either stream."""
    app = Typer()
    app.command()(main)
    result = CliRunner().invoke(app, list(map(str, arguments)))
    assert result.exception is None or isinstance(result.exception, SystemExit), repr(result.exception)
    return result.exit_code, result.stdout, result.stderr


def page_of(run: Path) -> str:
    code, _, errors = command(run)
    assert (code, errors) == (0, "")
    return (run / "report" / "index.html").read_text(encoding="utf-8")


def outline_of(page: str) -> Outline:
    outline = Outline()
    outline.feed(page)
    return outline


def plots_of(page: str) -> list[ET.Element]:
    """The pictures of the page, parsed."""
    return [ET.fromstring(text) for text in re.findall(r'<svg class="plot".*?</svg>', page, flags=re.DOTALL)]  # noqa: S314
