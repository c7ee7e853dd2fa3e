"""The report as Markdown and CSV."""

from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest

from reports.drawing.heatmaps import Heatmaps
from reports.output import write_files
from reports.pages.markdown import escape, markdown
from reports.report import Figure, Mark, Opening, Report, Section, Table, Tile

DATA = pd.DataFrame({1: [2.0, 0.5]}, index=[3, 5])
TABLE = Table(
    "t",
    "A caption.",
    pd.DataFrame({"name": ["a|b", "<b>"], "ms": [1.23456, None], "same": ["x", "x"]}),
    frozenset({"same"}),
)
FIGURE = Figure("f", "A title", "Words.", "alt [1]", Heatmaps({"m": DATA}, "x", "y"), DATA, "make f")
REPORT = Report(
    "R",
    [
        Section("v", "Verdict", ["Text with `a|b` and <i>."], [TABLE], [FIGURE]),
        Section("s", "S", ["One.", "Two."], [replace(TABLE, name="u")]),
        Section("e", "E", empty="Nothing. To fill this: `it`."),
    ],
    [f"W{number}" for number in range(6)],
    opening=Opening(["run"], [Mark("quiet", "it is")], FIGURE, [Tile("9×", "times", "v")], ["A surprise."]),
)


def test_what_matters_comes_first_and_the_rest_is_to_open() -> None:
    text = markdown(REPORT)
    start = "# R\n\n- run\n\n**quiet** (it is)\n\n> W0\n> W1\n> W2\n> W3\n> and 2 others\n\n**9×** times\n\n"
    assert text.startswith(f"{start}[![alt \\[1\\]](plots/f.png)](index.html)\n\n- A surprise.\n\n")
    assert "| name | ms |\n| --- | ---: |\n| a\\|b | 1.23 |\n| &lt;b> | – |\n\nThe same in every row: same x." in text
    shown, _, rest = text.partition("<details>")
    assert (shown.count("| --- |"), rest.count("| --- |")) == (1, 0)
    assert "Text with `a\\|b` and &lt;i>." in shown
    assert "- **S**: One. Two.\n- Not in this run: E (`it`)\n- Tables: [t](tables/t.csv), [u](tables/u.csv)\n" in rest
    assert rest.endswith("\n\n</details>\n")


def test_a_large_run_is_told_in_sixty_lines(gpu_report: Report) -> None:
    lines = markdown(gpu_report).splitlines()
    assert len(lines) <= 60
    assert sum(line.startswith("| ---") for line in lines) == 1
    assert sum(line.startswith("[![") for line in lines) == 1


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
    assert "The first 12 of 99 rows; all are in tables/long.csv." in (tmp_path / "report.md").read_text(
        encoding="utf-8"
    )
    assert len((tmp_path / "tables" / "long.csv").read_text(encoding="utf-8").splitlines()) == 100
    assert sorted(path.name for path in (tmp_path / "plots").iterdir()) == ["f.csv", "f.png", "f.svg"]
