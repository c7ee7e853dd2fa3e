"""The whole report: its sections in order, and its figures."""

from pathlib import Path

import pytest

from reports.assembly import assemble
from reports.data.rows import load_runs


def test_every_figure_says_how_it_is_made_again(gpu_run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("reports.assembly.draw_all", list)
    report = assemble(load_runs([gpu_run]))
    names = [figure.name for figure in report.figures]
    assert len(set(names)) == len(names)
    for figure in report.figures:
        assert figure.command == f"python -m reports {gpu_run} --figure {figure.name}"
        assert len(figure.alt) > 40
        assert len(figure.data)
    (table,) = [table for table in report.tables if table.name == "figures"]
    assert table.frame["figure"].to_list() == names
    assert [section.id for section in report.sections] == [
        *(
            "verdict",
            "axes",
            "formula",
            "bounds",
            "memory",
            "map",
            "networks",
            "yardsticks",
            "problems",
            "runs",
            "trust",
            "rows",
        )
    ]
    assert all(section.tables or section.figures or section.empty for section in report.sections)
