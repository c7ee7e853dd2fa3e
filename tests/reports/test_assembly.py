"""The whole report: its sections in order, and its figures."""

from pathlib import Path

from reports.report import Report


def test_every_figure_says_how_it_is_made_again(gpu_run: Path, gpu_report: Report) -> None:
    names = [figure.name for figure in gpu_report.figures]
    assert names[0] == "opening"
    assert len(set(names)) == len(names)
    for figure in gpu_report.figures:
        assert figure.command == f"python -m reports {gpu_run} --figure {figure.name}"
        assert len(figure.alt) > 40
        assert len(figure.data)
    (table,) = [table for table in gpu_report.tables if table.name == "figures"]
    assert table.frame["figure"].to_list() == names
    assert [section.id for section in gpu_report.sections] == [
        *("verdict", "axes", "formula", "bounds", "memory", "map", "networks", "yardsticks", "problems"),
        *("runs", "trust", "rows"),
    ]
    assert [section.id for section in gpu_report.sections if section.blank] == ["runs"]
    assert all(section.fill for section in gpu_report.sections if section.blank)
