"""The command and what it leaves: the folder, the tables, the figures and the page."""

import csv
import re
import xml.etree.ElementTree as ET
from base64 import b64encode
from hashlib import sha256

import pandas as pd
import pytest

from bench.results.columns import STATUSES, Row
from reports.pages.html import render
from reports.report import Report, Section, Table
from tests.support.report_pages import command, outline_of, page_of, svgs_of
from tests.support.report_rows import MakeRun, case, failed, sweep, table_alone

SECTIONS = ["verdict", "axes", "formula", "bounds", "memory", "map", "networks", "yardsticks", "runs", "trust", "rows"]
HOSTILE = '<script>alert("1")</script>$x_{$|&'


def test_report_holds_tables_plots_and_page(make_run: MakeRun) -> None:
    rows = sweep({"unfold": 1.0, "triton": 9.0}) + sweep({"unfold": 0.4}, mode="backward")
    run = make_run(rows)
    code, printed, _ = command(run)
    out = run / "report"
    assert code == 0
    assert [line.split() for line in printed.splitlines()] == [
        ["tables", str(out / "tables")],
        ["plots", str(out / "plots")],
        ["text", str(out / "report.md")],
        ["page", str(out / "index.html")],
    ]
    with (out / "tables" / "rows.csv").open(newline="", encoding="utf-8") as file:
        assert len(list(csv.DictReader(file))) == 30
    names = {path.name for path in (out / "plots").iterdir()}
    stems = {name.partition(".")[0] for name in names}
    assert {"axis_operator_kernel-size_forward", "memory_operator_backward", "formula_operator"} <= stems
    assert names == {f"{stem}.{ending}" for stem in stems for ending in ("png", "svg", "csv")}
    assert "triton is the fastest" in (out / "report.md").read_text(encoding="utf-8")
    assert sorted(path.name for path in run.iterdir() if path.name.startswith(".")) == []

    page = (out / "index.html").read_text(encoding="utf-8")
    assert [section["id"] for section in outline_of(page).of("section")] == SECTIONS
    assert "triton is the fastest" in page
    assert "at 9× unfold" in page
    assert "versions.torch" in page
    assert "<code>python -m bench run axes</code>" in page


def test_page_is_self_contained(make_run: MakeRun) -> None:
    page = page_of(make_run(sweep({"unfold": 1.0, "chunked": 2.0})))
    outline = outline_of(page)
    without_pictures = re.sub(r'src="data:[^"]*"', "", page)
    assert not re.search(r"(https?:)?//\w", without_pictures)
    assert not outline.of("iframe")
    assert [link["href"] for link in outline.of("link")] == ["data:,"]
    (policy,) = [str(meta["content"]) for meta in outline.of("meta") if meta.get("http-equiv")]
    for tag in ("style", "script"):
        (own,) = re.findall(rf"<{tag}>(.*?)</{tag}>", page, flags=re.DOTALL)
        assert f"{tag}-src 'sha256-{b64encode(sha256(own.encode()).digest()).decode()}';" in policy
    assert policy.startswith("default-src 'none';")
    assert "img-src data:;" in policy
    assert all(len(str(image["alt"])) > 60 for image in outline.of("img"))
    for svg in svgs_of(page):
        text = ET.tostring(svg, encoding="unicode")
        assert "prefers-color-scheme" in text
        assert "var(--ink)" in text
        assert not {value for node in svg.iter() for value in node.attrib.values() if "//" in value}


def test_hostile_text_is_shown_and_not_run(make_run: MakeRun) -> None:
    rows = [case(1.0), case(1.0, implementation=HOSTILE), case(2.0, m=1, implementation=HOSTILE)]
    rows += [failed("error", HOSTILE, m=3), case(1.0, m=3, implementation="chunked", dtype=HOSTILE)]
    run = make_run(rows, environment={"host": HOSTILE, HOSTILE: [HOSTILE, {"a": HOSTILE}]})
    page = page_of(run)
    run_by_a_browser = [script for script in outline_of(page).of("script") if script.get("type") != "text/plain"]
    assert run_by_a_browser == [{}]
    assert "&lt;script&gt;alert(&#34;1&#34;)&lt;/script&gt;$x_{$|&amp;" in page
    assert not [node for svg in svgs_of(page) for node in svg.iter() if node.tag.endswith("script")]
    markdown = (run / "report" / "report.md").read_text(encoding="utf-8")
    assert "<script" not in markdown


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
    assert [section["id"] for section in outline.of("section")] == SECTIONS
    assert page.count('<p class="empty">') + len(outline.of("img")) + len(outline.of("table")) >= len(SECTIONS)
    if not any(row["status"] == "ok" for row in rows):
        assert "python -m bench run" in page
        assert not outline.of("img")


def test_page_of_a_table_with_few_columns(make_run: MakeRun) -> None:
    run = make_run([])
    table_alone(run).write_text("implementation,status,m,latency_ms\na,ok,1,2\na,ok,2,3\n", encoding="utf-8")
    page = page_of(run)
    assert "results.csv lacks" in page
    assert len(outline_of(page).of("img")) == 1


def test_grid_says_what_the_slices_leave_out(make_run: MakeRun) -> None:
    page = page_of(make_run([case(1.0, kernel_size=k, m=m) for k in (3, 5, 7) for m in (1, 2, 4)]))
    assert "4 of 9 cases lie off all slices through it" in page


def test_stages_have_a_figure_for_each_mode(make_run: MakeRun) -> None:
    points = [{"channels": c, "height": h, "width": h, "stride": s} for c, h, s in ((64, 112, 2), (100, 56, 1))]
    modes = ("forward", "backward")
    rows = [case(1.0 + i, **point, mode=mode) for i, point in enumerate(points) for mode in modes]
    run = make_run([*rows, failed("error", "no", **points[0], implementation="triton")])
    page = page_of(run)
    assert "unfold 1 at 64×112² s2 to 2 at 100×56², up" in page
    assert "Missing: triton (error throughout)." in page
    assert {path.stem for path in (run / "report" / "plots").glob("*problem*.png")} == {
        "axis_operator_problem_forward",
        "axis_operator_problem_backward",
    }


def test_reason_in_the_verdict_is_short(make_run: MakeRun) -> None:
    page = page_of(make_run([case(1.0), failed("error", "why " * 99, implementation="triton")]))
    (reason,) = re.findall(r"triton was measured in none of its 1 case \((.*)\)\.", page)
    assert reason.startswith("error: why why")
    assert len(reason) <= 80


def test_points_that_failed_are_named(make_run: MakeRun) -> None:
    rows = [case(1.0), case(2.0, m=1), failed("out_of_memory", "large", m=2)]
    rows += [failed("unsupported", "no", m=m, implementation="triton") for m in (1, 2, 8)]
    page = page_of(make_run(rows))
    assert "Missing: unfold at 2 (out_of_memory); triton (unsupported throughout)." in page


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
