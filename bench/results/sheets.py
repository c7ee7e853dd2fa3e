"""A table of texts as text, Markdown, CSV and JSON."""

import csv
import io
import json
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence

Head = Sequence[str]
Lines = Sequence[Sequence[str]]


def text_table(head: Head, lines: Lines) -> str:
    """For a terminal."""
    widths = [max(map(len, column)) for column in zip(head, *lines, strict=True)]
    table = ["  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)) for line in [head, *lines]]
    return "\n".join(line.rstrip() for line in table)


def markdown_table(head: Head, rows: Iterable[Sequence[str]], numbers: Collection[int] = ()) -> str:
    """In Markdown, its cells escaped; the columns of these places are flush right."""
    rule = ["---:" if place in numbers else "---" for place in range(len(head))]
    lines = [head, rule, *([escaped(cell) for cell in row] for row in rows)]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def escaped(text: str) -> str:
    """A text in one line that breaks no table."""
    return text.replace("|", "\\|").replace("\n", " ")


def _csv(head: Head, lines: Lines) -> str:
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows([head, *lines])
    return text.getvalue().rstrip("\n")


def _json(head: Head, lines: Lines) -> str:
    return json.dumps([dict(zip(head, line, strict=True)) for line in lines], indent=1)


SHEETS: Mapping[str, Callable[[Head, Lines], str]] = {
    "text": text_table,
    "markdown": markdown_table,
    "csv": _csv,
    "json": _json,
}
