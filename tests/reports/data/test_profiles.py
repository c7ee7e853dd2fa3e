"""A row that was profiled links the profile's page."""

import json
from pathlib import Path

import pytest

from bench.results.columns import PARAMETERS, Row
from tests.support.report_pages import outline_of, page_of
from tests.support.report_rows import MakeRun, case

pytestmark = pytest.mark.usefixtures("undrawn")


def leave_profile(run: Path, number: int, row: Row) -> None:
    """What `python -m bench profile RUN:NUMBER` leaves, as far as a report reads it."""
    folder = run / "profiles" / str(number)
    folder.mkdir(parents=True)
    (folder / "profile.md").write_text("# A profile\n", encoding="utf-8")
    summary = {name: row[name] for name in PARAMETERS}
    (folder / "profile.json").write_text(json.dumps({**summary, "line": number}), encoding="utf-8")


def test_the_profiled_row_links_its_page(make_run: MakeRun) -> None:
    rows = [case(1.0), case(2.0, implementation="chunked"), case(3.0, implementation="chunked", kernel_size=3)]
    run = make_run(rows)
    leave_profile(run, 2, rows[1])
    page = page_of(run)
    links = [href for link in outline_of(page).of("a") if (href := link["href"] or "").startswith("..")]
    assert links == ["../profiles/2/profile.md"]
    assert (run / "report" / links[0]).resolve().read_text(encoding="utf-8") == "# A profile\n"
    cells = page[: page.index(links[0])].rpartition("<tr>")[2]
    assert "chunked</td>" in cells


def test_a_run_without_profiles_has_no_such_column(make_run: MakeRun) -> None:
    assert '<th scope="col">profile</th>' not in page_of(make_run([case(1.0), case(2.0, implementation="chunked")]))


def test_a_profile_that_cannot_be_read_is_told(make_run: MakeRun) -> None:
    rows = [case(1.0), case(2.0, implementation="chunked")]
    run = make_run(rows)
    leave_profile(run, 1, rows[0])
    (run / "profiles" / "1" / "profile.json").write_text('{"implementation": "unf', encoding="utf-8")
    page = page_of(run)
    assert "1 profile in" in page
    assert "../profiles/" not in page
