"""A case in two runs: its verdict, and why."""

import zlib
from collections.abc import Mapping
from dataclasses import dataclass

from ..columns import NOT_RUN, PARAMETERS, Row
from ..reading import Key, Run, number
from .intervals import Ratio, ratio_of_medians, turns_of

MIN_SAMPLES = 7
SAME, FASTER, SLOWER, UNCLEAR = "SAME", "FASTER", "SLOWER", "UNCLEAR"
INCORRECT, VANISHED, FAILED = "INCORRECT", "VANISHED", "FAILED"
FIXED, NEW, NEITHER = "FIXED", "NEW", "NEITHER"
# What each verdict says, the worst first.
VERDICTS: Mapping[str, str] = {
    INCORRECT: "gives wrong results in B, and did not in A",
    VANISHED: "was measured in A, and is not in B at all",
    FAILED: "was measured in A, and has no time in B",
    SLOWER: "the whole interval is above the margin",
    UNCLEAR: "the interval is too wide for any of the others",
    FASTER: "the whole interval is below the margin",
    SAME: "the whole interval is within the margin",
    FIXED: "has a time in B, and had none in A",
    NEW: "is in B only",
    NEITHER: "has no time in either",
}


@dataclass(frozen=True)
class Judging:
    """How runs are compared.

    Args:
        tolerance: The share that a time may change by and still be the same.
        confidence: Of each interval.
        across_devices: Whether runs of different devices may be compared.
        seed: Of the bootstrap.
    """

    tolerance: float = 0.02
    confidence: float = 0.99
    across_devices: bool = False
    seed: int = 0


@dataclass(frozen=True)
class Pair:
    """A case in two runs; without a ratio where one of them has no time, without an interval where samples lack."""

    key: Key
    verdict: str
    a_ms: float | None = None
    b_ms: float | None = None
    ratio: float | None = None
    interval: Ratio | None = None
    why: str = ""

    @property
    def parameters(self) -> dict[str, str]:
        """The case by the names of its columns."""
        return dict(zip(PARAMETERS, self.key, strict=True))

    @property
    def moved(self) -> float:
        """The share by which its time changed at the least, 0 if it may not have changed at all."""
        return 0.0 if self.interval is None else max(self.interval.low, 1 / self.interval.high, 1.0) - 1

    @property
    def yardstick(self) -> bool:
        """Whether it is a function that is not ours, which tells of the machine alone."""
        return is_yardstick(self.key)


def pair_of(key: Key, a: Run, b: Run, margin: float, settings: Judging) -> Pair:
    """Judge a case of two runs, times within the margin being the same."""
    rows = a.rows.get(key), b.rows.get(key)
    a_ms, b_ms = time_of(rows[0]), time_of(rows[1])
    if a_ms is None or b_ms is None:
        verdict, why = _untimed(*rows)
        return Pair(key, verdict, a_ms, b_ms, why=why)
    turns_a, turns_b = (turns_of(run, key) for run in (a, b))
    fewest = min(sum(map(len, turns)) for turns in (turns_a, turns_b))
    if fewest < MIN_SAMPLES:
        why = f"{fewest} samples, at least {MIN_SAMPLES} are needed"
        return Pair(key, UNCLEAR, a_ms, b_ms, b_ms / a_ms, why=why)
    # A seed of each case's own: its interval does not depend on which others there are.
    seed = settings.seed ^ zlib.crc32("\0".join(key).encode())
    interval = ratio_of_medians(turns_a, turns_b, settings.confidence, seed)
    tainted = [name for name, row in zip("AB", rows, strict=True) if row and row.get("tainted")]
    verdict = UNCLEAR if tainted else _verdict(interval, margin)
    why = f"throttled in {' and '.join(tainted)}" if tainted else f"{VERDICTS[verdict]}, {margin:.1%}"
    if same_binaries(*rows):
        verdict, why = SAME, "the binaries are equal: a difference is noise"
    return Pair(key, verdict, a_ms, b_ms, interval.value, interval, why)


def _verdict(interval: Ratio, margin: float) -> str:
    if interval.low > 1 + margin:
        return SLOWER
    if interval.high < 1 / (1 + margin):
        return FASTER
    return SAME if interval.low >= 1 / (1 + margin) and interval.high <= 1 + margin else UNCLEAR


def time_of(row: Row | None) -> float | None:
    """A case's median in ms, None unless it is ok."""
    return None if row is None or row.get("status") != "ok" else number(row, "latency_ms")


def _untimed(a: Row | None, b: Row | None) -> tuple[str, str]:
    """The verdict on a pair of which one has no time, and why it is left out of the mean."""
    statuses = [str(row.get("status") or "error") if row else "not measured" for row in (a, b)]
    why = f"{statuses[0]} in A, {statuses[1]} in B"
    if statuses[1] == "incorrect" and statuses[0] != "incorrect":
        return INCORRECT, why
    if time_of(a) is not None and b is not None and str(b.get("reason")).startswith(NOT_RUN):
        return UNCLEAR, f"{why}: {b['reason']}"
    if time_of(a) is not None:
        return (VANISHED if b is None else FAILED), why
    if time_of(b) is not None:
        return (NEW if a is None else FIXED), why
    return NEITHER, why


def is_yardstick(key: Key) -> bool:
    """Whether a case is of a function that is not ours."""
    return key[PARAMETERS.index("kind")] == "yardstick"


def same_binaries(a: Row | None, b: Row | None) -> bool:
    """Whether two rows' times are of the same binaries, launched alike on the same device.

    Wall clock is not: it holds the Python in front of them too.
    """
    if a is None or b is None or not a.get("binary") or "wall" in (a.get("timer"), b.get("timer")):
        return False
    return all(a.get(name) == b.get(name) for name in ("binary", "settings", "device"))
