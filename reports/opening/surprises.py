"""What is not as expected, a sentence each: where the usual winner loses, what failed, what cannot be."""

from collections.abc import Iterator

import pandas as pd

from ..data.parameters import implementations
from ..data.regions import EVERYWHERE, regions
from ..data.rows import measured
from ..sections.bounds import ABOVE
from ..sections.material import Material
from ..style import counted, shorten, times

_MOST = 8


def surprises(material: Material) -> list[str]:
    """The sentences, those on winners first; of many the first few."""
    found = [*_losses(material), *_failures(material.cases), *_faults(material.cases)]
    rest = len(found) - _MOST
    return [*found[:_MOST], *([f"{counted(rest, 'other')} of the kind: see the verdict's table."] if rest > 0 else [])]


def _losses(material: Material) -> Iterator[str]:
    """Where along an axis another implementation is faster than the one that is so nearly everywhere."""
    usual = ""
    for one in regions(material.groups):
        if one.name == EVERYWHERE:
            usual = one.fastest
        elif one.fastest != usual and one.lead > 1 + material.floor(one.group.key[0]):
            where = f"{one.group.label}, {one.mode.replace('_', ' + ')}, by {times(one.lead)}"
            yield f"{shorten(usual, 40)} loses to {shorten(one.fastest, 40)} at {one.name} ({where})."


def _failures(cases: pd.DataFrame) -> Iterator[str]:
    """Implementations that were measured nowhere, and cases that ended otherwise than well."""
    for name, its in implementations(cases).groupby("implementation", observed=True):
        lost = its[its["status"] != "ok"]
        if lost.empty:
            continue
        reasons = lost["status"].astype(str) + ": " + lost["reason"].fillna("no reason given")
        reason = shorten(reasons.value_counts().index[0], 90)
        if len(lost) == len(its):
            yield f"{shorten(str(name), 60)} was measured in none of its {counted(len(its), 'case')} ({reason})."
        else:
            yield f"{shorten(str(name), 60)} has no time in {len(lost)} of {counted(len(its), 'case')} ({reason})."


def _faults(cases: pd.DataFrame) -> Iterator[str]:
    """Cases that are faster than the chip."""
    above = int((measured(cases, "bound_fraction") > ABOVE).sum())
    if above:
        yield f"{counted(above, 'case')} above 100 % of the bound, which cannot be: see the bounds."
