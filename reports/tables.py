"""Tables of a report, and how they are written as CSV and Markdown."""

import csv
import io
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from statistics import geometric_mean, median

from bench.results import COLUMNS
from reports.rows import Row, ok, positive
from reports.slices import COORDINATES, Group
from reports.speedups import BASELINE, Speedup, ratios_to_baseline
from reports.style import Value, in_order, show

_SHORT = ("status", "latency_ms", "latency_p20_ms", "latency_p80_ms", "images_per_s", "peak_mib")
_CASE = ("device", "scope", "mode", "implementation")
_PLACE = frozenset({"device", "scope"})


@dataclass(frozen=True)
class Table:
    """A table with full values; people see them rounded, the CSV does not. `name` is the file's.

    For people, a column in `folding` becomes a sentence below the table where it is the same in every row.
    """

    name: str
    columns: list[str]
    rows: list[list[Value]]
    folding: frozenset[str] = frozenset()
    constants: Mapping[str, Value] = field(default_factory=dict)

    @property
    def numeric(self) -> list[bool]:
        """Which columns hold numbers only."""
        columns = zip(*self.rows, strict=True)
        return [all(not isinstance(value, str) for value in column) for column in columns]

    def folded(self) -> "Table":
        """The table without its constant columns; those with a value are in `constants`."""
        if len(self.rows) < 2:
            return self
        values = {name: {row[i] for row in self.rows} for i, name in enumerate(self.columns)}
        constant = {name: values[name].pop() for name in self.columns if len(values[name]) == 1}
        constant = {name: value for name, value in constant.items() if name in self.folding}
        kept = [i for i, name in enumerate(self.columns) if name not in constant]
        rows = [[row[i] for i in kept] for row in self.rows]
        filled = {name: value for name, value in constant.items() if value is not None}
        return Table(self.name, [self.columns[i] for i in kept], rows, constants=filled)

    def csv(self) -> str:
        """The table as CSV, empty where there is nothing."""
        text = io.StringIO()
        writer = csv.writer(text, lineterminator="\n")
        writer.writerow(self.columns)
        writer.writerows(["" if value is None else value for value in row] for row in self.rows)
        return text.getvalue()

    def markdown(self) -> str:
        """The table as Markdown, numbers to the right."""
        table = self.folded()
        numeric = table.numeric if table.rows else [False] * len(table.columns)
        lines = [[_escaped(name) for name in table.columns], ["---:" if each else "---" for each in numeric]]
        lines += [[_escaped(show(value)) for value in row] for row in table.rows]
        text = "".join(f"| {' | '.join(line)} |\n" for line in lines)
        constant = ", ".join(f"{_escaped(name)} {_escaped(show(value))}" for name, value in table.constants.items())
        return f"{text}\nThe same in every row: {constant}.\n" if constant else text


def write_tables(tables: Sequence[Table], folder: Path) -> None:
    """Write each table as NAME.csv and NAME.md."""
    folder.mkdir()
    for table in tables:
        (folder / f"{table.name}.csv").write_text(table.csv(), encoding="utf-8")
        (folder / f"{table.name}.md").write_text(table.markdown(), encoding="utf-8")


def short_table(groups: Sequence[Group]) -> Table:
    """One row per case: what it is, as far as cases differ, how it went, its speed-up."""
    return _case_table("results", groups, [*_SHORT, "speedup", "reason"])


def full_table(groups: Sequence[Group]) -> Table:
    """As the short table, with every other column that holds something, known or not."""
    rows = [row for group in groups for row in group.rows]
    known = {*_CASE, *COORDINATES, *_SHORT, "reason"}
    others = [name for name in dict.fromkeys((*COLUMNS, *(n for row in rows for n in row))) if name not in known]
    filled = [name for name in others if any(row.get(name) is not None for row in rows)]
    return _case_table("all_columns", groups, [*_SHORT, "speedup", *filled, "reason"])


def _case_table(name: str, groups: Sequence[Group], outcomes: list[str]) -> Table:
    pairs = [(row, speedup) for group in groups for row, speedup in _with_speedup(group)]
    columns = [*_CASE, *COORDINATES, *outcomes]
    rows = [[speedup if column == "speedup" else row.get(column) for column in columns] for row, speedup in pairs]
    return Table(name, columns, rows, frozenset(columns) - {"implementation", "status"})


