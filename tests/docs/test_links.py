"""Every relative link and image of README, CHANGELOG and the chapters leads somewhere, anchors of headings included."""

import itertools
import re
from collections.abc import Iterator
from pathlib import PurePosixPath

import pytest

from tests.docs.sources import ROOT, pages, prose

README_LINES = 150
PAGES = pages()
CHAPTERS = sorted(name for name in PAGES if name.startswith("docs/") and name != "docs/README.md")
_LINK = re.compile(r"\]\(([^()\s]+)\)")
_ELSEWHERE = re.compile(r"[a-z]+:", re.IGNORECASE)


def slugs(text: str) -> set[str]:
    """The anchors that a code host gives a page's headings: lower case, no punctuation, hyphens, a number if taken."""
    found: set[str] = set()
    for heading in re.findall(r"^#{1,6} +(.+?) *#*$", prose(text), re.MULTILINE):
        shown = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", heading)
        slug = re.sub(r"[^\w\- ]", "", shown.lower()).replace(" ", "-")
        taken = (f"{slug}-{number}" for number in itertools.count(1))
        found.add(next(one for one in itertools.chain([slug], taken) if one not in found))
    return found


def links(text: str) -> list[str]:
    """The targets of a page's links and images, outside of code."""
    return _LINK.findall(re.sub(r"`[^`\n]*`", "", prose(text)))


def dead(name: str, text: str) -> Iterator[str]:
    """The relative links of a page that lead nowhere."""
    for target in links(text):
        if _ELSEWHERE.match(target):
            continue
        path, _, anchor = target.partition("#")
        file = (ROOT / PurePosixPath(name).parent / path).resolve() if path else ROOT / name
        if not file.is_relative_to(ROOT) or not file.exists():
            yield target
        elif anchor and (file.suffix != ".md" or anchor not in slugs(file.read_text(encoding="utf-8"))):
            yield target


@pytest.mark.parametrize("name", PAGES)
def test_every_link_leads_somewhere(name: str) -> None:
    assert list(dead(name, PAGES[name])) == []


def test_dead_links_are_found() -> None:
    text = "# A b\n[here](#a-b) [gone](#c) ![no](no.png) [out](../../x) [web](https://e.org/x) `[code](none)`\n"
    text += "```\n[fenced](none)\n```\n[page](docs/README.md) [nowhere](docs/README.md#nowhere)"
    assert list(dead("README.md", text)) == ["#c", "no.png", "../../x", "docs/README.md#nowhere"]


def test_anchors_are_those_of_the_code_host() -> None:
    text = "# The bound\n## `python -m bench run`\n## Two, or more?\n## The bound\n## The bound\n## Φ and k\n## a_b [c](d)\n"
    text += "```\n# no heading\n```\n"
    assert slugs(text) == {
        "the-bound",
        "python--m-bench-run",
        "two-or-more",
        "the-bound-1",
        "the-bound-2",
        "φ-and-k",
        "a_b-c",
    }


def test_readme_is_short() -> None:
    assert len(PAGES["README.md"].splitlines()) <= README_LINES


@pytest.mark.parametrize("name", CHAPTERS)
def test_every_chapter_is_in_the_index(name: str) -> None:
    assert PurePosixPath(name).name in links(PAGES["docs/README.md"])
    assert name in links(PAGES["README.md"]) or "docs/README.md" in links(PAGES["README.md"])


@pytest.mark.parametrize("name", ["docs/README.md", *CHAPTERS])
def test_a_chapter_begins_with_what_it_is_for(name: str) -> None:
    title, blank, opening, *_ = PAGES[name].splitlines()
    assert title.startswith("# ")
    assert not blank
    assert re.match(r"[A-Z`]", opening), "a sentence, not a heading, a list or a table"
