"""Pages in a browser: nothing asks the network, nothing is broken, everyone can read them."""

import importlib.resources
import io
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from matplotlib.image import imread

from reports.published import write_index
from tests.support.hostile_page import HOSTILE, Window

if TYPE_CHECKING:
    from playwright.sync_api import Page

WIDTHS = (390, 768, 1280, 1440)


def serious(page: "Page") -> list[str]:
    """What axe-core calls serious or critical, with the elements."""
    axe = importlib.resources.files("axe_playwright_python").joinpath("axe.min.js")
    page.evaluate(axe.read_text(encoding="utf-8"))
    findings = page.evaluate("axe.run({ resultTypes: ['violations'] })")
    return [
        f"{found['id']}: {node['html'][:120]}"
        for found in findings["violations"]
        if found["impact"] in {"serious", "critical"}
        for node in found["nodes"]
    ]


@pytest.mark.parametrize(("scheme", "width"), [("light", 1280), ("dark", 390)])
def test_axe_finds_nothing_serious(window: Window, path: Path, scheme: str, width: int) -> None:
    page = window.open(path, width=width, color_scheme=scheme)
    assert serious(page) == []


def test_axe_sees_faults(window: Window, made: Path) -> None:
    page = window.open(made)
    page.evaluate("document.querySelector('.plot').removeAttribute('aria-label')")
    assert [line.split(":")[0] for line in serious(page)] == ["svg-img-alt"]


def test_nothing_overflows_at_any_width(window: Window, path: Path) -> None:
    page = window.open(path)
    beyond = """() => [...document.querySelectorAll("body *")].filter((element) =>
        !element.closest(".scroll *, .skip") && element.getBoundingClientRect().right > innerWidth + 0.5
    ).map((element) => element.outerHTML.slice(0, 120))"""
    wide = """() => [...document.querySelectorAll("table")].filter((table) =>
        table.getBoundingClientRect().width > table.parentElement.clientWidth + 0.5
    ).map((table) => table.caption.textContent)"""
    for width in WIDTHS:
        page.set_viewport_size({"width": width, "height": 900})
        assert page.evaluate(beyond) == []
        assert page.evaluate(wide) == []
        assert page.evaluate("document.documentElement.scrollWidth") <= width


def test_rows_of_the_verdict_are_one_line_high(window: Window, real: Path) -> None:
    page = window.open(real, width=1280)
    lines = "(cells) => cells.map((cell) => cell.getBoundingClientRect().height / 14 / 1.55)"
    heights = page.locator("#verdict table tr :is(th, td)").evaluate_all(lines)
    assert max(heights) < 2


def test_figures_are_drawn_and_have_their_text(window: Window, path: Path) -> None:
    page = window.open(path)
    plots = page.locator("figure > .plots > .plot").evaluate_all(
        "(plots) => plots.map((plot) => [plot.getBoundingClientRect().width, plot.getAttribute('aria-label')])"
    )
    assert len(plots) >= 3
    assert all(width > 250 and len(text) > 20 for width, text in plots)


def test_every_table_is_there_once(window: Window, path: Path) -> None:
    page = window.open(path)
    captions = page.locator("caption").all_text_contents()
    assert len(captions) == len(set(captions)) >= 3
    assert page.locator("table").count() == len(captions)


def test_headings_and_names_can_be_walked(window: Window, path: Path) -> None:
    page = window.open(path)
    levels = [int(tag[1]) for tag in page.locator("h1,h2,h3,h4").evaluate_all("(all) => all.map((one) => one.tagName)")]
    assert levels[0] == 1
    assert levels.count(1) == 1
    assert all(after <= before + 1 for before, after in pairwise(levels))
    ids = page.locator("[id]").evaluate_all("(all) => all.map((one) => one.id)")
    assert len(ids) == len(set(ids))
    targets = page.locator("a[href^='#']").evaluate_all("(all) => all.map((one) => one.hash.slice(1))")
    assert set(targets) <= set(ids)
    assert page.locator("th:not([scope])").count() == 0


