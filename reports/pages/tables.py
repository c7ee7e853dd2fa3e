"""A table as a page shows it: which columns, how wide, which marks and tints; and as the data that its script reads."""

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import pandas as pd

from ..report import Table
from ..style import Look, Value, show

# Rows of a table that the page holds as they are; the script pages through the rest of a browsable one.
ROW_LIMIT = 200
PAGE_ROWS = 25
# Widths in rem below which a table is shown as cards; a table takes the first one that it needs.
WIDTHS = (22, 34, 46, 58, 72)
_LONG = 30
_LETTER_REM, _GAP_REM, _MARK_REM = 0.55, 0.9, 1.9
# What the script puts beside a title to sort by it, and after the last column to show the others.
_SORTER_REM, _OPENER_REM = 1.0, 3.5
_TINTS = (1.05, 1.5, 2.0, 4.0, 10.0)


@dataclass(frozen=True)
class Column:
    """A column for people: its texts, how it stands, and for each row the look of its implementation and its tint."""

    name: str
    numeric: bool
    texts: list[str]
    keys: list[Look | None]
    tints: list[int]

    @property
    def width(self) -> float:
        """About how wide it is, in rem; long texts are broken."""
        letters = max([len(self.name), *(min(len(text), _LONG) for text in self.texts)])
        return letters * _LETTER_REM + _GAP_REM + _MARK_REM * any(self.keys)

    def kind(self, row: int) -> str:
        """The classes of a cell."""
        words = ["number"] if self.numeric else ["long"] if len(self.texts[row]) > _LONG else []
        return " ".join([*words, f"tint{self.tints[row]}"] if self.tints[row] else words)


@dataclass(frozen=True)
class View:
    """A table of a page, without what people need not see."""

    table: Table
    looks: Mapping[str, Look]

    @cached_property
    def columns(self) -> list[Column]:
        """The columns that fit the widest page; of a table that is not browsable all."""
        if not self.table.browsable:
            return self._all
        needed = {column.name: column.width + _SORTER_REM for column in self._all}
        kept = {column.name for column in self._all if column.name in self.table.first}
        room = WIDTHS[-1] - _OPENER_REM - sum(needed[name] for name in kept)
        for name, width in needed.items():
            if name not in kept and width <= room:
                kept.add(name)
                room -= width
        return [column for column in self._all if column.name in kept] or self._all[:1]

    @property
    def kind(self) -> str:
        """The class by the width in rem that the table needs, of `WIDTHS`; what needs more breaks titles and texts."""
        needed = sum(column.width for column in self.columns)
        needed += (_SORTER_REM * len(self.columns) + _OPENER_REM) * self.table.browsable
        fitting = next((f"needs{width}" for width in WIDTHS if width >= needed), None)
        return fitting or f"needs{WIDTHS[-1]} tight"

    @property
    def length(self) -> int:
        """How many rows stand in the page."""
        return min(len(self.table.frame), PAGE_ROWS if self.table.browsable else ROW_LIMIT)

    @cached_property
    def _all(self) -> list[Column]:
        values = zip(*self.table.rows(self.length), strict=True) if self.length else [()] * self.table.frame.shape[1]
        return [
            Column(str(name), numeric, *self._cells(str(name), list(column)))
            for name, numeric, column in zip(self.table.frame, self.table.numeric, values, strict=True)
        ]

    def _cells(self, name: str, values: list[Value]) -> tuple[list[str], list[Look | None], list[int]]:
        texts = [show(value) for value in values]
        keys = [self.looks.get(text) or self.looks.get(text.partition(", ")[0]) for text in texts]
        return texts, keys, [_tint(value) if name in self.table.tinted else 0 for value in values]

    def packed(self) -> str:
        """The whole table as JSON: of each column the texts in the values' order, and each row's place among them.

        A place of -1 is a value that is missing. The names and values of the table's constants come along.
        """
        shown = {column.name for column in self.columns}
        columns = [
            {
                "name": str(name),
                "numeric": numeric,
                "shown": str(name) in shown,
                **_coded(self.table.frame.iloc[:, index]),
            }
            for index, (name, numeric) in enumerate(zip(self.table.frame.columns, self.table.numeric, strict=True))
        ]
        constants = {name: show(value) for name, value in self.table.constants.items()}
        content = {"rows": len(self.table.frame), "columns": columns, "constants": constants}
        return json.dumps(content, ensure_ascii=False, separators=(",", ":"))


def _tint(value: Value) -> int:
    """How strong a ratio's tint is: 0 below the first step."""
    return sum(value > step for step in _TINTS) if isinstance(value, int | float) and math.isfinite(value) else 0


def _coded(values: pd.Series) -> dict[str, Any]:
    """What is shown, each once and in the values' order; and of each row which of them."""
    codes, found = pd.factorize(values, sort=True)
    places: dict[str, int] = {}
    place = np.array([*(places.setdefault(show(value), len(places)) for value in found.tolist()), -1])
    return {"words": list(places), "codes": place[codes].tolist()}
