"""The generated parts of the chapters are those that the program would write today."""

import pytest

from tests.docs.generated import BLOCKS, refreshed, used
from tests.docs.markdown import table
from tests.docs.sources import pages

PAGES = pages()


@pytest.mark.parametrize("name", [name for name, text in PAGES.items() if used(text)])
def test_parts_are_fresh(name: str) -> None:
    assert PAGES[name] == refreshed(PAGES[name]), "stale: `python -m tests.docs.generated` writes it anew"


def test_every_part_stands_in_one_page() -> None:
    names = [name for text in PAGES.values() for name in used(text)]
    assert sorted(names) == sorted(BLOCKS)


def test_every_marker_is_closed() -> None:
    for name, text in PAGES.items():
        assert text.count("<!-- generated:") == text.count("<!-- end -->") == len(used(text)), name


def test_what_is_stale_is_replaced() -> None:
    stale = "before\n<!-- generated: yardsticks -->\n\nold\n\n<!-- end -->\nafter"
    fresh = refreshed(stale)
    assert fresh.startswith("before\n<!-- generated: yardsticks -->\n\n| yardstick | what it is |")
    assert fresh.endswith("|\n\n<!-- end -->\nafter")
    assert "old" not in fresh
    assert refreshed(fresh) == fresh


def test_cells_are_escaped() -> None:
    assert table(("a",), [("x|y\n*z* `*`",)]).splitlines()[-1] == r"| x\|y \*z\* `*` |"
