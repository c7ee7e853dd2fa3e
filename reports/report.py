"""What a report says, before it has a form: sections of text, tables and figures. html.py and markdown.py give one."""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import pandas as pd

from .style import Look, Value


@dataclass(frozen=True)
class Drawn:
    """A picture as files: an `<svg>` that needs no font and follows the reader's light or dark setting, and a PNG."""

    vector: str
    pixels: bytes


@dataclass(frozen=True)
class Plot:
    """A picture for a page: its `<svg>`, whose lines are in it, and whether it is for those who open it."""

    svg: str
    lines: tuple[str, ...] = ()
    aside: bool = False


class Drawing(ABC):
    """A picture, or several that belong together."""

    @abstractmethod
    def drawn(self) -> Drawn:
        """All of it as files."""

    @abstractmethod
    def inline(self) -> Sequence[Plot]:
        """Each for a page, whose style gives them colours."""


@dataclass(frozen=True)
class Table:
    """A table with full values under the titles of its columns; people see them rounded, the CSV does not.

    `name` is the file's, without its ending, and no other table's. For people, a column in `folding` becomes a sentence
    below the table where it is the same in every row, one in `aside` or without any value is left to the file. Ratios
    in `tinted` columns have a tint by size. A `browsable` table may be long, and is there to sort and filter; where
    its columns are more than fit, those in `first` stay.
    """

    name: str
    caption: str
    frame: pd.DataFrame
    folding: frozenset[str] = frozenset()
    constants: Mapping[str, Value] = field(default_factory=dict)
    browsable: bool = False
    aside: frozenset[str] = frozenset()
    tinted: frozenset[str] = frozenset()
    first: Sequence[str] = ()

    @property
    def numeric(self) -> list[bool]:
        """Which columns hold numbers only."""
        return [
            bool(len(column) and (pd.api.types.is_numeric_dtype(column) or column.isna().all()))
            for _, column in self.frame.items()
        ]

    def folded(self) -> "Table":
        """The table without what people need not see in every row; constant columns with a value are in `constants`."""
        aside = [name for name in self.frame if name in self.aside or self.frame[name].isna().all()]
        frame = self.frame.drop(columns=aside if len(aside) < self.frame.shape[1] else [])
        if len(frame) < 2:
            return replace(self, frame=frame)
        constant = [name for name in frame if name in self.folding and len(frame[name].unique()) == 1]
        filled = {str(name): value for name, value in frame[constant].iloc[0].items()}
        return replace(self, frame=frame.drop(columns=constant), constants=filled)

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
class Details:
    """Texts that a reader opens who wants to know."""

    title: str
    paragraphs: Sequence[str]


@dataclass(frozen=True)
class Section:
    """A part of a report. Texts are plain; `empty` says which command fills a section that has nothing to show.

    `closed` is the title under which its tables are for those who open it; without one they are open.
    """

    id: str
    title: str
    paragraphs: Sequence[str] = ()
    tables: Sequence[Table] = ()
    figures: Sequence[Figure] = ()
    empty: str = ""
    details: Sequence[Details] = ()
    closed: str = ""

    @property
    def fill(self) -> str:
        """What to run so that it has something to show."""
        return self.empty.rpartition("To fill this: ")[2].rstrip(".")

    @property
    def blank(self) -> bool:
        """Whether it has nothing but a way to fill it."""
        return not (self.paragraphs or self.tables or self.figures or self.details)


@dataclass(frozen=True)
class Mark:
    """How far numbers may be trusted, in a word or two, and why; a `warning` is one to heed."""

    text: str
    why: str
    warning: bool = False


@dataclass(frozen=True)
class Tile:
    """A number that says much, what it is of, the id of the section that has more, and whose it is."""

    number: str
    label: str
    section: str
    implementation: str = ""


@dataclass(frozen=True)
class Opening:
    """What comes first: facts, how far to trust them, one figure, a few numbers, and what is not as expected."""

    facts: Sequence[str] = ()
    marks: Sequence[Mark] = ()
    hero: Figure | None = None
    tiles: Sequence[Tile] = ()
    surprises: Sequence[str] = ()


@dataclass(frozen=True)
class Report:
    """All that is said, in order; `warnings` are sentences about what could not be used.

    `looks` has the colour and marker of each implementation.
    """

    title: str
    sections: Sequence[Section]
    warnings: Sequence[str] = ()
    looks: Mapping[str, Look] = field(default_factory=dict)
    opening: Opening = field(default_factory=Opening)

    @property
    def tables(self) -> list[Table]:
        """Those of all sections."""
        return [table for section in self.sections for table in section.tables]

    @property
    def figures(self) -> list[Figure]:
        """The opening's and those of all sections."""
        first = [self.opening.hero] if self.opening.hero else []
        return [*first, *(figure for section in self.sections for figure in section.figures)]
