"""What the numbers say, in sentences."""

from collections import Counter
from collections.abc import Sequence

from reports.rows import ok
from reports.slices import Group
from reports.speedups import BASELINE, Speedup
from reports.style import counted, in_order, shorten, times


def sentences(groups: Sequence[Group], found: Sequence[Speedup]) -> list[str]:
    """How much was measured, what is fastest where, and what could not be used."""
    rows = [row for group in groups for row in group.rows]
    if not rows:
        return ["The run holds no cases."]
    devices = in_order(str(row["device"]) for row in rows)
    text = [f"{sum(map(ok, rows))} of {counted(len(rows), 'case')} measured on {' and on '.join(devices)}."]
    if len(devices) > 1:
        text.append("Times of different devices are never compared or drawn in one figure.")
    incorrect = sum(row["status"] == "incorrect" for row in rows)
    if incorrect:
        text.append(f"{counted(incorrect, 'case')} gave wrong results and were not timed.")
    several = len({group.place for group in groups}) > 1
    for group in groups:
        for mode in group.modes:
            here = [s for s in found if (s.place, s.scope, s.mode) == (group.place, group.scope, mode)]
            text += _fastest(here, several)
    return text + _failing(groups)


def _fastest(found: Sequence[Speedup], several_places: bool) -> list[str]:
    """A sentence on the fastest implementation of one place, scope and mode."""
    ranked = sorted(((s.mean, s) for s in found if s.mean is not None), key=lambda pair: -pair[0])
    if not ranked:
        return []
    mean, best = ranked[0]
    place = f", {best.place}" if several_places else ""
    where = f"{best.scope.capitalize()}, {best.mode.replace('_', ' + ')}{place}"
    name = shorten(best.implementation, 60)
    if mean <= 1:
        return [f"{where}: nothing beats {BASELINE}; the nearest is {name} at {times(mean)} its speed."]
    span = f", {times(best.least or mean)} to {times(best.most or mean)}" if best.pairs > 1 else ""
    pairs = f"geometric mean of {counted(best.pairs, 'pair')}{span}"
    text = f"{where}: {name} is the fastest at {times(mean)} {BASELINE}'s speed ({pairs})."
    if any(s.pairs != best.pairs for _, s in ranked[1:]):
        text += " Not all were compared over as many cases: mind the pairs in the table."
    return [text]


def _failing(groups: Sequence[Group]) -> list[str]:
    """A sentence on each implementation that was measured nowhere."""
    rows = [row for group in groups for row in group.rows]
    text = []
    for name in in_order(str(row["implementation"]) for row in rows):
        its = [row for row in rows if row["implementation"] == name]
        if not any(map(ok, its)):
            reasons = Counter(f"{row['status']}: {row.get('reason') or 'no reason given'}" for row in its)
            reason = shorten(reasons.most_common(1)[0][0], 160)
            text.append(f"{shorten(name, 60)} was measured in none of its {counted(len(its), 'case')} ({reason}).")
    return text
