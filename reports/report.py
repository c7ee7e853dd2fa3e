"""What a report says, before it has a form: sections of text, tables and figures. html.py and markdown.py give one."""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import pandas as pd

from .style import Value


class Drawing(ABC):
    """A picture that can be written as SVG and as PNG."""

    @abstractmethod
    def drawn(self) -> "Drawn":
        """The picture in both forms."""

    def svg(self) -> str:
        """An `<svg>` element that needs no font and follows the reader's light or dark setting."""
        return self.drawn().vector

    def png(self) -> bytes:
        """A PNG file's content, dark on white."""
        return self.drawn().pixels


@dataclass(frozen=True)
class Drawn(Drawing):
    """A picture that is drawn already."""

    vector: str
    pixels: bytes

    def drawn(self) -> "Drawn":
        """Itself."""
        return self


@dataclass(frozen=True)
class Table:
    """A table with full values under the titles of its columns; people see them rounded, the CSV does not.

    `name` is the file's, without its ending, and no other table's. For people, a column in `folding` becomes a sentence
    below the table where it is the same in every row. A `browsable` table may be long, and is there to sort and filter.
    """

    name: str
    caption: str
    frame: pd.DataFrame
    folding: frozenset[str] = frozenset()
    constants: Mapping[str, Value] = field(default_factory=dict)
    browsable: bool = False

    @property
    def numeric(self) -> list[bool]:
        """Which columns hold numbers only."""
        return [
            bool(len(column) and (pd.api.types.is_numeric_dtype(column) or column.isna().all()))
            for _, column in self.frame.items()
        ]

    def folded(self) -> "Table":
        """The table without its constant columns; those with a value are in `constants`."""
        if len(self.frame) < 2:
            return self
        constant = [name for name in self.frame if name in self.folding and len(self.frame[name].unique()) == 1]
        filled = {str(name): value for name, value in self.frame[constant].iloc[0].dropna().items()}
        frame = self.frame.drop(columns=constant)
        return Table(self.name, self.caption, frame, constants=filled, browsable=self.browsable)

    def rows(self, limit: int | None = None) -> list[list[Value]]:
        """The first rows' values, None where there is none."""
        values = self.frame.head(len(self.frame) if limit is None else limit).astype(object)
        return values.where(values.notna(), None).to_numpy().tolist()


@dataclass(frozen=True)
class Figure:
    """A figure: the file's name without its ending, words for those who do not see it, and the numbers in it.

    `command` is the shell command that makes it again.
    """

    name: str
    title: str
    caption: str
    alt: str
    drawing: Drawing
    data: pd.DataFrame
    command: str


@dataclass(frozen=True)
class Section:
    """A part of a report. Texts are plain; `empty` says which command fills a section that has nothing to show."""

    id: str
    title: str
    paragraphs: Sequence[str] = ()
    tables: Sequence[Table] = ()
    figures: Sequence[Figure] = ()
    empty: str = ""


@dataclass(frozen=True)
class Report:
    """All that is said, in order; `warnings` are sentences about what could not be used."""

    title: str
    sections: Sequence[Section]
    warnings: Sequence[str] = ()

    @property
    def tables(self) -> list[Table]:
        """Those of all sections."""
        return [table for section in self.sections for table in section.tables]

    @property
    def figures(self) -> list[Figure]:
        """Those of all sections."""
        return [figure for section in self.sections for figure in section.figures]
