"""The pictures of a page in a browser: the legend that toggles, and what points tell."""

from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.support.hostile_page import LOOKS, Window

if TYPE_CHECKING:
    from playwright.sync_api import Page


@pytest.fixture
def page(window: Window, made: Path) -> "Page":
    return window.open(made)


def told(page: "Page") -> str:
    return page.locator(".tip").inner_text()


def lines(page: "Page") -> dict[str, int]:
    """How many pictures outside of a disclosure show each implementation."""
    shown = page.locator("figure > .plots [data-line]").evaluate_all(
        "(lines) => lines.filter((line) => getComputedStyle(line).display !== 'none').map((line) => line.dataset.line)"
    )
    return {name: shown.count(name) for name in LOOKS}


def test_legend_takes_an_implementation_out_of_all_pictures_by_mouse_and_keyboard(page: "Page") -> None:
    button = page.locator(".legend").get_by_role("button", name="triton")
    for key in ("", "Enter", "Space"):
        assert button.get_attribute("aria-pressed") == "true"
        assert lines(page) == dict.fromkeys(LOOKS, 3)
        button.press(key) if key else button.click()
        assert button.get_attribute("aria-pressed") == "false"
        assert lines(page) == {**dict.fromkeys(LOOKS, 3), "triton": 0}
        button.press("Enter")


def test_points_tell_value_and_interval_under_the_mouse_and_the_focus(page: "Page") -> None:
    plot = page.locator("#figure_1 > .plots > .plot")
    plot.locator(".point").nth(1).hover()
    assert told(page) == "unfold, 5: 2 ms (1.8 to 2.4)"
    page.mouse.move(1, 1)
    assert page.locator(".tip").is_hidden()
    page.locator("#figure_1").evaluate("(figure) => figure.scrollIntoView()")
    page.locator(".legend").get_by_role("button", name="unfold").press("Enter")
    while not plot.evaluate("(plot) => plot === document.activeElement"):
        page.keyboard.press("Tab")
    # Of what the legend took out nothing is told.
    assert told(page) == "triton, 3: 2 ms (1.8 to 2.4)"
    for key, text in (("ArrowRight", "triton, 5: 4 ms (3.6 to 4.8)"), ("ArrowLeft", "triton, 3: 2 ms (1.8 to 2.4)")):
        page.keyboard.press(key)
        assert told(page) == text
    box = page.locator(".tip").bounding_box()
    assert box is not None
    assert 0 <= box["y"] <= 900
    page.keyboard.press("Escape")
    assert page.locator(".tip").is_hidden()
    assert page.locator(".tip").get_attribute("role") == "status"
