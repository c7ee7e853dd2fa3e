"""The long table in a browser: sorting, filtering and paging, by mouse and by keyboard; and the downloads."""

import io
import struct
import xml.etree.ElementTree as ET
from pathlib import Path
from typing import TYPE_CHECKING

import pandas as pd
import pytest

from reports.style import show
from tests.support.hostile_page import HOSTILE, LOOKS, Window, report, rows

if TYPE_CHECKING:
    from playwright.sync_api import Page

MISSING = "–"


@pytest.fixture
def page(window: Window, made: Path) -> "Page":
    return window.open(made)


def shown(page: "Page", column: str) -> list[str]:
    """The texts of a column, top to bottom."""
    heads = page.locator(".browser th").all_inner_texts()
    index = [head.strip(" ↕↑↓") for head in heads].index(column)
    return page.locator(f".browser tbody td:nth-child({index + 1})").all_inner_texts()


def told(page: "Page", text: str) -> None:
    """Wait until the page tells this of its rows."""
    page.get_by_text(text, exact=True).wait_for()


def texts(values: pd.Series) -> list[str]:
    return [show(None if pd.isna(value) else value) for value in values.tolist()]


def test_rows_stand_in_the_runs_order_at_first(page: "Page") -> None:
    told(page, "Rows 1 to 25 of 60 rows")
    for name in ("implementation", "latency_ms", "reason", "metric_b"):
        assert shown(page, name) == texts(rows()[name])[:25]


@pytest.mark.parametrize("key", ["", "Enter", "Space"])
def test_titles_sort_up_down_and_not_at_all(page: "Page", key: str) -> None:
    button = page.get_by_role("button", name="latency_ms")
    head = page.locator(".browser th", has=button)
    for direction, ascending in (("ascending", True), ("descending", False)):
        button.press(key) if key else button.click()
        assert head.get_attribute("aria-sort") == direction
        assert shown(page, "latency_ms") == texts(rows()["latency_ms"].sort_values(ascending=ascending))[:25]
        assert page.locator(".browser th[aria-sort]").count() == 1
    button.press(key) if key else button.click()
    assert page.locator(".browser th[aria-sort]").count() == 0
    assert shown(page, "latency_ms") == texts(rows()["latency_ms"])[:25]


def test_missing_values_are_last_both_ways(page: "Page") -> None:
    button = page.get_by_role("button", name="latency_ms")
    for _ in range(2):
        button.click()
        for span in ("26 to 50", "51 to 60"):
            page.get_by_role("button", name="Next rows").click()
            told(page, f"Rows {span} of 60 rows")
        assert shown(page, "latency_ms") == [MISSING] * 10
        page.get_by_role("button", name="Previous rows").click()
        assert shown(page, "latency_ms").count(MISSING) == 2


@pytest.mark.parametrize(
    ("typed", "fits"),
    [
        ("triton", "implementation == 'triton'"),
        ("TRITON  memory:", "implementation == 'triton' and reason.notna()"),
        ("kernel_size=7", "kernel_size == 7"),
        ("kernel_size>=5 kernel_size<9 implementation=unfold", "5 <= kernel_size < 9 and implementation == 'unfold'"),
        ("latency_ms<50", "latency_ms < 50"),
        ("device=cpu kernel_size>7", "kernel_size > 7"),
        ("implementation=trit", "False"),
        (HOSTILE[:12], "implementation.str.startswith('<script')"),
    ],
)
def test_filter_keeps_the_rows_that_fit(page: "Page", typed: str, fits: str) -> None:
    whole = rows()
    kept = whole.iloc[:0] if fits == "False" else whole.query(fits)
    page.get_by_label("Filter", exact=True).fill(typed)
    if kept.empty:
        told(page, "No row of 60 fits")
    else:
        told(page, f"Rows 1 to {min(25, len(kept))} of {len(kept)} rows that fit, of 60")
    assert shown(page, "metric_b") == texts(kept["metric_b"])[:25]


def test_keyboard_alone_filters_sorts_and_turns(page: "Page") -> None:
    page.get_by_label("Filter", exact=True).focus()
    page.keyboard.type("kernel_size<9")
    told(page, "Rows 1 to 25 of 45 rows that fit, of 60")
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.tagName") == "SELECT"
    page.keyboard.type("tr")
    told(page, "Rows 1 to 15 of 15 rows that fit, of 60")
    assert set(shown(page, "implementation")) == {"triton"}
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    told(page, "Rows 1 to 25 of 60 rows")
    assert page.evaluate("document.activeElement.tagName") == "INPUT"
    for _ in range(3):
        page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.className") == "scroll"
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    assert page.locator("th[aria-sort=ascending]").inner_text().startswith("implementation")


def test_pages_turn_to_the_ends_and_keep_the_focus(page: "Page") -> None:
    back, on = (page.get_by_role("button", name=name) for name in ("Previous rows", "Next rows"))
    assert back.get_attribute("aria-disabled") == "true"
    for span in ("26 to 50", "51 to 60", "51 to 60"):
        on.press("Enter")
        told(page, f"Rows {span} of 60 rows")
        assert on.evaluate("(button) => button === document.activeElement")
    assert on.get_attribute("aria-disabled") == "true"
    assert shown(page, "implementation") == texts(rows()["implementation"])[50:]
    back.click()
    told(page, "Rows 26 to 50 of 60 rows")


def test_choice_by_mouse(page: "Page") -> None:
    page.get_by_role("combobox", name="implementation").select_option(HOSTILE)
    told(page, "Rows 1 to 20 of 20 rows that fit, of 60")
    assert set(shown(page, "implementation")) == {HOSTILE}
    page.get_by_role("button", name="Clear").click()
    told(page, "Rows 1 to 25 of 60 rows")


def test_other_columns_of_a_row_open_and_close(page: "Page") -> None:
    button = page.get_by_role("button", name="All columns").first
    button.press("Enter")
    assert button.get_attribute("aria-expanded") == "true"
    assert f"metric_t {texts(rows()['metric_t'])[0]}" in page.locator(".rest").inner_text()
    button.press("Enter")
    assert page.locator(".rest").count() == 0


@pytest.mark.parametrize("kind", ["svg", "png", "csv"])
def test_figure_can_be_downloaded(page: "Page", kind: str, tmp_path: Path) -> None:
    page.locator("#figure_2 summary").click()
    with page.expect_download() as waiting:
        page.get_by_role("button", name=f"Download “Along k, 2” as {kind.upper()}").click()
    assert waiting.value.suggested_filename == f"figure_2.{kind}"
    waiting.value.save_as(tmp_path / "got")
    got = (tmp_path / "got").read_bytes()
    if kind == "svg":
        picture = ET.fromstring(got)  # noqa: S314
        assert len(list(picture.iter("{http://www.w3.org/2000/svg}svg"))) == 1 + 2 + len(LOOKS)
        assert {node.text for node in picture.iter("{http://www.w3.org/2000/svg}text")} >= LOOKS.keys()
    elif kind == "csv":
        pd.testing.assert_frame_equal(pd.read_csv(io.BytesIO(got)), report().figures[2].data)
    else:
        assert got[:8] == b"\x89PNG\r\n\x1a\n"
        assert struct.unpack(">II", got[16:24]) == (2 * (2 * 396 + 16), 2 * (252 + 32 + 24))
