"""Memory over the time of one call, as a picture."""

from itertools import pairwise
from pathlib import Path

from matplotlib.figure import Figure

from .trace import Trace, readable

_MIB, _MS = 2**20, 1e3
_LINE, _RULE = "#0072B2", "#D55E00"
_LONGEST = 60


def peak_of(trace: Trace) -> tuple[float, str]:
    """The most MiB above what was allocated before the call, and the operation that took them."""
    highest = max(trace.memory, key=lambda level: level.allocated)
    return highest.allocated / _MIB, highest.operation


def largest_steps(trace: Trace, count: int) -> list[tuple[float, str]]:
    """The most MiB that were allocated at once, and the operations that did, the most first."""
    steps = [
        ((after.allocated - before.allocated) / _MIB, after.operation)
        for before, after in pairwise(trace.memory)
        if after.allocated > before.allocated
    ]
    return sorted(steps, key=lambda step: step[0], reverse=True)[:count]


def draw_memory(trace: Trace, title: str, predicted_mib: float | None, path: Path) -> None:
    """Draw the allocated memory above the inputs over the call of median duration, and the peak that was predicted."""
    peak_mib, operation = peak_of(trace)
    figure = Figure(figsize=(8, 4.2), layout="constrained")
    axes = figure.add_subplot()
    times = [level.time / _MS for level in trace.memory]
    sizes = [level.allocated / _MIB for level in trace.memory]
    label = f"peak {peak_mib:.3g} MiB" + (f", in {shortened(readable(operation))}" if operation else "")
    axes.fill_between(times, sizes, step="post", color=_LINE, alpha=0.2, linewidth=0)
    axes.step(times, sizes, where="post", color=_LINE, linewidth=1.2, label=label)
    if predicted_mib is not None:
        text = f"predicted peak {predicted_mib:.3g} MiB"
        axes.axhline(predicted_mib, color=_RULE, linestyle="--", linewidth=1, label=text)
    axes.set_xlim(0, trace.typical.duration / _MS)
    axes.set_ylim(0, 1.1 * max(peak_mib, predicted_mib or 0.0, 1e-6))
    axes.set_xlabel("time of the host since the call began, ms")
    axes.set_ylabel("allocated above the inputs, MiB")
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend(loc="lower left", bbox_to_anchor=(0, 1), ncols=2, frameon=False, borderaxespad=0)
    figure.suptitle(title, fontsize=10)
    figure.savefig(path, dpi=150)


def shortened(text: str, most: int = _LONGEST) -> str:
    """A text of so many letters at the most, its end kept, where compilers number their kernels."""
    end = most // 4
    return text if len(text) <= most else f"{text[: most - end - 1]}…{text[-end:]}"
