"""Looks and numbers."""

import pytest

from reports.style import LOOKS, looks, show


def test_looks_are_constant_and_distinct() -> None:
    names = [*LOOKS, *(f"mine{i}" for i in range(12))]
    chosen = looks(names)
    assert chosen == looks(reversed(names))
    assert len({(look.colour, look.marker) for look in chosen.values()}) == len(names)
    assert chosen["unfold"] == LOOKS["unfold"]
    assert looks(["mine3"])["mine3"] == looks(["mine3", "unfold"])["mine3"]


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, "–"),
        (0.0, "0"),
        (7, "7"),
        (1.23456, "1.23"),
        (12345.6, "12346"),
        (3.2e9, "3.20e+09"),
        (2e-5, "2.00e-05"),
    ],
)
def test_numbers_for_people(value: float | None, text: str) -> None:
    assert show(value) == text
