"""The report as Markdown, for a pull request; what came from a run is escaped."""

from collections.abc import Iterable, Iterator

from ..report import Figure, Report, Section, Table
from ..style import Value, show

# More rows than this hide what matters in a comment; the CSV beside it has them all.
_MOST_ROWS = 40


def markdown(report: Report) -> str:
    """The whole report; figures are links to the SVG files beside it."""
    parts = [f"# {escape(report.title)}", *(f"> {escape(warning)}" for warning in report.warnings)]
    return "\n\n".join([*parts, *(part for section in report.sections for part in _section(section))]) + "\n"


def _section(section: Section) -> Iterator[str]:
    yield f"## {escape(section.title)}"
    yield from map(escape, section.paragraphs)
    if section.empty:
        yield escape(section.empty)
    for figure in section.figures:
        yield from _figure(figure)
    for table in section.tables:
        yield from _table(table)


def _figure(figure: Figure) -> Iterator[str]:
    alt = escape(figure.alt).replace("[", "\\[").replace("]", "\\]")
    yield f"### {escape(figure.title)}"
    yield f"![{alt}](plots/{figure.name}.svg)"
    yield f"{escape(figure.caption)} [Data](plots/{figure.name}.csv), [PNG](plots/{figure.name}.png)"


def _table(whole: Table) -> Iterator[str]:
    table = whole.folded()
    yield escape(table.caption)
    yield grid(map(escape, map(str, table.frame)), table.numeric, (map(escape, row) for row in table.rows(_MOST_ROWS)))
    if len(table.frame) > _MOST_ROWS:
        yield f"The first {_MOST_ROWS} of {len(table.frame)} rows; all are in tables/{table.name}.csv."
    if table.constants:
        same = ", ".join(f"{escape(name)} {escape(show(value))}" for name, value in table.constants.items())
        yield f"The same in every row: {same}."


def grid(names: Iterable[str], numeric: Iterable[bool], rows: Iterable[Iterable[str]]) -> str:
    """A table of cells that are Markdown already; what is numeric stands to the right."""
    rule = ["---:" if number else "---" for number in numeric]
    return "\n".join(f"| {' | '.join(line)} |" for line in (names, rule, *rows))


def escape(text: Value) -> str:
    """A text on one line that Markdown shows as it is, outside backticks."""
    parts = " ".join(show(text).split()).split("`")
    if len(parts) % 2 == 0:
        return _plain("`".join(parts)).replace("`", "\\`")
    return "`".join(part.replace("|", "\\|") if index % 2 else _plain(part) for index, part in enumerate(parts))


def _plain(text: str) -> str:
    for letter, instead in (("&", "&amp;"), ("<", "&lt;"), ("\\", "\\\\"), ("|", "\\|"), ("*", "\\*"), ("_", "\\_")):
        text = text.replace(letter, instead)
    return text
