"""Memory over the time of one call, as a picture."""

from pathlib import Path

import matplotlib as mpl
from matplotlib.figure import Figure

from .trace import Trace, readable

_MIB, _MS = 2**20, 1e3
_LINE, _RULE = "#0072B2", "#D55E00"
_LONGEST = 60
# Steps up of this share of the peak are named.
_LARGE = 0.15


def peak_of(trace: Trace) -> tuple[float, str]:
    """The most MiB above what was allocated before the call, and the operation that took them."""
    highest = max(trace.memory, key=lambda level: level.allocated)
    return highest.allocated / _MIB, highest.operation


def draw_memory(trace: Trace, title: str, predicted_mib: float | None, path: Path) -> None:
    """Draw the allocated memory above the inputs over the call of median duration, and the peak that was predicted."""
    peak_mib, operation = peak_of(trace)
    highest = max(trace.memory, key=lambda level: level.allocated)
    with mpl.rc_context({"svg.hashsalt": "profile", "svg.fonttype": "none"}):
        figure = Figure(figsize=(8, 4), layout="constrained")
        axes = figure.add_subplot()
        times = [level.time / _MS for level in trace.memory]
        sizes = [level.allocated / _MIB for level in trace.memory]
        axes.fill_between(times, sizes, step="post", color=_LINE, alpha=0.2, linewidth=0)
        axes.step(times, sizes, where="post", color=_LINE, linewidth=1.2)
        if predicted_mib is not None:
            axes.axhline(predicted_mib, color=_RULE, linestyle="--", linewidth=1)
            above = f"predicted peak {predicted_mib:.3g} MiB"
            place = (trace.typical.duration / _MS, predicted_mib)
            axes.annotate(above, place, (-4, 3), textcoords="offset points", color=_RULE, ha="right")
        text = f"peak {peak_mib:.3g} MiB" + (f", in {shortened(readable(operation))}" if operation else "")
        for level, below in zip(trace.memory[1:], trace.memory, strict=False):
            if level != highest and level.allocated - below.allocated > _LARGE * highest.allocated:
                place = (level.time / _MS, level.allocated / _MIB)
                name = shortened(readable(level.operation), 24)
                axes.annotate(name, place, (3, 3), textcoords="offset points", fontsize=7, color=_LINE)
        late = highest.time > trace.typical.duration / 2
        axes.plot([highest.time / _MS], [peak_mib], "o", color=_LINE, markersize=4)
        place = (highest.time / _MS, peak_mib)
        axes.annotate(text, place, (-6 if late else 6, 4), textcoords="offset points", ha="right" if late else "left")
        axes.set_xlim(0, trace.typical.duration / _MS)
        axes.set_ylim(0, 1.2 * max(peak_mib, predicted_mib or 0.0, 1e-6))
        axes.set_xlabel("time of the host since the call began, ms")
        axes.set_ylabel("allocated above the inputs, MiB")
        axes.set_title(title, fontsize=10)
        axes.spines[["top", "right"]].set_visible(False)
        figure.savefig(path, dpi=150)


def shortened(text: str, most: int = _LONGEST) -> str:
    """A text of so many letters at the most."""
    return text if len(text) <= most else text[: most - 1] + "…"
