"""The command and what it leaves: the folder, the tables, the figures and the page."""

import csv
import re
from base64 import b64encode
from hashlib import sha256
from pathlib import Path

import pandas as pd
import pytest

from bench.results.columns import STATUSES, Row
from reports.pages.html import render
from reports.report import Report, Section, Table
from tests.support.report_pages import outline_of, page_of, plots_of
from tests.support.report_rows import MakeRun, case, failed, table_alone

HOSTILE = '<script>alert("1")</script>$x_{$|&'


def test_report_holds_tables_plots_and_page(swept: Path) -> None:
    out = swept / "report"
    with (out / "tables" / "rows.csv").open(newline="", encoding="utf-8") as file:
        assert len(list(csv.DictReader(file))) == 41
    names = {path.name for path in (out / "plots").iterdir()}
    stems = {name.partition(".")[0] for name in names}
    assert {"opening", "axis_operator_kernel-size_forward", "memory_operator_backward"} <= stems
    assert {"formula_operator_forward", "formula_operator_backward"} <= stems
    assert names == {f"{stem}.{ending}" for stem in stems for ending in ("png", "svg", "csv")}
    assert "triton is the fastest" in (out / "report.md").read_text(encoding="utf-8")
    assert sorted(path.name for path in swept.iterdir() if path.name.startswith(".")) == []

    page = (out / "index.html").read_text(encoding="utf-8")
    assert [section["id"] for section in outline_of(page).of("section")] == [
        *("verdict", "axes", "formula", "memory", "map", "problems", "trust", "rows", "missing")
    ]
    assert "triton is the fastest" in page
    assert "at 9× unfold" in page
    assert "versions.torch" in page
    assert "<code>python -m bench run axes</code>" in page
    for name in stems:
        text = (out / "plots" / f"{name}.svg").read_text(encoding="utf-8")
        assert "prefers-color-scheme" in text
        assert "var(--ink)" in text
        assert "<text" not in text


def test_page_is_self_contained(swept: Path) -> None:
    page = (swept / "report" / "index.html").read_text(encoding="utf-8")
    outline = outline_of(page)
    addresses = re.sub(r'<script type="text/plain".*?</script>|http://www.w3.org/2000/svg', "", page)
    assert not re.search(r"(https?:)?//\w", addresses)
    assert not outline.of("iframe")
    assert not outline.of("img")
    assert [link["href"] for link in outline.of("link")] == ["data:,"]
    (policy,) = [str(meta["content"]) for meta in outline.of("meta") if meta.get("http-equiv")]
    for tag in ("style", "script"):
        (own,) = re.findall(rf"<{tag}>(.*?)</{tag}>", page, flags=re.DOTALL)
        assert f"{tag}-src 'sha256-{b64encode(sha256(own.encode()).digest()).decode()}';" in policy
    assert policy.startswith("default-src 'none';")
    assert "img-src data:;" in policy
    plots = plots_of(page)
    assert len(plots) > 20
    assert all(len(plot.attrib["aria-label"]) > 20 for plot in plots)
    attributes = {name for plot in plots for node in plot.iter() for name in node.attrib}
    assert not {"style", "href"} & attributes


@pytest.mark.usefixtures("undrawn")
def test_hostile_text_is_shown_and_not_run(make_run: MakeRun) -> None:
    rows = [case(1.0), case(1.0, implementation=HOSTILE), case(2.0, m=1, implementation=HOSTILE)]
    rows += [failed("error", HOSTILE, m=3), case(1.0, m=3, implementation="chunked", dtype=HOSTILE)]
    run = make_run(rows, environment={"host": HOSTILE, HOSTILE: [HOSTILE, {"a": HOSTILE}]})
    page = page_of(run)
    assert len(plots_of(page)) > 3
    run_by_a_browser = [script for script in outline_of(page).of("script") if script.get("type") != "text/plain"]
    assert run_by_a_browser == [{}]
    assert "&lt;script&gt;alert(&#34;1&#34;)&lt;/script&gt;$x_{$|&amp;" in page
    assert not [node for svg in plots_of(page) for node in svg.iter() if node.tag.endswith("script")]
    markdown = (run / "report" / "report.md").read_text(encoding="utf-8")
    assert "<script" not in markdown


