"""Two runs case by case: verdicts, their geometric mean, and what a CI job should do about them."""

import zlib
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from statistics import geometric_mean

from ..errors import Exit, RunFolderError
from .columns import PARAMETERS, Row
from .folder import RunFolder
from .intervals import Ratio, devices_of, margin_of, ratio_of_medians, turns_of
from .reading import Key, Run, number

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
# How the reason of a case begins that was left out because the whole run's time was over.
NOT_RUN = "not run"


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
    def yardstick(self) -> bool:
        """Whether it is a function that is not ours, which tells of the machine alone."""
        return _is_yardstick(self.key)


@dataclass(frozen=True)
class Comparison:
    """All pairs, the worst first, and how they were judged."""

    a: Path
    b: Path
    margin: float
    margin_from: str
    confidence: float
    pairs: list[Pair]
    warnings: list[str]

    @property
    def judged(self) -> list[Pair]:
        """The pairs that are ours: yardsticks are compared, and decide nothing."""
        return [pair for pair in self.pairs if not pair.yardstick]

    @property
    def counts(self) -> dict[str, int]:
        """How many of our pairs got each verdict, the worst first."""
        found = Counter(pair.verdict for pair in self.judged)
        return {verdict: found[verdict] for verdict in VERDICTS if found[verdict]}

    @property
    def mean(self) -> tuple[float | None, int]:
        """The geometric mean of our ratios, B over A, and over how many pairs it is taken; None over none."""
        ratios = [pair.ratio for pair in self.judged if pair.ratio is not None]
        return (geometric_mean(ratios) if ratios else None), len(ratios)

    @property
    def left_out(self) -> dict[str, int]:
        """Why pairs are not in the mean, and how many."""
        found = Counter(pair.why for pair in self.judged if pair.ratio is None)
        yardsticks = sum(pair.yardstick for pair in self.pairs)
        return dict(found.most_common()) | ({"yardstick, not ours": yardsticks} if yardsticks else {})

    @property
    def exit_code(self) -> Exit:
        """0 nothing worse, 1 a confirmed regression, 3 incorrect results, 4 not enough evidence."""
        verdicts = set(self.counts)
        if INCORRECT in verdicts:
            return Exit.INCORRECT
        if verdicts & {VANISHED, FAILED, SLOWER}:
            return Exit.FAILED
        timed = verdicts & {SAME, FASTER, UNCLEAR}
        return Exit.NO_EVIDENCE if not timed or any(self._may_be_worse(pair) for pair in self.judged) else Exit.OK

    def _may_be_worse(self, pair: Pair) -> bool:
        """Whether a slow-down beyond the margin cannot be excluded."""
        return pair.verdict == UNCLEAR and (pair.interval is None or pair.interval.high > 1 + self.margin)


def compare(a: Run, b: Run, settings: Judging) -> Comparison:
    """Judge each case of two runs.

    Raises:
        RunFolderError: The runs are of different devices, or a noise floor is no share.
    """
    warnings = [*a.warnings, *b.warnings, *_device_warnings(a, b, settings)]
    unsampled = [str(run.path) for run in (a, b) if not RunFolder(run.path).samples_path.exists()]
    warnings += [f"{path} has no samples.jsonl: without samples no difference can be judged." for path in unsampled]
    margin, margin_from, widened = margin_between(a, b, settings)
    pairs = [pair_of(key, a, b, margin, settings) for key in {**a.rows, **b.rows}]
    order = {verdict: place for place, verdict in enumerate(VERDICTS)}
    pairs.sort(key=lambda pair: (order[pair.verdict], -(pair.ratio or 0)))
    return Comparison(a.path, b.path, margin, margin_from, settings.confidence, pairs, warnings + widened)


def margin_between(a: Run, b: Run, settings: Judging) -> tuple[float, str, list[str]]:
    """The share within which times are the same, its origin, and why it is wider than tolerance and noise floor.

    Raises:
        RunFolderError: A noise floor, the tolerance or the confidence is no share.
    """
    _require_shares(settings)
    margin, margin_from = margin_of(a, b, settings.tolerance)
    keys, warnings = list({**a.rows, **b.rows}), []
    moved = max((_moved(pair_of(key, a, b, margin, settings)) for key in keys if _is_yardstick(key)), default=0.0)
    if moved > margin:
        warnings.append(
            f"A yardstick moved by {moved:.1%}, which no change of ours can do: the machine was not the same."
        )
        margin, margin_from = moved, "the yardstick that moved most"
    alike = [key for key in keys if _same_binaries(a.rows.get(key), b.rows.get(key))]
    noise = max((_moved(pair_of(key, a, b, margin, settings)) for key in alike), default=0.0)
    if noise > margin:
        warnings.append(f"A case with equal binaries moved by {noise:.1%}, which is noise: the margin is as wide.")
        margin, margin_from = noise, "the case with equal binaries that moved most"
    return margin, margin_from, warnings


def _require_shares(settings: Judging) -> None:
    if not 0 <= settings.tolerance < 1:
        raise RunFolderError(f"the tolerance must be a share from 0 to 1, got {settings.tolerance}")
    if not 0 < settings.confidence < 1:
        raise RunFolderError(f"the confidence must be between 0 and 1, got {settings.confidence}")


def _is_yardstick(key: Key) -> bool:
    return key[PARAMETERS.index("kind")] == "yardstick"


def _same_binaries(a: Row | None, b: Row | None) -> bool:
    """Whether two rows' times are of the same binaries, launched alike on the same device.

    Wall clock is not: it holds the Python in front of them too.
    """
    if a is None or b is None or not a.get("binary") or "wall" in (a.get("timer"), b.get("timer")):
        return False
    return all(a.get(name) == b.get(name) for name in ("binary", "settings", "device"))


def _moved(pair: Pair) -> float:
    """The share by which a time changed at the least, 0 if it may not have changed at all."""
    return 0.0 if pair.interval is None else max(pair.interval.low, 1 / pair.interval.high, 1.0) - 1


def _device_warnings(a: Run, b: Run, settings: Judging) -> list[str]:
    of_a, of_b = devices_of(a), devices_of(b)
    if of_a == of_b and len(of_a) <= 1:
        return []
    named = [" and ".join(sorted(devices)) or "no device" for devices in (of_a, of_b)]
    if not settings.across_devices:
        raise RunFolderError(
            f"{a.path} ran on {named[0]}, {b.path} on {named[1]}: times of different devices say nothing of the code; "
            "--across-devices compares them all the same"
        )
    return [f"A ran on {named[0]}, B on {named[1]}: a difference may be the device's."]


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
    if _same_binaries(*rows):
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
