"""The reports' command, and what is on its page."""

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


def report(run: Path, *arguments: str) -> tuple[int, str, str]:
    app = Typer()
    app.command()(main)
    result = CliRunner().invoke(app, [str(run), *arguments])
    assert result.exception is None or isinstance(result.exception, SystemExit)
    return result.exit_code, result.stdout, result.stderr


def page_of(run: Path) -> str:
    code, _, errors = report(run)
    assert (code, errors) == (0, "")
    return (run / "report" / "index.html").read_text(encoding="utf-8")


def outline_of(page: str) -> Outline:
    outline = Outline()
    outline.feed(page)
    return outline