@pytest.mark.usefixtures("undrawn")
@pytest.mark.parametrize(
    "rows",
    [
        [],
        [case(1.0)],
        [failed("unsupported", "no")],
        [failed(status, "why", m=m) for m, status in enumerate(STATUSES, 1)],
        [case(1.0, m=m, peak_mib=None, latency_p20_ms=None, paper_cost=None, images_per_s=None) for m in (1, 2)],
        [case(1.0, m=m, latency_p80_ms=None) for m in (1, 2)],
        [case(0.0, m=m) for m in (1, 2)],
        [case(1.0, batch=n) for n in (0, 1)],
        [case(1.0, dtype="float16"), case(2.0, dtype="bfloat16"), case(2.0, dtype="bfloat16", prior=False)],
        [case(1.0), case(2.0, m=1), case(1.0, batch=4, device="cuda"), case(2.0, batch=4, m=1, device="cuda")],
        [case(1.0), case(2.0, m=1, mode="sideways", scope="elsewhere", status="odd")],
    ],
    ids=[
        "none",
        "one",
        "unsupported",
        "failures",
        "sparse",
        "half-a-band",
        "zero",
        "batch-0",
        "words",
        "devices",
        "strange",
    ],
)
def test_whatever_a_run_holds_there_is_a_page(make_run: MakeRun, rows: list[Row]) -> None:
    page = page_of(make_run(rows))
    outline = outline_of(page)
    sections = [str(section["id"]) for section in outline.of("section")]
    assert (sections[0], sections[-1]) == ("verdict", "missing")
    (missing,) = re.findall(r'<section id="missing".*?</section>', page, flags=re.DOTALL)
    assert len(sections) - 1 + missing.count("<li>") == 12
    if not any(row["status"] == "ok" for row in rows):
        assert "python -m bench run" in page
        assert not plots_of(page)


@pytest.mark.usefixtures("undrawn")
def test_page_of_a_table_with_few_columns(make_run: MakeRun) -> None:
    run = make_run([])
    table_alone(run).write_text("implementation,status,m,latency_ms\na,ok,1,2\na,ok,2,3\n", encoding="utf-8")
    page = page_of(run)
    assert "results.csv lacks" in page
    assert len(plots_of(page)) == 1


@pytest.mark.usefixtures("undrawn")
def test_grid_says_what_the_slices_leave_out(make_run: MakeRun) -> None:
    page = page_of(make_run([case(1.0, kernel_size=k, m=m) for k in (3, 5, 7) for m in (1, 2, 4)]))
    assert "4 of 9 cases lie off all slices through it" in page


@pytest.mark.usefixtures("undrawn")
def test_stages_have_a_figure_for_each_mode(make_run: MakeRun) -> None:
    points = [{"channels": c, "height": h, "width": h, "stride": s} for c, h, s in ((64, 112, 2), (100, 56, 1))]
    modes = ("forward", "backward")
    rows = [case(1.0 + i, **point, mode=mode) for i, point in enumerate(points) for mode in modes]
    run = make_run([*rows, failed("error", "no", **points[0], implementation="triton")])
    page = page_of(run)
    assert "unfold 1 at 64×112² s2 to 2 at 100×56², up" in page
    assert {path.stem for path in (run / "report" / "plots").glob("*problem*.png")} == {
        "axis_operator_problem_forward",
        "axis_operator_problem_backward",
    }


@pytest.mark.usefixtures("undrawn")
def test_reason_in_the_verdict_is_short(make_run: MakeRun) -> None:
    page = page_of(make_run([case(1.0), failed("error", "why " * 99, implementation="triton")]))
    (reason,) = re.findall(r"triton was measured in none of its 1 case \((.*)\)\.", page)
    assert reason.startswith("error: why why")
    assert len(reason) <= 90


@pytest.mark.usefixtures("undrawn")
def test_points_that_failed_are_named(make_run: MakeRun) -> None:
    rows = [case(1.0), case(2.0, m=1), failed("out_of_memory", "large", m=2)]
    rows += [failed("unsupported", "no", m=m, implementation="triton") for m in (1, 2, 8)]
    rows += [case(1.0, implementation="triton", kernel_size=3), failed("unsupported", "no", implementation="flex")]
    page = page_of(make_run(rows))
    assert "Missing: unfold at 2 (out_of_memory); triton (unsupported throughout)." in page


@pytest.mark.usefixtures("undrawn")
def test_operator_rows_carry_the_remark_on_the_formula(make_run: MakeRun) -> None:
    rows = [case(1.0 * c, channels=c) for c in (16, 32, 64)]
    assert "Scope operator leaves out the layer" in page_of(make_run(rows, "operator"))
    layer = [{**row, "scope": "layer"} for row in rows]
    assert "Scope operator leaves out the layer" not in page_of(make_run(layer, "layer"))


def test_long_tables_are_cut_on_the_page_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("reports.pages.tables.ROW_LIMIT", 2)
    table = Table("five", "Five rows.", pd.DataFrame({"a": range(5)}))
    page = render(Report("Title", [Section("one", "One", tables=[table])]))
    assert "The first 2 of 5 rows; all are in tables/five.csv." in page
    assert page.count("<tr>") == 3
