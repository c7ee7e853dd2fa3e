"""A trace of torch.profiler, as chrome://tracing and Perfetto read it: operations, gaps, memory."""

import json
import re
from collections.abc import Container, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from typing import Any

# What a profiled call is named in the trace.
CALL = "profiled call"
END = "the end of the call"
_DEVICE = ("kernel", "gpu_memcpy", "gpu_memset")
_MEMORY = "[memory]"
# What allocates for another operation, which is the one to name.
_ALLOCATORS = ("aten::empty", "aten::empty_strided", "aten::empty_like", "aten::new_empty", "aten::resize_")
_FUNCTOR = re.compile(r"\w*[Ff]unctor\w*|\w+_kernel_cuda\b|\w+_kernel_impl\b|\w+_kernel(?=\()")
_PREFIXES = {"autograd::engine::evaluate_function: ": "autograd ", "torch::autograd::": "", "aten::": ""}


@dataclass(frozen=True)
class Span:
    """Something that took time: on a thread, or on a GPU; in µs on the trace's clock."""

    name: str
    start: float
    duration: float
    place: tuple[Any, Any] = ("", "")

    @property
    def end(self) -> float:
        """When it ended."""
        return self.start + self.duration

    def holds(self, other: "Span") -> bool:
        """Whether the other one's middle is within it: host and GPU have clocks that agree to a microsecond or so."""
        return self.start <= other.start + other.duration / 2 <= self.end


@dataclass(frozen=True)
class Gap:
    """Time in µs in which nothing ran, in a call, and what came then."""

    duration: float
    before: str


@dataclass(frozen=True)
class Operation:
    """All that ran under one name, in all calls: how often, its own time in µs, and the gaps before it."""

    name: str
    count: int
    total: float
    idle_before: float


@dataclass(frozen=True)
class Timeline:
    """What ran in the calls on the GPU ("device") or the CPU ("host"), the most time first.

    `busy` and `gaps` are of the whole GPU, or of the thread that makes the calls: of all calls together.
    """

    where: str
    operations: Sequence[Operation]
    busy: float
    gaps: Sequence[Gap]


@dataclass(frozen=True)
class Level:
    """Bytes of allocated memory from a time in µs on, and the operation that changed them, "" for none."""

    time: float
    allocated: int
    operation: str


@dataclass(frozen=True)
class Trace:
    """What a trace says of the calls that were profiled; the memory is of the call `typical`, of median duration."""

    calls: Sequence[Span]
    host: Timeline
    device: Timeline | None
    typical: Span
    memory: Sequence[Level]

    @property
    def main(self) -> Timeline:
        """The GPU's timeline, or the CPU's where there is none."""
        return self.device or self.host


class TraceError(ValueError):
    """A file is not a trace of profiled calls."""


