"""Two runs case by case: verdicts, their geometric mean, and what a CI job should do about them."""

from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from statistics import geometric_mean

from ...errors import Exit, RunFolderError
from ..folder import RunFolder
from ..reading import Run
from .intervals import devices_of, margin_of
from .verdicts import (
    FAILED,
    FASTER,
    INCORRECT,
    SAME,
    SLOWER,
    UNCLEAR,
    VANISHED,
    VERDICTS,
    Judging,
    Pair,
    is_yardstick,
    pair_of,
    same_binaries,
)


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
    moved = max((pair_of(key, a, b, margin, settings).moved for key in keys if is_yardstick(key)), default=0.0)
    if moved > margin:
        warnings.append(
            f"A yardstick moved by {moved:.1%}, which no change of ours can do: the machine was not the same."
        )
        margin, margin_from = moved, "the yardstick that moved most"
    alike = [key for key in keys if same_binaries(a.rows.get(key), b.rows.get(key))]
    noise = max((pair_of(key, a, b, margin, settings).moved for key in alike), default=0.0)
    if noise > margin:
        warnings.append(f"A case with equal binaries moved by {noise:.1%}, which is noise: the margin is as wide.")
        margin, margin_from = noise, "the case with equal binaries that moved most"
    return margin, margin_from, warnings


def _require_shares(settings: Judging) -> None:
    if not 0 <= settings.tolerance < 1:
        raise RunFolderError(f"the tolerance must be a share from 0 to 1, got {settings.tolerance}")
    if not 0 < settings.confidence < 1:
        raise RunFolderError(f"the confidence must be between 0 and 1, got {settings.confidence}")


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
