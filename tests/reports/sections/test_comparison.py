"""Several runs in one report."""

from pathlib import Path

import pytest

from bench.results.folder import RunFolder
from reports.data.rows import load_runs
from reports.report import Section
from reports.sections import comparison
from reports.sections.material import material_of
from tests.support.report_rows import MakeRun, case
from tests.support.report_sections import records, table_of


def made(make_run: MakeRun, name: str, latency_ms: float, device: str = "cpu") -> Path:
    """A run of two cases with samples close around the latency."""
    path = make_run([], name, {"device": {"type": "cpu", "name": device}, "versions": {"torch": name}})
    for m in (1, 8):
        samples = [latency_ms * (1 + 1e-4 * (index % 7)) for index in range(60)]
        RunFolder(path).append(case(latency_ms, m=m, device=device), samples)
    return path


def section_of(*paths: Path) -> Section:
    return comparison.section(material_of(load_runs(paths)))


def test_verdicts_of_compare(make_run: MakeRun) -> None:
    section = section_of(made(make_run, "before", 2.0), made(make_run, "after", 1.0))
    assert section.paragraphs[0] == "The runs differ in versions.torch."
    assert section.paragraphs[1].startswith("after against before: 0.5× its time over 2 pairs (2 FASTER)")
    assert [row["verdict"] for row in records(table_of(section, "compare1"))] == ["FASTER", "FASTER"]
    (sides,) = records(table_of(section, "sides"))
    assert (sides["cases"], sides["before"], sides["after"]) == (2, pytest.approx(2), pytest.approx(1))
    (figure,) = section.figures
    assert figure.data[figure.data["line"] == "unfold"]["y"].to_list() == pytest.approx([0.5, 0.5], rel=1e-3)


def test_what_a_run_lacks_is_told_once(make_run: MakeRun) -> None:
    one, other = made(make_run, "one", 2.0), made(make_run, "other", 1.0)
    with (one / "results.jsonl").open("a", encoding="utf-8") as file:
        file.write("{")
    runs = load_runs([one, other])
    assert runs[0].warnings == ["line 3 of results.jsonl was cut off while it was written: left out."]
    assert not [text for text in comparison.section(material_of(runs)).paragraphs if "cut off" in text]


def test_refused_pairs_say_why_and_stand_side_by_side(make_run: MakeRun) -> None:
    section = section_of(made(make_run, "one", 2.0), made(make_run, "other", 1.0, "other cpu"))
    assert "other is not compared with one:" in section.paragraphs[1]
    assert "times of different devices say nothing of the code" in section.paragraphs[1]
    assert not section.figures
    assert len(table_of(section, "sides")) == 1


def test_too_many_cases_are_left_to_the_command(make_run: MakeRun, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("reports.sections.comparison._MOST_PAIRS", 1)
    section = section_of(made(make_run, "one", 2.0), made(make_run, "other", 1.0))
    assert "python -m bench compare" in section.paragraphs[1]


def test_one_run_says_how_to_compare(make_run: MakeRun) -> None:
    assert "python -m reports RUN RUN" in section_of(made(make_run, "one", 2.0)).empty
