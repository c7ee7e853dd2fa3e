"""What the compiled kernels must keep to: the limits of the design, and what they cost when last recorded."""

import csv
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

Row = Mapping[str, Any]
Record = Mapping[str, Mapping[str, float]]

RECORD = Path(__file__).with_name("offline_record.csv")
# Less than the 10 % that must not go unnoticed, so that an outdated record does not hide them.
TOLERANCE = 0.04
_COUNTED = ("instructions_per_tap", "executed_per_tap", "ready_warps", "alu_cycles_per_tap")
_EXACT = ("spill_bytes",)


@dataclass(frozen=True)
class Limit:
    """The most that a column may be, itself or as another column says, in the rows where columns have these values."""

    column: str
    most: float | str
    unit: str
    where: Mapping[str, Collection[Any]] = field(default_factory=dict)

    def missed_by(self, row: Row) -> str | None:
        """What is over the limit, None where nothing is or the limit is not about the row."""
        if not all(row[column] in values for column, values in self.where.items()):
            return None
        most = row[self.most] if isinstance(self.most, str) else self.most
        return None if row[self.column] <= most else f"{row[self.column]:.4g} {self.unit}, at most {most:g}"


_STAGE_28: Mapping[str, Collection[Any]] = {
    "arch": ("sm_90",),
    "height": (28,),
    "width": (28,),
    "channels": (200,),
    "kernel_size": (7,),
    "m": (8,),
    "stride": (1,),
    "dilation": (1,),
    "padding": (3,),
    "composability": ("multiplication",),
    "padding_mode": ("mask",),
    "channel_order": ("consecutive",),
    "prior": (True,),
    "dtype": ("bfloat16",),
}
LIMITS = (
    Limit("instructions_per_tap", 22, "instructions per tap", {**_STAGE_28, "kernel": ("forward",)}),
    Limit(
        "instructions_per_tap", 18, "instructions per tap", {**_STAGE_28, "arch": ("sm_100",), "kernel": ("forward",)}
    ),
    Limit("instructions_per_tap", 23, "instructions per tap", {**_STAGE_28, "kernel": ("query",)}),
    Limit("instructions_per_tap", 29, "instructions per tap", {**_STAGE_28, "kernel": ("key",)}),
    Limit("alu_cycles_per_tap", 14, "cycles of the ALU per tap", _STAGE_28),
    Limit("ready_warps", 2.3, "ready warps to hide its stalls", _STAGE_28),
    Limit("spill_bytes", 0, "bytes spilled", {"kernel_size": range(1, 14), "m": range(1, 33)}),
    Limit("shared_bytes", "shared_bytes_needed", "bytes of shared memory"),
    Limit("compile_seconds", 5, "seconds to compile"),
)


def misses(rows: Iterable[Row]) -> dict[str, str]:
    """The limits that rows miss: "NAME COLUMN", and by how much."""
    found = ((f"{row['name']} {limit.column}", limit.missed_by(row)) for row in rows for limit in LIMITS)
    return {place: missed for place, missed in found if missed}


def changes(rows: Iterable[Row], record: Record) -> dict[str, str]:
    """Where rows are not as recorded: "NAME COLUMN", and how it changed. What is not recorded is not compared.

    Instructions, ready warps and cycles may differ by TOLERANCE, up or down, and spills not at all.
    """
    found = {}
    for row in rows:
        for column, before in record.get(row["name"], {}).items():
            if abs(row[column] - before) > (TOLERANCE * before if column in _COUNTED else 0):
                found[f"{row['name']} {column}"] = f"was {before:.4g} and is {row[column]:.4g}"
    return found


def read_record(triton: str) -> Record | None:
    """What was recorded with a version of Triton, None where nothing was."""
    of_version = [row for row in _recorded() if row["triton"] == triton]
    record = {row["name"]: {column: float(row[column]) for column in (*_COUNTED, *_EXACT)} for row in of_version}
    return record or None


def write_record(rows: Iterable[Row], triton: str) -> None:
    """Record rows under a version of Triton, in the place of all that was recorded with it."""
    kept = [row for row in _recorded() if row["triton"] != triton]
    numbers = [
        {"triton": triton, "name": row["name"], **{name: round(row[name], 3) for name in (*_COUNTED, *_EXACT)}}
        for row in rows
    ]
    with RECORD.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, ("triton", "name", *_COUNTED, *_EXACT), lineterminator="\n")
        writer.writeheader()
        writer.writerows(sorted([*kept, *numbers], key=lambda row: str(row["triton"])))


def _recorded() -> list[dict[str, str]]:
    if not RECORD.exists():
        return []
    with RECORD.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))
