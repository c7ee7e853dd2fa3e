"""The picture of a learning run: accuracy against the window, and what the layer's options do at the largest one."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, FuncFormatter, NullLocator

from ..drawing.canvas import styled
from ..style import INK, LOOKS, Look
from .claims import LEVEL, accuracies, interval

_DPI = 130
# A logistic axis has no 1.
_TOP = 0.998
_TICKS = (0.2, 0.4, 0.6, 0.7, 0.8, 0.9, 0.93, 0.95, 0.96, 0.97, 0.98, 0.99, 0.995)
# The lines over windows: what each is called, the variants' name around k, and its look.
_LINES = {
    "layer": ("relation-k{}", LOOKS["triton"]),
    "layer, table for a prior": ("relation-k{}-table", LOOKS["flex"]),
    "convolution": ("convolution-k{}", LOOKS["unfold"]),
}
# The layer's options beside its default, from what follows a variant's name.
_OPTIONS = {
    "": "as is",
    "-squared": "Φ = −(q−k)²",
    "-absolute": "Φ = −|q−k|",
    "-table": "prior: table",
    "-none": "no prior",
    "-m1": "m = 1",
}


def draw(rows: pd.DataFrame, folder: Path) -> None:
    """Write accuracy.png and accuracy.svg: means with their intervals, and every seed as a dot."""
    table = accuracies(rows)
    with styled(titles="large"):
        figure = Figure(figsize=(9.2, 3.9), layout="constrained")
        FigureCanvasAgg(figure)
        windows, options = figure.subplots(1, 2, sharey=True)
        _draw_windows(windows, table, sorted(rows["kernel_size"].unique()))
        _draw_options(options, table, max(rows["kernel_size"]))
        _scale(windows, table)
        figure.legend(*windows.get_legend_handles_labels(), loc="outside upper left", ncols=len(_LINES), frameon=False)
        figure.savefig(folder / "accuracy.png", dpi=_DPI)
        figure.savefig(folder / "accuracy.svg", metadata={"Date": None})


def _draw_windows(axes: Axes, table: pd.DataFrame, sizes: Sequence[int]) -> None:
    for index, (label, (pattern, look)) in enumerate(_LINES.items()):
        places = [(k, table[pattern.format(k)].dropna()) for k in sizes if pattern.format(k) in table]
        shifted = [(k + 0.16 * (index - 1), values) for k, values in places]
        if shifted:
            x = [place for place, _ in shifted]
            axes.plot(x, [_share(values.mean()) for _, values in shifted], color=look.colour, linewidth=1.4, zorder=2)
        for place, values in shifted:
            _draw_seeds(axes, place, values, look, width=0.05)
        if shifted:
            axes.plot([], [], color=look.colour, marker=look.marker, markersize=5.5, label=label)
    axes.set_xticks(sizes, [f"{k}×{k}" for k in sizes])
    axes.set(xlabel="window", ylabel="held-out accuracy, %")
    axes.set_title("Windows", loc="left")
    _finish(axes)


def _draw_options(axes: Axes, table: pd.DataFrame, size: int) -> None:
    found = [(label, table.get(f"relation-k{size}{suffix}")) for suffix, label in _OPTIONS.items()]
    shown = [(label, values.dropna()) for label, values in found if values is not None]
    axes.set_visible(len(shown) > 1)
    for place, (_, values) in enumerate(shown):
        _draw_seeds(axes, place, values, LOOKS["triton"], width=0.12)
    if shown:
        axes.axhline(_share(shown[0][1].mean()), color=INK, linewidth=0.8, linestyle=":", zorder=1)
    axes.set_xticks(range(len(shown)), [label for label, _ in shown], rotation=25)
    axes.set_xlim(-0.6, max(len(shown), 1) - 0.4)
    axes.set_title(f"The layer's options, {size}×{size}", loc="left")
    axes.tick_params("y", labelleft=True)
    _finish(axes)


def _draw_seeds(axes: Axes, place: float, values: pd.Series, look: Look, width: float) -> None:
    """A faint dot for each seed, the mean, and its interval."""
    spread = [place + width * (2 * index / max(len(values) - 1, 1) - 1) for index in range(len(values))]
    axes.scatter(
        spread, [_share(value) for value in values], s=9, color=look.colour, alpha=0.35, linewidths=0, zorder=2
    )
    low, high = interval(values.to_numpy(), LEVEL)
    axes.vlines(place, _share(low), _share(high), color=look.colour, linewidth=2.2, zorder=3)
    axes.plot([place], [_share(values.mean())], color=look.colour, marker=look.marker, markersize=6, zorder=4)


def _scale(axes: Axes, table: pd.DataFrame) -> None:
    """Logistic, so that 99 % and 98 % are as far apart as 2 % and 1 %; both panels share it."""
    axes.set_yscale("logit")
    worst = float(table.min().min()) / 100
    axes.set_ylim(worst - 0.1 * (1 - worst), _TOP)
    axes.yaxis.set_major_locator(FixedLocator(_TICKS))
    axes.yaxis.set_major_formatter(FuncFormatter(lambda share, _: f"{100 * share:g}"))
    axes.yaxis.set_minor_locator(NullLocator())


def _share(percent: float) -> float:
    """A place on the axis: within its ends, or NaN."""
    return float(np.clip(percent / 100, 1 - _TOP, _TOP))


def _finish(axes: Axes) -> None:
    axes.grid(visible=True, axis="y", linewidth=0.6)
    axes.set_axisbelow(True)
