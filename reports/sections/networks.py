"""The section on networks: whole networks beside ResNets of the same depth, and the parts of a layer's time."""

from dataclasses import replace

import pandas as pd

from bench import SUITE
from bench.results.columns import KINDS

from ..data.parameters import KEYS, NETWORK, OF_NETWORKS, PLACE, SETTING, SweptAxis, implementations
from ..data.rows import measured
from ..data.slices import Slice
from ..drawing.figures import LATENCY, MEMORY, THROUGHPUT, Quantity, lines_of
from ..drawing.panels import Panel
from ..report import Figure, Section, Table
from ..style import show, times
from .material import Material
from .rows import placed

_EMPTY = f"The run has no networks. To fill this: `{SUITE} run networks`."
YARDSTICK = "resnet"
_AXIS = SweptAxis("network", (), "depth of the network (layers)", numeric=False)
_CAPTION = (
    "Networks of each depth. “of ResNet's” is the ratio of images per second to the ResNet of the same depth, mode, "
    "batch and compiler setting; the largest batch is the largest that fits."
)
_PARTS_CAPTION = (
    "The layer's time in parts: aggregation is the operator, projections are the 1×1 convolutions; medians over the "
    "cases, as shares of the layer's latency. What is missing to 100 % is neither. "
    "By the formula is aggregation's share of the paper's cost."
)
_LARGEST = Quantity("largest_batch", "largest batch", "images")
_ASKED = (*OF_NETWORKS, "batch")


def section(material: Material) -> Section:
    """The networks in numbers and drawn, and what their layers spend their time on."""
    rows = material.cases[material.cases["scope"] == NETWORK]
    parts = _parts(material.cases)
    tables = [table for table in (_table(rows), parts) if len(table.frame)]
    if not tables:
        return Section("networks", "Networks", empty=_EMPTY)
    text = _sentences(against_resnet(rows)) if len(rows) else [_EMPTY]
    return Section("networks", "Networks", text, tables, _figures(rows, material))


def against_resnet(rows: pd.DataFrame) -> pd.DataFrame:
    """Each network's images per second over those of the ResNet that is alike in all else, in a column `ratio`."""
    same = [PLACE, *SETTING, "mode", *_ASKED, "height", "memory_format"]
    rows = rows.assign(rate=measured(rows, "images_per_s"))
    resnets = rows[rows["implementation"] == YARDSTICK].dropna(subset="rate")[[*same, "rate"]]
    paired = rows[same].merge(resnets.drop_duplicates(same), on=same, how="left")
    return rows.assign(ratio=rows["rate"] / paired["rate"].to_numpy())


def _table(rows: pd.DataFrame) -> Table:
    found = against_resnet(rows)
    frame = found[[PLACE, *SETTING, "mode", "implementation", *_ASKED, "status"]].assign(
        **{
            "latency (ms)": measured(rows, "latency_ms"),
            "images/s": found["rate"],
            "of ResNet's": found["ratio"],
            "peak (MiB)": measured(rows, "peak_mib"),
            "largest batch": rows["largest_batch"],
            "reason": rows["reason"],
        }
    )
    named = frame.rename(columns={"torch_compile": "torch.compile"})
    return placed("networks", _CAPTION, named.sort_values([PLACE, "mode", "depth", "implementation"], kind="stable"))


def _sentences(found: pd.DataFrame) -> list[str]:
    """For each place, mode and depth the network that is nearest to, or beyond, its ResNet."""
    own = implementations(found).dropna(subset="ratio").sort_values("ratio")
    best = own.groupby([PLACE, "mode", "depth"], observed=True).tail(1).sort_values(["mode", "depth"])
    text = [
        f"LR-Net-{row['depth']:.0f}, {str(row['mode']).replace('_', ' + ')}: {row['implementation']} gives "
        f"{show(row['rate'])} images/s, {times(row['ratio'])} the ResNet's."
        for row in best.to_dict("records")
    ]
    return text or ["No network was measured beside its ResNet."]


def _figures(rows: pd.DataFrame, material: Material) -> list[Figure]:
    """For each place, setting and compiler setting: rates, memory and largest batches by depth, a row for each mode."""
    figures = []
    keys = [PLACE, *SETTING, "torch_compile"]
    parts = list(rows.groupby(keys, observed=True, dropna=False))
    for number, (key, here) in enumerate(parts):
        depth, batch = (pd.to_numeric(here[name], errors="coerce") for name in ("depth", "batch"))
        labels = depth.map(show)
        if len(batch.unique()) > 1:
            labels += " N" + batch.map(show)
        order = labels.loc[pd.DataFrame({"d": depth, "n": batch}).sort_values(["d", "n"]).index]
        one = Slice(_AXIS, here, labels, list(dict.fromkeys(order)))
        panels = [
            _panel(one, str(mode), quantity)
            for mode in here["mode"].sort_values().unique()
            for quantity in (LATENCY, MEMORY, _LARGEST, THROUGHPUT)
        ]
        panels = [panel for panel in panels if panel.lines]
        if panels:
            named = ", ".join(_words(name, value) for name, value in zip(keys, key, strict=True))
            parts_of_name = ("networks", str(number) if len(parts) > 1 else "")
            figures.append(
                material.studio.panels(
                    parts_of_name,
                    f"Networks ({named})",
                    "LR-Net beside ResNet; N is the batch, where there are several.",
                    panels,
                    3,
                )
            )
    return figures


def _words(key: str, value: object) -> str:
    if key != "torch_compile":
        return str(value)
    return "torch.compile" if value == "True" else "eager"


def _panel(one: Slice, mode: str, quantity: Quantity) -> Panel:
    rows = one.rows[one.rows["mode"] == mode]
    lines = [replace(line, joined=False) for line in lines_of(rows, one, quantity)]
    title = f"{mode.replace('_', ' + ')}: {quantity.title}"
    return Panel(
        title,
        _AXIS.title,
        f"{quantity.title} ({quantity.unit})",
        lines,
        one.ticks,
        log_x=False,
        numeric=False,
        # The same times in another unit.
        aside=quantity is THROUGHPUT,
    )


def _parts(cases: pd.DataFrame) -> Table:
    """How the time of layers divides, where the run measured the parts."""
    layers = cases[(cases["scope"] == "layer") & (cases["kind"] == KINDS[0])]
    latency = measured(layers, "latency_ms")
    shares = {name: 100 * measured(layers, f"{name}_ms") / latency for name in ("aggregation", "projections")}
    counts = {name: measured(layers, f"{name}_macs") for name in shares}
    counted = 100 * counts["aggregation"] / (counts["aggregation"] + counts["projections"])
    found = layers[KEYS].assign(**shares, counted=counted).dropna(subset=list(shares), how="all")
    numbers = {
        "cases": ("aggregation", "size"),
        "aggregation (%)": ("aggregation", "median"),
        "projections (%)": ("projections", "median"),
        "aggregation by the formula (%)": ("counted", "median"),
    }
    return placed("layer_parts", _PARTS_CAPTION, found.groupby(KEYS, observed=True).agg(**numbers).reset_index())
