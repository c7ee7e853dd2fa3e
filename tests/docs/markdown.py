"""Markdown, written and read."""

import re
from collections.abc import Iterable, Iterator, Sequence


def table(headings: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """A table in Markdown."""
    lines = [headings, ["---"] * len(headings), *rows]
    return "\n".join(f"| {' | '.join(_cell(str(value)) for value in line)} |" for line in lines)


def _cell(text: str) -> str:
    # Outside of `code`, a star would begin emphasis; a bar ends the cell everywhere.
    parts = " ".join(text.split()).replace("|", r"\|").split("`")
    return "`".join(part if index % 2 else part.replace("*", r"\*") for index, part in enumerate(parts))


def code(*names: str) -> str:
    """Names as `code`, comma-separated."""
    return ", ".join(f"`{name}`" for name in names)


def code_lines(text: str) -> Iterator[str]:
    """The lines of a page's code blocks, fenced or indented."""
    fenced = False
    for line in text.splitlines():
        if line.lstrip().startswith("```"):
            fenced = not fenced
        elif fenced or line.startswith("    "):
            yield line.strip()


def prose(text: str) -> str:
    """A page without its code blocks."""
    return re.sub(r"^```.*?^```$", "", text, flags=re.DOTALL | re.MULTILINE)
