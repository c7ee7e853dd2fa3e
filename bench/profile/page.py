"""The page and the table that a profile leaves: Markdown and CSV."""

import csv
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from .. import SUITE
from .expected import Expected
from .memory_plot import largest_steps, peak_of, shortened
from .nsight import COUNTERS, Counted
from .proton import Ran
from .trace import END, Gap, Timeline, Trace, readable

TRACE, OPERATIONS, PICTURE, PAGE, SUMMARY = "trace.json", "ops.csv", "memory.png", "profile.md", "profile.json"
PROTON, NSIGHT = "proton.hatchet", "nsight.csv"
_SHOWN, _GAPS = 15, 5
_COLUMNS = ("where", "name", "per_call", "total_ms", "mean_us", "share", "idle_before_us", "full_name")

Cells = Sequence[str]


@dataclass(frozen=True)
class Profile:
    """All that was found of a case: its label, what was known before, the trace, and what each instrument gave.

    `missing` says, by instrument, in a line, what there is not and why.
    """

    label: str
    machine: str
    known: Mapping[str, Any]
    trace: Trace
    proton: Sequence[Ran] = ()
    counted: Sequence[Counted] = ()
    expected: Expected = field(default_factory=lambda: Expected({}))
    missing: Mapping[str, str] = field(default_factory=dict)

    def summary(self) -> dict[str, float | str]:
        """The profile in a few numbers, per call."""
        timeline, calls = self.trace.main, len(self.trace.calls)
        first = timeline.operations[0]
        peak_mib, _ = peak_of(self.trace)
        return {
            "calls": calls,
            "call_ms": sum(call.duration for call in self.trace.calls) / calls / 1e3,
            "busy_ms": timeline.busy / calls / 1e3,
            "idle_ms": sum(gap.duration for gap in timeline.gaps) / calls / 1e3,
            "launches": sum(one.count for one in timeline.operations) / calls,
            "largest": readable(first.name),
            "largest_share": first.total / sum(one.total for one in timeline.operations),
            "peak_mib": peak_mib,
        }


def write_operations(trace: Trace, path: Path) -> None:
    """Write every kernel and every operation of the CPU, one a line, times over all calls."""
    calls = len(trace.calls)
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(_COLUMNS)
        for timeline in filter(None, (trace.device, trace.host)):
            whole = sum(one.total for one in timeline.operations)
            for one in timeline.operations:
                times = one.total / 1e3, one.total / one.count, one.total / whole, one.idle_before
                figures = [f"{time:.6g}" for time in times]
                writer.writerow([timeline.where, readable(one.name), one.count / calls, *figures, one.name])


def page(profile: Profile) -> str:
    """The page."""
    parts = [f"# Profile of {profile.label}", *_head(profile)]
    for timeline in filter(None, (profile.trace.device, profile.trace.host)):
        parts += _timeline(timeline, profile.trace)
    parts += _memory(profile)
    if profile.expected.kernels:
        parts += _bounds(profile)
    if profile.proton:
        parts += _proton(profile)
    if profile.counted:
        parts += _nsight(profile)
    notes = [f"- {name}: {reason}." for name, reason in profile.missing.items()]
    notes += [f"- Expected: {note}." for note in profile.expected.notes]
    parts += ["## What there is not", "\n".join(notes)] if notes else []
    return "\n\n".join(parts) + "\n"


def table(headings: Cells, rows: Iterable[Cells]) -> str:
    """A table in Markdown; the first column is text, the others are numbers."""
    lines = [headings, ["---", *["---:"] * (len(headings) - 1)], *rows]
    return "\n".join("| " + " | ".join(cell.replace("|", "\\|") for cell in line) + " |" for line in lines)


def _head(profile: Profile) -> Iterator[str]:
    found, where = profile.summary(), profile.trace.main.where
    place = "the GPU" if where == "device" else "the calling thread"
    yield (
        f"On {profile.machine}: {found['calls']} calls, one at a time, each from an idle device. On average a "
        f"call took {found['call_ms']:.4g} ms under the profiler, which slows it down: here it is told where the time "
        "goes, and by a run how long a call takes."
    )
    yield (
        f"In a call {place} worked for {found['busy_ms']:.4g} ms and was idle for {found['idle_ms']:.4g} ms; "
        f"{found['launches']:.4g} {'launches' if where == 'device' else 'operations'}, the most time of them in "
        f"`{shortened(str(found['largest']))}` ({found['largest_share']:.0%})."
    )
    yield (
        f"Open [{TRACE}]({TRACE}) in https://ui.perfetto.dev or chrome://tracing; "
        f"[{OPERATIONS}]({OPERATIONS}) has every name in full."
    )


