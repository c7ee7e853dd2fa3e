"""`python -m bench table`: the article's table for two networks, with published figures beside. Free of torch."""

import csv
import io
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from rich.console import Console
from rich.table import Table

from ..cost.network_counts import PUBLISHED, Count, Figures, Setting, StageCount, stage_counts
from ..errors import UsageError
from ..results.sheets import markdown_table

_CSV = (
    "network",
    "row",
    "height",
    "width",
    "before",
    "blocks",
    "layers",
    "parameters",
    "macs",
    "parameters_off",
    "macs_off",
)
_NUMBERS = ("parameters", "multiply–adds")
_COUNTED = (
    "Multiply–adds of one image: convolutions, those of shortcuts among them, classifier, similarity and aggregation, "
    "every tap of a window. Normalisation, pooling, softmax and the prior's network are not counted."
)
_UNEXPLAINED = (
    "Multiply–adds of the article and of Papers with Code are 0.2 to 0.3 G above ours for both kinds of network: "
    "they include something that is not counted here, nor by torchvision."
)


@dataclass(frozen=True)
class Counted:
    """A network's stages and what they add up to."""

    network: str
    stages: list[StageCount]
    total: Count
    published: Mapping[str, Figures]


@dataclass(frozen=True)
class NetworkTable:
    """Two networks counted in one setting."""

    setting: Setting
    networks: tuple[Counted, Counted]

    @property
    def sources(self) -> list[str]:
        """Who published figures of either network."""
        return list(dict.fromkeys(source for counted in self.networks for source in counted.published))

    @property
    def notes(self) -> list[str]:
        """What the numbers mean, and what was not published."""
        setting = self.setting
        size = f"{setting.height}×{setting.width} pixels, {setting.in_channels} channels, {setting.classes} classes"
        layer = f"LR, the local relation layer: m = {setting.m}, prior {setting.prior}"
        facts = [f"{size}; {layer}. s2: stride 2; res3 to res5 have theirs in the first spatial layer.", _COUNTED]
        if setting != Setting():
            return [*facts, "Published figures are for the default sizes and options, and left out here."]
        unknown = [counted.network for counted in self.networks if not counted.published]
        if set(self.sources) - {"torchvision"}:
            facts.append(_UNEXPLAINED)
        return [*facts, *(f"No published figures of {name} are known." for name in dict.fromkeys(unknown))]


def count_networks(names: tuple[str, str], options: Mapping[str, Any]) -> NetworkTable:
    """Count two networks in a setting.

    Raises:
        UsageError: There is no network of one of the names, or a size is out of range.
    """
    try:
        setting = Setting(**options)
        a, b = (_count(name, setting) for name in names)
    except ValueError as error:
        raise UsageError(str(error)) from None
    return NetworkTable(setting, (a, b))


def as_text(comparison: NetworkTable) -> str:
    """The table for a terminal, a stage's layers below each other."""
    text = io.StringIO()
    table = Table("stage", "output", box=None, padding=(0, 2, 0, 0))
    for counted in comparison.networks:
        table.add_column(f"{counted.network}\nlayers")
        for name in _NUMBERS:
            table.add_column(f"\n{name}", justify="right")
    for row in _rows(comparison):
        table.add_row(*row)
        if any("\n" in cell for cell in row):
            table.add_row()
    console = Console(file=text, width=140)
    console.print(table)
    console.print("", *comparison.notes, sep="\n", soft_wrap=True, highlight=False)
    return "\n".join(line.rstrip() for line in text.getvalue().splitlines()) + "\n"


def as_markdown(comparison: NetworkTable) -> str:
    """The table for a page."""
    names = [counted.network for counted in comparison.networks]
    head = ["stage", "output", *(f"{name}: {part}" for name in names for part in ("layers", *_NUMBERS))]
    rows = [[cell.replace("\n", "<br>") for cell in row] for row in _rows(comparison)]
    return f"{markdown_table(head, rows, numbers=(3, 4, 6, 7))}\n\n" + "\n\n".join(comparison.notes) + "\n"


def as_csv(comparison: NetworkTable) -> str:
    """A line for each network and stage, its total, and each published figure with ours over it, less 1."""
    text = io.StringIO()
    writer = csv.DictWriter(text, _CSV, restval="", lineterminator="\n")
    writer.writeheader()
    for counted in comparison.networks:
        for stage in counted.stages:
            size = {"height": stage.height, "width": stage.width, "blocks": stage.blocks}
            words = {"before": "; ".join(stage.before), "layers": "; ".join(stage.layers)}
            writer.writerow({"network": counted.network, "row": stage.name, **size, **words, **vars(stage.count)})
        writer.writerow({"network": counted.network, "row": "total", **vars(counted.total)})
        for source, figures in counted.published.items():
            off = dict(zip(_CSV[-2:], _off(counted.total, figures), strict=True))
            numbers = {"parameters": round(figures.parameters_m * 1e6), "macs": round(figures.macs_g * 1e9)}
            writer.writerow({"network": counted.network, "row": f"published: {source}", **numbers, **off})
    return text.getvalue()


TABLE_FORMATS: Mapping[str, Callable[[NetworkTable], str]] = {"text": as_text, "markdown": as_markdown, "csv": as_csv}


def _count(name: str, setting: Setting) -> Counted:
    stages = stage_counts(name, setting)
    published = {source: figures[name] for source, figures in PUBLISHED.items() if name in figures}
    total = sum((stage.count for stage in stages), Count())
    return Counted(name, stages, total, published if setting == Setting() else {})


def _rows(comparison: NetworkTable) -> list[list[str]]:
    """The cells of every line: stages, totals, then what was published and how far ours is from it."""
    networks = comparison.networks
    rows = []
    for pair in zip(*(counted.stages for counted in networks), strict=True):
        cells = [cell for stage in pair for cell in (_layers(stage), *_shown(stage.count))]
        rows.append([pair[0].name, f"{pair[0].height}×{pair[0].width}", *cells])
    rows.append(["total", "", *(cell for counted in networks for cell in ("", *_shown(counted.total)))])
    for source in comparison.sources:
        published, against = [source, ""], ["ours against it", ""]
        for counted in networks:
            figures = counted.published.get(source)
            off = ("", "") if figures is None else (f"{off:+.1%}" for off in _off(counted.total, figures))
            shown = ("", "") if figures is None else (f"{figures.parameters_m:g} M", f"{figures.macs_g:g} G")
            published += ["", *shown]
            against += ["", *off]
        rows += [published, against]
    return rows


def _layers(stage: StageCount) -> str:
    """A stage's layers, one a line, with how often a block repeats."""
    repeats = () if stage.blocks == 1 else (f"{stage.blocks} blocks:",)
    return "\n".join((*stage.before, *repeats, *stage.layers))


def _shown(count: Count) -> tuple[str, str]:
    return f"{count.parameters / 1e6:.3f} M", f"{count.macs / 1e9:.3f} G"


def _off(count: Count, figures: Figures) -> tuple[float, float]:
    """Ours over what was published, less 1."""
    return count.parameters / (figures.parameters_m * 1e6) - 1, count.macs / (figures.macs_g * 1e9) - 1
