"""A few numbers that say most, each with the section that has the rest."""

from collections.abc import Iterator

from ..data.parameters import NETWORK, implementations
from ..data.regions import EVERYWHERE, Region, regions
from ..data.rows import measured
from ..data.speedups import BASELINE, mean_ratio, ratios_to_baseline
from ..report import Tile
from ..sections.material import Material
from ..sections.networks import against_resnet
from ..style import counted, shorten, times

_MOST = 4


def tiles(material: Material) -> list[Tile]:
    """What is fastest, its mean speed-up, memory saved and share of the bound in the first group and mode; networks."""
    found = regions(material.groups[:1])
    return [*(_of_region(found[0], material) if found else []), *_of_networks(material)][:_MOST]


def _of_region(one: Region, material: Material) -> Iterator[Tile]:
    where = f"{one.group.label}, {one.mode.replace('_', ' + ')}"
    name = shorten(one.fastest, 24)
    yield Tile(name, f"is the fastest in {one.problems} problems: {where}", "verdict", one.fastest)
    its = one.rows[one.rows["implementation"] == one.fastest]
    if one.name == EVERYWHERE and one.fastest != BASELINE:
        speedup, memory = (
            ratios_to_baseline(material.cases, column).reindex(its.index).dropna()
            for column in ("latency_ms", "peak_mib")
        )
        if len(speedup):
            label = f"{BASELINE}'s speed, geometric mean of {counted(len(speedup), 'pair')}"
            yield Tile(times(mean_ratio(speedup)), label, "map", one.fastest)
        if len(memory) and (saved := 1 - 1 / mean_ratio(memory)) > 0:
            label = f"less peak memory than {BASELINE}, mean of {counted(len(memory), 'pair')}"
            yield Tile(f"{saved:.0%}", label, "memory", one.fastest)
    share = mean_ratio(measured(its, "bound_fraction"))
    if share > 0:
        yield Tile(f"{share:.0%}", "of what the chip can do, its bound, geometric mean", "bounds", one.fastest)


def _of_networks(material: Material) -> Iterator[Tile]:
    """For the first mode the network that is nearest to its ResNet."""
    rows = implementations(against_resnet(material.cases[material.cases["scope"] == NETWORK]))
    best = rows.dropna(subset="ratio").sort_values(["mode", "ratio"], ascending=[True, False]).head(1)
    for row in best.to_dict("records"):
        label = f"the ResNet's images/s: LR-Net-{row['depth']:.0f}, {row['mode']}, {row['implementation']}"
        yield Tile(times(row["ratio"]), label, "networks", str(row["implementation"]))
