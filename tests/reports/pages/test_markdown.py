"""The report as Markdown and CSV."""

from pathlib import Path

import pandas as pd
import pytest

from reports.output import write_files
from reports.pages.markdown import escape, markdown
from reports.report import Drawn, Figure, Report, Section, Table

TABLE = Table(
    "t",
    "A caption.",
    pd.DataFrame({"name": ["a|b", "<b>"], "ms": [1.23456, None], "same": ["x", "x"]}),
    frozenset({"same"}),
)
FIGURE = Figure("f", "A title", "Words.", "alt [1]", Drawn("<svg/>", b"png"), pd.DataFrame({"x": [1]}), "make f")
REPORT = Report(
    "R",
    [Section("s", "S", ["Text with `a|b` and <i>."], [TABLE], [FIGURE]), Section("e", "E", empty="Run `it`.")],
    ["W"],
)


def test_the_whole_report() -> None:
    text = markdown(REPORT)
    assert text.startswith("# R\n\n> W\n\n## S\n\nText with `a\\|b` and &lt;i>.")
    assert "![alt \\[1\\]](plots/f.svg)" in text
    assert "| name | ms |\n| --- | ---: |\n| a\\|b | 1.23 |\n| &lt;b> | – |" in text
    assert "The same in every row: same x." in text
    assert text.endswith("## E\n\nRun `it`.\n")


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("a_b*c", "a\\_b\\*c"),
        ("one\ntwo", "one two"),
        ("`a_b` and ` alone", "\\`a\\_b\\` and \\` alone"),
        ("<script>", "&lt;script>"),
        (None, "–"),
    ],
)
def test_texts_are_escaped(text: str | None, shown: str) -> None:
    assert escape(text) == shown


def test_long_tables_are_cut_and_the_csv_is_not(tmp_path: Path) -> None:
    table = Table("long", "Long.", pd.DataFrame({"n": range(99)}))
    write_files(Report("R", [Section("s", "S", tables=[table], figures=[FIGURE])]), tmp_path)
    assert "The first 40 of 99 rows; all are in tables/long.csv." in (tmp_path / "report.md").read_text(
        encoding="utf-8"
    )
    assert len((tmp_path / "tables" / "long.csv").read_text(encoding="utf-8").splitlines()) == 100
    assert sorted(path.name for path in (tmp_path / "plots").iterdir()) == ["f.csv", "f.png", "f.svg"]