def read_trace(path: Path) -> Trace:
    """What a trace file says.

    Raises:
        TraceError: The file is no trace, or no call was profiled in it.
    """
    try:
        events = json.loads(path.read_text(encoding="utf-8"))["traceEvents"]
    except (ValueError, KeyError, TypeError) as error:
        raise TraceError(f"{path} is not a trace in JSON: {error}") from None
    calls = sorted(_spans(events, ("user_annotation",), CALL), key=lambda span: span.start)
    if not calls:
        raise TraceError(f"{path} holds no {CALL!r}")
    host = list(_spans(events, ("cpu_op",)))
    kernels = list(_spans(events, _DEVICE))
    on_device = any(call.holds(kernel) for call in calls for kernel in kernels)
    typical = sorted(calls, key=lambda call: call.duration)[len(calls) // 2]
    return Trace(
        calls,
        _timeline("host", calls, host, _nested(host), main=calls[0].place),
        _timeline("device", calls, kernels, ((kernel, kernel.duration) for kernel in kernels)) if on_device else None,
        typical,
        _levels(events, typical, host, on_device=on_device),
    )


def readable(name: str) -> str:
    """A kernel's or operator's name without namespaces, arguments and templates, but with the functor of a template."""
    for prefix, short in _PREFIXES.items():
        name = name.replace(prefix, short)
    if "<" not in name and "(" not in name:
        return name.rpartition("::")[2] if "::" in name else name
    plain = name.removeprefix("void ").replace("(anonymous namespace)::", "")
    head = re.split(r"[<(]", plain, maxsplit=1)[0]
    base = head.rpartition("::")[2].strip()
    functors = [found for found in _FUNCTOR.findall(plain[len(head) :]) if found != base]
    return f"{base} [{functors[0]}]" if functors else base


def _spans(
    events: Iterable[Mapping[str, Any]], categories: Container[str | None], name: str | None = None
) -> Iterator[Span]:
    for event in events:
        if event["ph"] == "X" and event.get("cat") in categories and name in (None, event["name"]):
            place = (event["pid"], event["tid"])
            yield Span(event["name"], float(event["ts"]), float(event["dur"]), place)


def _timeline(
    where: str,
    calls: Sequence[Span],
    spans: Iterable[Span],
    own_times: Iterable[tuple[Span, float]],
    main: tuple[Any, Any] | None = None,
) -> Timeline:
    """The timeline of the spans within calls; its gaps are of the place `main`, or of all places as one."""
    timed = [(span, own) for span, own in own_times if any(call.holds(span) for call in calls)]
    looked_at = [span for span in spans if main in (None, span.place)]
    gaps, busy = [], 0.0
    for call in calls:
        found = list(_gaps(call, [span for span in looked_at if call.holds(span)]))
        gaps += found
        busy += call.duration - sum(gap.duration for gap in found)
    operations = []
    for name in dict.fromkeys(span.name for span, _ in timed):
        own = [time for span, time in timed if span.name == name]
        idle = sum(gap.duration for gap in gaps if gap.before == name)
        operations.append(Operation(name, len(own), sum(own), idle))
    operations.sort(key=lambda operation: operation.total, reverse=True)
    return Timeline(where, operations, busy, sorted(gaps, key=lambda gap: gap.duration, reverse=True))


def _gaps(call: Span, spans: Iterable[Span]) -> Iterator[Gap]:
    """The times of a call in which none of the spans ran."""
    reached = call.start
    for span in sorted(spans, key=lambda span: span.start):
        if span.start > reached:
            yield Gap(span.start - reached, span.name)
        reached = max(reached, span.end)
    if call.end > reached:
        yield Gap(call.end - reached, END)


def _nested(spans: Iterable[Span]) -> Iterator[tuple[Span, float]]:
    """Each span with its own time: its duration less that of the spans right within it, on the same thread."""
    ordered = sorted(spans, key=lambda span: (str(span.place), span.start, -span.duration))
    for _, of_thread in groupby(ordered, key=lambda span: span.place):
        open_spans: list[tuple[Span, list[float]]] = []
        for span in of_thread:
            while open_spans and open_spans[-1][0].end <= span.start:
                ended, within = open_spans.pop()
                yield ended, ended.duration - sum(within)
            if open_spans:
                open_spans[-1][1].append(span.duration)
            open_spans.append((span, []))
        for ended, within in open_spans:
            yield ended, ended.duration - sum(within)


def _levels(
    events: Iterable[Mapping[str, Any]], call: Span, host: Sequence[Span], *, on_device: bool
) -> Sequence[Level]:
    """The memory of one call, above what was allocated when it began; times are from its begin."""
    changes = [
        (float(event["ts"]), int(event["args"]["Total Allocated"]), int(event["args"]["Bytes"]))
        for event in events
        if event.get("name") == _MEMORY and (event["args"]["Device Type"] != 0) == on_device
    ]
    within = sorted(change for change in changes if call.start <= change[0] <= call.end)
    if not within:
        return [Level(0.0, 0, ""), Level(call.duration, 0, "")]
    _, first, added = within[0]
    before = first - added
    inside = [span for span in host if call.holds(span)]
    levels = [Level(time - call.start, total - before, _innermost(inside, time)) for time, total, _ in within]
    return [Level(0.0, 0, ""), *levels, Level(call.duration, levels[-1].allocated, "")]


def _innermost(spans: Iterable[Span], time: float) -> str:
    around = [span for span in spans if span.start <= time <= span.end]
    around = [span for span in around if span.name not in _ALLOCATORS] or around
    return min(around, key=lambda span: span.duration).name if around else ""