def _with_speedup(group: Group) -> list[tuple[Row, float | None]]:
    ratios = ratios_to_baseline(group.rows, "latency_ms")
    return [({**row, "device": group.place}, ratios.get(index)) for index, row in enumerate(group.rows)]


def speedup_table(speedups: Sequence[Speedup]) -> Table:
    """Each implementation's speed-up over the baseline, with what was left out."""
    columns = [
        "device",
        "scope",
        "mode",
        "implementation",
        "speedup",
        "least",
        "most",
        "pairs",
        "left out",
        "why",
    ]
    rows: list[list[Value]] = [
        [
            s.place,
            s.scope,
            s.mode,
            s.implementation,
            s.mean,
            s.least,
            s.most,
            s.pairs,
            s.left_out.total(),
            s.why,
        ]
        for s in speedups
    ]
    return Table("speedup", columns, rows, _PLACE)


def memory_table(groups: Sequence[Group]) -> Table:
    """Peak memory of each implementation: against the baseline's, and against its own prediction."""
    columns = ["device", "scope", "mode", "implementation", "cases", "least MiB", "most MiB"]
    columns += [f"of {BASELINE}'s", "pairs", "measured / predicted", "at most"]
    rows: list[list[Value]] = []
    for group in groups:
        ratios = ratios_to_baseline(group.rows, "peak_mib")
        for mode in group.modes:
            for name in in_order(str(row["implementation"]) for row in group.rows):
                chosen = [i for i, row in enumerate(group.rows) if (row["mode"], row["implementation"]) == (mode, name)]
                cells = _memory_cells([group.rows[i] for i in chosen], [1 / ratios[i] for i in chosen if i in ratios])
                rows += [[group.place, group.scope, mode, name, *cells]] if cells else []
    return Table("memory", columns, rows, _PLACE)


def _memory_cells(rows: list[Row], ratios: list[float]) -> list[Value]:
    peaks = [peak for row in rows if (peak := positive(row, "peak_mib")) is not None]
    if not peaks:
        return []
    predicted = [
        peak / expected
        for row in rows
        if (peak := positive(row, "peak_mib")) and (expected := positive(row, "predicted_mib"))
    ]
    return [
        *(len(peaks), min(peaks), max(peaks)),
        *(geometric_mean(ratios) if ratios else None, len(ratios)),
        *(median(predicted) if predicted else None, max(predicted, default=None)),
    ]


def status_table(groups: Sequence[Group]) -> Table:
    """How many cases of each implementation ended how, with the reasons given."""
    columns = ["device", "scope", "implementation", "status", "cases", "reason"]
    counts: Counter[tuple[str, str, str, str, str]] = Counter()
    for group in groups:
        for row in group.rows:
            reason = "" if ok(row) else str(row.get("reason") or "")
            counts[group.place, group.scope, str(row["implementation"]), str(row["status"]), reason] += 1
    rows: list[list[Value]] = [[*key[:4], count, key[4] or None] for key, count in counts.items()]
    return Table("statuses", columns, rows, _PLACE)


def sample_table(groups: Sequence[Group]) -> Table:
    """How many samples stand behind the numbers; the spread is p80 less p20, over the median."""
    columns = ["device", "scope", "mode", "implementation", "measured", "least samples", "median samples"]
    columns += ["median spread", "worst spread"]
    keys: dict[tuple[str, str, str, str], list[Row]] = {}
    for group in groups:
        for row in filter(ok, group.rows):
            keys.setdefault((group.place, group.scope, str(row["mode"]), str(row["implementation"])), []).append(row)
    rows: list[list[Value]] = []
    for key, chosen in keys.items():
        samples = [count for row in chosen if (count := positive(row, "samples"))]
        spreads = [spread for row in chosen if (spread := _spread(row)) is not None]
        counts: list[Value] = [min(samples), median(samples)] if samples else [None, None]
        rows.append([*key, len(chosen), *counts, *([median(spreads), max(spreads)] if spreads else [None, None])])
    return Table("samples", columns, rows, _PLACE)


def _spread(row: Row) -> float | None:
    low, middle, high = (positive(row, f"latency_{name}ms") for name in ("p20_", "", "p80_"))
    return (high - low) / middle if low and middle and high else None


def _escaped(text: str) -> str:
    text = " ".join(text.split()).replace("&", "&amp;").replace("<", "&lt;").replace("\\", "\\\\")
    return text.replace("|", "\\|")
