"""The report as Markdown, for a pull request: what matters in a table and a picture, the rest to open."""

from collections.abc import Iterable, Iterator, Sequence

from ..report import Report, Section, Table
from ..style import Value, counted, show

# More rows than this hide what matters in a comment; the CSV beside it has them all.
_MOST_ROWS = 12
# More lines of a kind than this are a report, and no comment.
_MOST_LINES = 4


def markdown(report: Report) -> str:
    """The report in at most 60 lines: the opening, the first section's table, and a line on each other section."""
    first, *others = report.sections
    parts = [f"# {escape(report.title)}", *_opening(report)]
    parts += map(_table, first.tables[:1])
    parts += map(escape, first.paragraphs[:_MOST_LINES])
    parts += [escape(first.empty)] if first.empty else []
    rest = [*(_line(section) for section in others if not section.blank), *_beside(report)]
    inside = "\n".join(rest)
    parts += [f"<details><summary>The other sections, tables and figures</summary>\n\n{inside}\n\n</details>"]
    return "\n\n".join(parts) + "\n"


def _opening(report: Report) -> Iterator[str]:
    """Facts, trust, warnings, the tiles in a line, the picture and what is not as expected."""
    opening = report.opening
    if opening.facts:
        yield "\n".join(f"- {escape(fact)}" for fact in _few(opening.facts))
    if opening.marks:
        yield " · ".join(f"**{escape(mark.text)}** ({escape(mark.why)})" for mark in opening.marks)
    if report.warnings:
        yield "\n".join(f"> {escape(warning)}" for warning in _few(report.warnings))
    if opening.tiles:
        yield " · ".join(f"**{escape(tile.number)}** {escape(tile.label)}" for tile in opening.tiles)
    if opening.hero:
        alt = escape(opening.hero.alt).replace("[", "\\[").replace("]", "\\]")
        yield f"[![{alt}](plots/{opening.hero.name}.png)](index.html)"
    if opening.surprises:
        yield "\n".join(f"- {escape(text)}" for text in opening.surprises)


def _beside(report: Report) -> Iterator[str]:
    """What the run lacks, and where the tables and figures are."""
    blank = [section for section in report.sections if section.blank]
    if blank:
        yield f"- Not in this run: {'; '.join(map(_fill, blank))}"
    if report.tables:
        yield f"- Tables: {_links('tables', 'csv', [table.name for table in report.tables])}"
    if report.figures:
        yield f"- Figures: {_links('plots', 'png', [figure.name for figure in report.figures])}"


def _few(texts: Sequence[str]) -> list[str]:
    rest = len(texts) - _MOST_LINES
    return [*texts[:_MOST_LINES], *([f"and {counted(rest, 'other')}"] if rest > 0 else [])]


def _line(section: Section) -> str:
    """A section in a line: what it says, without its tables and figures."""
    return f"- **{escape(section.title)}**: {' '.join(map(escape, section.paragraphs)) or 'see the page.'}"


def _fill(section: Section) -> str:
    return f"{escape(section.title)} ({escape(section.fill)})"


def _links(folder: str, ending: str, names: Sequence[str]) -> str:
    return ", ".join(f"[{escape(name)}]({folder}/{name}.{ending})" for name in names)


def _table(whole: Table) -> str:
    table = whole.folded()
    rows = [[escape(value) for value in row] for row in table.rows(_MOST_ROWS)]
    lines = [grid(map(escape, map(str, table.frame)), table.numeric, rows)]
    if len(table.frame) > _MOST_ROWS:
        lines.append(f"The first {_MOST_ROWS} of {len(table.frame)} rows; all are in tables/{table.name}.csv.")
    if table.constants:
        same = ", ".join(f"{escape(name)} {escape(show(value))}" for name, value in table.constants.items())
        lines.append(f"The same in every row: {same}.")
    return "\n\n".join([lines[0], " ".join(lines[1:])]) if lines[1:] else lines[0]


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
