"""What a run on a GPU measured of the kernels whose schedule is predicted."""

from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

from ...cost.chips import find_chip
from ...results.reading import number, read_run

if TYPE_CHECKING:
    from kernels import Problem

# The mode whose time stands beside a kernel's: backward is the query's and the key's kernel together.
_MODES: Mapping[str, str] = {"forward": "forward", "key": "backward"}


class Measured:
    """The times of the fused operator in a run, after a flush of the L2.

    Raises:
        RunFolderError: The folder holds no run.
    """

    def __init__(self, run: Path) -> None:
        rows = read_run(run, samples=False).rows.values()
        wanted = {"implementation": "triton", "scope": "operator", "cache": "cold", "status": "ok"}
        self._rows = [row for row in rows if all(row.get(name) == value for name, value in wanted.items())]

    def us(self, kernel: str, problem: "Problem", chip: str) -> float | None:
        """Microseconds on a GPU of chips, None where it was not measured; of backward beside the key's kernel."""
        asked = {**asdict(problem), "mode": _MODES.get(kernel)}
        for row in self._rows:
            found = find_chip(str(row["device"]))
            if (
                found is not None
                and found.name == chip
                and all(row.get(name) == value for name, value in asked.items())
            ):
                latency = number(row, "latency_ms")
                return None if latency is None else 1e3 * latency
        return None