def _timeline(timeline: Timeline, trace: Trace) -> Iterator[str]:
    calls, whole = len(trace.calls), sum(one.total for one in timeline.operations)
    device = timeline.where == "device"
    yield "## Kernels and copies on the GPU" if device else "## Operations on the CPU"
    rows = [
        [
            f"`{shortened(readable(one.name))}`",
            f"{one.count / calls:g}",
            f"{one.total / calls:,.1f}",
            f"{one.total / one.count:,.1f}",
            f"{one.total / whole:.1%}",
            f"{one.idle_before / calls:,.1f}",
        ]
        for one in timeline.operations[:_SHOWN]
    ]
    yield table(
        ("name", "launches" if device else "calls", "µs in a call", "µs each", "share", "idle before, µs"), rows
    )
    left = timeline.operations[_SHOWN:]
    if left:
        yield f"And {len(left)} more, together {sum(one.total for one in left) / whole:.1%}."
    note = "" if device else " Times are an operation's own, without those that it calls."
    yield f"Launches and times are of one call, the mean of {calls}.{note}"
    if timeline.gaps and timeline.busy:
        longest = "; ".join(f"{gap.duration:.1f} before {_next(gap)}" for gap in timeline.gaps[:_GAPS])
        what = "Gaps between kernels" if device else "Gaps between operations on the calling thread"
        yield f"{what}: {len(timeline.gaps) / calls:.4g} in a call, the longest of all calls, in µs: {longest}."


def _next(gap: Gap) -> str:
    return END if gap.before == END else f"`{shortened(readable(gap.before))}`"


def _memory(profile: Profile) -> Iterator[str]:
    peak_mib, operation = peak_of(profile.trace)
    yield "## Memory"
    yield f"![Allocated memory over the time of a call]({PICTURE})"
    in_ = f" in `{shortened(readable(operation))}`" if operation else ""
    known = {"predicted_mib": "predicted", "peak_mib": "weighed outside of the profiler"}
    beside = [f"{profile.known[name]:.4g} MiB {text}" for name, text in known.items() if profile.known.get(name)]
    yield f"Peak above the inputs: {peak_mib:.4g} MiB allocated{in_}" + "".join(f"; {text}" for text in beside) + "."
    steps = [f"{size:.4g} in `{shortened(readable(name))}`" for size, name in largest_steps(profile.trace, _GAPS)]
    yield f"Allocated at once, the most, in MiB: {'; '.join(steps) or 'nothing'}."


def _bounds(profile: Profile) -> Iterator[str]:
    ran = {one.name: one.total / one.count for one in profile.trace.main.operations}
    yield "## Against the bounds"
    predicted = profile.expected.kernels
    names = list(next(iter(predicted.values())).bounds_us)
    rows = []
    for name, one in predicted.items():
        time, issued = ran.get(name), one.offline.get("time, ns")
        limit = max(one.bounds_us.values())
        rows.append(
            [
                one.kernel,
                "" if time is None else f"{time:.1f}",
                *(f"{one.bounds_us[bound]:.1f}" for bound in names),
                "" if issued is None else f"{issued / 1e3:.1f}",
                "" if time is None else f"{limit / time:.0%}",
            ]
        )
    yield table(("kernel", "µs", *names, "issue of the binary", "share of the largest bound"), rows)
    yield f"In µs. The bounds are of the mathematics (docs/bounds.md); the binary's is by `{SUITE} offline`."


def _proton(profile: Profile) -> Iterator[str]:
    calls, whole = len(profile.trace.calls), sum(one.ns for one in profile.proton)
    yield "## Proton"
    rows = [
        [
            f"`{shortened(readable(one.kernel))}`",
            f"{one.launches / calls:g}",
            f"{one.ns / calls / 1e3:,.1f}",
            f"{one.ns / whole:.1%}",
        ]
        for one in profile.proton[:_SHOWN]
    ]
    yield table(("kernel", "launches", "µs in a call", "share"), rows)
    rates = {"flops": (1e-3, "TFLOP/s"), "min_bytes": (1.0, "GB/s")}
    said = [
        f"{profile.known[name] * calls / whole * scale:.4g} {unit} by the operator's own {name}"
        for name, (scale, unit) in rates.items()
        if profile.known.get(name)
    ]
    yield f"All kernels together: {', '.join(said)}. [{PROTON}]({PROTON}) opens in proton-viewer."


def _figure(number: float) -> str:
    return f"{number:,.0f}" if number >= 1000 else f"{number:.4g}"


def _nsight(profile: Profile) -> Iterator[str]:
    yield "## Nsight Compute"
    for one in sorted(profile.counted, key=lambda one: one.counters.get("time, ns", 0.0), reverse=True):
        predicted = profile.expected.kernels.get(one.kernel)
        columns: list[Mapping[str, float]] = [one.counters]
        columns += [] if predicted is None else [predicted.offline, predicted.bound]
        yield f"### `{shortened(readable(one.kernel))}`, launches: {one.launches}"
        rows = [
            [name, *(_figure(column[name]) if name in column else "" for column in columns)]
            for name in COUNTERS
            if any(name in column for column in columns)
        ]
        yield table(("counter of a launch", "ncu", *(("offline", "bound") if predicted else ())), rows)
    yield (
        "The clocks were the GPU's own. `offline` is what the binary executes, `bound` the least that the mathematics "
        "needs. Of the binary, FP32 operations include comparisons and selects, and L1 bytes are what threads ask for; "
        "XU also executes conversions."
    )
