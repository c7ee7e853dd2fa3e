"""Every relative link and image of README, CHANGELOG and the chapters leads somewhere, anchors of headings included."""

import itertools
import re
from pathlib import PurePosixPath

import pytest

from tests import ROOT
from tests.docs.markdown import prose
from tests.docs.sources import pages

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


def leads(name: str, target: str) -> bool:
    """Whether a page's relative link is to something in the repository, and its anchor to a heading there."""
    path, _, anchor = target.partition("#")
    file = (ROOT / PurePosixPath(name).parent / path).resolve() if path else ROOT / name
    if not file.is_relative_to(ROOT) or not file.exists():
        return False
    return not anchor or anchor in slugs(file.read_text(encoding="utf-8"))


def dead(name: str, text: str) -> list[str]:
    """The links of a page that lead nowhere, of those that stay in the repository."""
    return [target for target in links(text) if not _ELSEWHERE.match(target) and not leads(name, target)]


@pytest.mark.parametrize("name", PAGES)
def test_every_link_leads_somewhere(name: str) -> None:
    assert dead(name, PAGES[name]) == []


def test_dead_links_are_found() -> None:
    text = "[here](#two-commands) [gone](#c) ![no](no.png) [out](../../x) [web](https://e.org/x) `[code](none)`\n"
    text += "```\n[fenced](none)\n```\n[page](docs/README.md) [nowhere](docs/README.md#nowhere)"
    assert dead("README.md", text) == ["#c", "no.png", "../../x", "docs/README.md#nowhere"]


HEADINGS = {
    "# The bound": "the-bound",
    "## `python -m bench run`": "python--m-bench-run",
    "### Two, or more?": "two-or-more",
    "## The bound": "the-bound-1",
    "# The bound ##": "the-bound-2",
    "## Φ and k": "φ-and-k",
    "## a_b [c](d)": "a_b-c",
}


def test_anchors_are_those_of_the_code_host() -> None:
    text = "\n".join([*HEADINGS, "```", "# no heading", "```"])
    assert slugs(text) == set(HEADINGS.values())


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
