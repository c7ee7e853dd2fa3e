"""Tables of a report: what they hold, and how people see them."""

from collections.abc import Mapping
from dataclasses import dataclass, field

import pandas as pd

from bench.results import COLUMNS
from reports.rows import measured
from reports.slices import COORDINATES, KEYS, PLACE, PROBLEM, SETTING, implementations
from reports.speedups import BASELINE, mean_ratio, ratios_to_baseline
from reports.style import Value

_SHORT = ["status", "latency_ms", "latency_p20_ms", "latency_p80_ms", "images_per_s", "peak_mib", "speedup"]
# Shown where a run has them.
_SOMETIMES = ("largest_batch", "aggregation_ms", "projections_ms", "aggregation_macs", "projections_macs")
_PLACE = frozenset({"device", "scope", *SETTING, "setting"})


@dataclass(frozen=True)
class Table:
    """A table with full values; people see them rounded, the CSV does not. `name` is the file's.

    For people, a column in `folding` becomes a sentence below the table where it is the same in every row.
    """

    name: str
    frame: pd.DataFrame
    folding: frozenset[str] = frozenset()
    constants: Mapping[str, Value] = field(default_factory=dict)

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
        return Table(self.name, self.frame.drop(columns=constant), constants=filled)

    def rows(self, limit: int | None = None) -> list[list[Value]]:
        """The first rows' values, None where there is none."""
        values = self.frame.head(len(self.frame) if limit is None else limit).astype(object)
        return values.where(values.notna(), None).to_numpy().tolist()


def short_table(cases: pd.DataFrame) -> Table:
    """One row per case: what it is, as far as cases differ, how it went, its speed-up."""
    return _case_table(
        "results", cases, [*_SHORT, *(name for name in _SOMETIMES if cases[name].notna().any()), "reason"]
    )


def full_table(cases: pd.DataFrame) -> Table:
    """As the short table, with every other column that holds something, known or not."""
    known = {*KEYS, *COORDINATES, *_SHORT, "kind", "reason", "device", PROBLEM}
    others = [name for name in dict.fromkeys([*COLUMNS, *cases]) if name not in known and cases[name].notna().any()]
    return _case_table("all_columns", cases, [*_SHORT, *others, "reason"])


def _case_table(name: str, cases: pd.DataFrame, outcomes: list[str]) -> Table:
    # A yardstick is another function: its time over the baseline's says nothing.
    ratios = ratios_to_baseline(implementations(cases), "latency_ms")
    columns = [*KEYS, "kind", *(name for name in COORDINATES if name not in KEYS), *outcomes]
    frame = cases.assign(speedup=ratios)[columns]
    return placed(name, frame, frozenset({"device", *frame.columns}) - {"implementation", "status"})


def placed(name: str, frame: pd.DataFrame, folding: frozenset[str] = _PLACE) -> Table:
    """A table of the frame, its place shown as the device."""
    return Table(name, frame.rename(columns={PLACE: "device"}), folding)


def memory_table(cases: pd.DataFrame) -> Table:
    """Peak memory of each implementation: against the baseline's, and against its own prediction."""
    peak = measured(cases, "peak_mib")
    ratios = {"share": 1 / ratios_to_baseline(cases, "peak_mib"), "predicted": peak / measured(cases, "predicted_mib")}
    found = cases[KEYS].assign(peak=peak, **ratios).dropna(subset="peak")
    numbers = {
        "cases": ("peak", "size"),
        "least MiB": ("peak", "min"),
        "most MiB": ("peak", "max"),
        f"of {BASELINE}'s": ("share", mean_ratio),
        "pairs": ("share", "count"),
        "measured / predicted": ("predicted", "median"),
        "at most": ("predicted", "max"),
    }
    return placed("memory", found.groupby(KEYS, observed=True).agg(**numbers).reset_index())


def status_table(cases: pd.DataFrame) -> Table:
    """How many cases of each implementation ended how, with the reasons given."""
    keys = [PLACE, "scope", "implementation", "status"]
    reasons = cases.assign(reason=cases["reason"].mask(cases["status"] == "ok"))
    counts = reasons.groupby([*keys, "reason"], observed=True, dropna=False, sort=False).size()
    return placed("statuses", counts.reset_index(name="cases")[[*keys, "cases", "reason"]])


def sample_table(cases: pd.DataFrame) -> Table:
    """How many samples stand behind the numbers; the spread is p80 less p20, over the median."""
    low, middle, high = (measured(cases, f"latency_{name}ms") for name in ("p20_", "", "p80_"))
    found = cases[KEYS].assign(samples=measured(cases, "samples"), spread=(high - low) / middle)
    numbers = {
        "measured": ("samples", "size"),
        "least samples": ("samples", "min"),
        "median samples": ("samples", "median"),
        "median spread": ("spread", "median"),
        "worst spread": ("spread", "max"),
    }
    return placed("samples", found[cases["status"] == "ok"].groupby(KEYS, observed=True).agg(**numbers).reset_index())