def test_data_is_shown_and_not_run(window: Window, path: Path) -> None:
    page = window.open(path)
    assert page.get_by_text(HOSTILE).count() > 0
    assert page.evaluate("window.harmed") is None


def test_policy_refuses_what_is_not_the_pages_own(window: Window, path: Path) -> None:
    page = window.open(path)
    page.evaluate("""() => {
        window.refused = [];
        document.addEventListener("securitypolicyviolation", (event) => window.refused.push(event.effectiveDirective));
        const script = document.createElement("script");
        script.textContent = "window.harmed = true";
        const style = document.createElement("style");
        style.textContent = "body { display: none }";
        document.body.append(script, style);
        new Image().src = "http://127.0.0.1:9/picture.png";
    }""")
    assert page.evaluate("fetch('http://127.0.0.1:9/').then(() => 'sent', () => 'refused')") == "refused"
    refused = page.evaluate("new Promise((done) => setTimeout(() => done(window.refused), 200))")
    assert set(refused) == {"script-src-elem", "style-src-elem", "img-src", "connect-src"}
    assert page.evaluate("window.harmed") is None
    assert page.locator("h1").is_visible()
    window.problems.clear()


def test_first_tab_skips_to_the_content(window: Window, made: Path) -> None:
    page = window.open(made)
    page.keyboard.press("Tab")
    link = page.locator(":focus")
    assert link.inner_text() == "Skip to the content"
    assert link.bounding_box()["y"] >= 0  # type: ignore[index]
    page.keyboard.press("Enter")
    assert page.evaluate("document.activeElement.id") == "content"


def test_pictures_follow_the_readers_setting_and_paper_is_light(window: Window, made: Path, tmp_path: Path) -> None:
    darks = {}
    for scheme in ("light", "dark"):
        page = window.open(made, color_scheme=scheme)
        darks[scheme] = [colour(page, "body"), colour(page, "figure .plot")]
        page.emulate_media(media="print", color_scheme=scheme)
        darks[f"{scheme}, printed"] = [colour(page, "body"), colour(page, "figure .plot")]
        assert page.locator("nav").is_hidden()
        assert page.locator("button:visible").count() == page.locator("th button").count()
        assert page.locator(".keys:visible").count() == page.locator("figure").count()
        page.pdf(path=tmp_path / "page.pdf")
        assert (tmp_path / "page.pdf").stat().st_size > 10_000
    assert darks == {
        "light": ["light", "light"],
        "dark": ["dark", "dark"],
        "light, printed": ["light", "light"],
        "dark, printed": ["light", "light"],
    }


def colour(page: "Page", selector: str) -> str:
    """Whether the upper left corner of an element is light or dark on the screen."""
    pixels = imread(io.BytesIO(page.locator(selector).first.screenshot()), format="png")
    return "light" if pixels[2, 2, :3].mean() > 0.5 else "dark"


def test_page_is_of_use_without_its_script(window: Window, made: Path) -> None:
    page = window.open(made, java_script_enabled=False)
    assert page.locator("figure > .plots > .plot:visible").count() == 3
    assert page.locator(".plot title", has_text="triton, 5: 4 ms (3.6 to 4.8)").count() == 6
    assert page.locator(".legend li:visible").count() == 3
    assert page.locator(".browser tbody tr").count() == 25
    assert page.get_by_text("The first 25 of 60 rows; all are in tables/all.csv.").is_visible()
    assert page.locator("button:visible, input:visible, select:visible").count() == 0


def test_index_page_passes_the_same_checks(window: Window, real: Path) -> None:
    index = write_index(real.parents[2])
    for scheme, width in (("light", 1280), ("dark", 390)):
        page = window.open(index, width=width, color_scheme=scheme)
        assert page.evaluate("document.documentElement.scrollWidth") <= width
        assert serious(page) == []
        page.get_by_role("link", name="Report: run", exact=True).click()
        assert page.url == real.as_uri()
