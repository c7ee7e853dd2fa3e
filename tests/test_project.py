"""What a stranger needs to take the project up: licence, citation, and extras whose versions are tested ones."""

import re
import tomllib

import pytest
from packaging.requirements import Requirement

from tests import ROOT

# A GPU's machine may lack it.
yaml = pytest.importorskip("yaml")
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
ABOUT = PROJECT["project"]
EXTRAS = ABOUT["optional-dependencies"]


def test_the_licence_is_there_in_the_name_of_the_authors() -> None:
    text = (ROOT / "LICENSE").read_text(encoding="utf-8")
    (author,) = (one["name"] for one in ABOUT["authors"])
    assert (ABOUT["license"], ABOUT["license-files"]) == ("MIT", ["LICENSE"])
    assert text.startswith("MIT License\n")
    assert re.search(rf"^Copyright \(c\) \d{{4}} {re.escape(author)}$", text, re.MULTILINE)


def test_the_citation_says_what_pyproject_says() -> None:
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text(encoding="utf-8"))
    assert {"cff-version", "message", "title", "authors"} <= citation.keys()
    told = (citation["title"], citation["version"], citation["license"], citation["authors"])
    assert told == (ABOUT["name"], ABOUT["version"], ABOUT["license"], ABOUT["authors"])
    (paper,) = citation["references"]
    assert (paper["type"], paper["year"], paper["url"]) == ("conference-paper", 2019, ABOUT["urls"]["Paper"])


def test_every_package_has_a_tested_version_within_its_range() -> None:
    lines = (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines()
    tested = dict(line.split("==") for line in lines if not line.startswith("#"))
    lists = [ABOUT["dependencies"], *EXTRAS.values(), *PROJECT["dependency-groups"].values()]
    wanted = [one for texts in lists for one in map(Requirement, texts) if one.name != ABOUT["name"]]
    assert {one.name for one in wanted} == tested.keys()
    assert [str(one) for one in wanted if not one.specifier.contains(tested[one.name])] == []


def test_an_extra_names_extras_that_are_there() -> None:
    named = {name for texts in EXTRAS.values() for text in texts for name in Requirement(text).extras}
    assert named <= EXTRAS.keys()
    assert EXTRAS.keys() == {"bench", "learn", "ray", "test"}
