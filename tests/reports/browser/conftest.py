"""A browser without a window, and pages to open in it: one that holds everything, and one that the command made."""

import importlib.util
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from reports.pages.html import render
from tests.support.hostile_page import Window, report

if TYPE_CHECKING:
    from playwright.sync_api import Browser

_PROGRAMS = ("chromium", "chromium-browser", "google-chrome")
_FLAGS = ("--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking")
_PACKAGES = ("playwright", "axe_playwright_python")


@pytest.fixture(scope="session")
def browser(request: pytest.FixtureRequest) -> Iterator["Browser"]:
    """Chromium; without one, tests are skipped, or fail if --browser-required is given."""
    give_up = pytest.fail if request.config.getoption("--browser-required") else pytest.skip
    program = next(filter(None, map(shutil.which, _PROGRAMS)), None)
    if program is None:
        give_up("no Chromium: `apt-get install chromium fonts-dejavu-core`, or your system's package of it")
    if not all(map(importlib.util.find_spec, _PACKAGES)):
        give_up("no playwright: `pip install playwright axe-playwright-python`")
    from playwright.sync_api import sync_playwright  # noqa: PLC0415

    with sync_playwright() as playwright:
        running = playwright.chromium.launch(executable_path=program, args=_FLAGS)
        yield running
        running.close()


@pytest.fixture
def window(browser: "Browser") -> Iterator[Window]:
    """A window; a page that was opened in it must leave the console and the network alone."""
    window = Window(browser)
    yield window
    for context in browser.contexts:
        context.close()
    assert window.problems == []


@pytest.fixture(scope="session")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The page of `report()`."""
    path = tmp_path_factory.mktemp("made") / "index.html"
    path.write_text(render(report()), encoding="utf-8")
    return path


@pytest.fixture(scope="session")
def real(swept: Path) -> Path:
    """The page that the command makes of a run."""
    return swept / "report" / "index.html"


@pytest.fixture(params=["made", "real"])
def path(request: pytest.FixtureRequest) -> Path:
    """Each of the pages."""
    found: Path = request.getfixturevalue(request.param)
    return found
