"""The columns of a row, as one table: the CSV's order, the JSON Schemas, the reports' types and docs/columns.md follow.

A new column is an entry here; a metric that follows from a case and its latency is one in `bench.cost.metrics`.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ..cost.metrics import METRICS

SCHEMA_VERSION = 5
# Runs since this version are read, and their newer columns are empty.
OLDEST_VERSION = 4
KINDS = ("implementation", "yardstick")
SCOPES = ("operator", "layer", "network")
MODES = ("forward", "backward", "forward_backward", "training")
CACHES = ("cold", "hot")
DEPTHS = (26, 50, 101)
# A case whose rounds differ has several.
TIMERS = ("wall", "events", "graph", "host", "events+graph", "events+host", "graph+host", "events+graph+host")
STATUSES = ("ok", "unsupported", "out_of_memory", "incorrect", "timeout", "crashed", "error")

STOPS = ("interval", "seconds", "samples", "rounds", "deadline")
# How the reason of a case begins for which the run had no time: it is measured when the run is gone on with.
NOT_RUN = "not run"

Row = dict[str, Any]


@dataclass(frozen=True)
class Type:
    """What a column holds, in the words of JSON Schema.

    Args:
        json: string, integer, number or boolean.
        least: The least number.
        choices: The only values, where these are known.
        pattern: What a text looks like.
        optional: Whether it may be empty; a number that was not measured is empty, never 0.
    """

    json: str
    least: int | None = None
    choices: tuple[str | int, ...] = ()
    pattern: str | None = None
    optional: bool = False


@dataclass(frozen=True)
class Column:
    """A column: its name, what it holds, the schema version that brought it, and its meaning and unit."""

    name: str
    type: Type
    since: int
    summary: str


def _choice(*choices: str | int, optional: bool = False) -> Type:
    return Type("string", choices=choices, optional=optional)


_TEXT, _WORDS = Type("string"), Type("string", optional=True)
_SIZE, _COUNT = Type("integer", least=1), Type("integer", least=0, optional=True)
_NUMBER, _FLAG = Type("number", least=0, optional=True), Type("boolean")

# What was asked: the case, the Problem's fields by name among it.
ASKED: tuple[Column, ...] = (
    Column("implementation", _TEXT, 1, "the implementation or the yardstick that is measured"),
    Column("kind", _choice(*KINDS), 2, "whether it computes the layer or is another function beside it"),
    Column("mode", _choice(*MODES), 1, "the passes that are timed; training is a whole step of a network"),
    Column("scope", _choice(*SCOPES), 1, "the operator alone, the layer with its 1×1 convolutions, or a network"),
    Column("batch", _SIZE, 1, "images, N"),
    Column("channels", _SIZE, 1, "channels in and out, C; of a network the image's"),
    Column("height", _SIZE, 1, "rows of the input, H"),
    Column("width", _SIZE, 1, "columns of the input, W"),
    Column("kernel_size", _SIZE, 1, "side of the window, k"),
    Column("m", _SIZE, 1, "channels that share a weight"),
    Column("stride", _SIZE, 1, "stride, s"),
    Column("padding", Type("integer", least=0), 1, "pixels around the image"),
    Column("dilation", _SIZE, 1, "pixels from tap to tap, d"),
    Column("composability", _choice("multiplication", "squared_difference", "absolute_difference"), 1, "Φ"),
    Column("padding_mode", _choice("mask", "zeros"), 1, "what neighbours outside the image do"),
    Column("channel_order", _choice("consecutive", "strided"), 1, "which channels form a group"),
    Column("prior", _FLAG, 1, "whether there is a geometric prior"),
    Column("dtype", _choice("float32", "float16", "bfloat16", "float64"), 1, "dtype of query, key and value"),
    Column("memory_format", _choice("contiguous", "channels_last"), 1, "memory format of query, key and value"),
    Column("cache", _choice(*CACHES), 2, "L2 before each sample: flushed, or as the last one left it"),
    Column("depth", _choice("", *DEPTHS), 4, "depth of a network, empty elsewhere"),
    Column("torch_compile", _FLAG, 4, "whether torch.compile has the whole network"),
)
# What came of it.
_OUTCOMES: tuple[Column, ...] = (
    Column("status", _choice(*STATUSES), 1, "what became of the case; only ok has a latency"),
    Column("reason", _WORDS, 1, "why, unless it is ok"),
    Column("device", _TEXT, 1, "the model that it was measured on"),
    Column("settings", _WORDS, 2, "launch settings that the implementation chose"),
    Column("binary", _WORDS, 5, "hash of the kernels' binaries that ran, for those that are ours"),
    Column(
        "auto",
        Type("boolean", optional=True),
        5,
        "whether `auto` takes the implementation here, in all layers of a network",
    ),
    Column("error", _NUMBER, 1, "largest relative error against float64, of the output and of all gradients"),
    Column("latency_ms", _NUMBER, 1, "median of the samples"),
    Column("latency_p20_ms", _NUMBER, 1, "first fifth of the samples"),
    Column("latency_p80_ms", _NUMBER, 1, "last fifth of the samples"),
    Column("latency_low_ms", _NUMBER, 3, "lower end of the median's 95 % interval"),
    Column("latency_high_ms", _NUMBER, 3, "upper end of the median's 95 % interval"),
    Column("samples", Type("integer", least=1, optional=True), 1, "samples over all rounds, none left out"),
    Column("outliers", _COUNT, 3, "samples beyond 1.5 interquartile ranges; marked, not left out"),
    Column("stop", _choice(*STOPS, optional=True), 3, "what ended the samples; deadline: fewer rounds than asked"),
    Column("timer", _choice(*TIMERS, optional=True), 3, "where samples are from; host: launch gaps are in them"),
    Column("host_ms", _NUMBER, 3, "the host's median time to queue a call on a GPU"),
    Column("warmup_s", _NUMBER, 3, "seconds of warm-up over all rounds"),
    Column("compile_s", _NUMBER, 3, "seconds of the first call beyond tuning and a call like every other"),
    Column("tune_s", _NUMBER, 3, "seconds of the first call that torch's autotuners took"),
    Column("inputs_mib", _NUMBER, 3, "MiB of the tensors that are there before the call"),
    Column("peak_mib", _NUMBER, 1, "most MiB above what was resident before the call, its results included"),
    Column("predicted_mib", _NUMBER, 1, "the same as the implementation predicts it"),
    Column("reserved_mib", _NUMBER, 3, "most MiB that torch's allocator held, on a GPU"),
    Column("driver_mib", _NUMBER, 3, "MiB of the process by the driver's count, its context included"),
    Column("tainted", Type("boolean", optional=True), 3, "whether a sample was taken while the GPU was throttled"),
    Column("sm_mhz", _COUNT, 3, "lowest clock of the multiprocessors"),
    Column("memory_mhz", _COUNT, 3, "lowest clock of the memory"),
    Column("temperature_c", Type("integer", optional=True), 3, "highest temperature in °C"),
    Column("power_w", _NUMBER, 3, "highest power in W"),
    Column(
        "throttle",
        Type("string", pattern="^(none|[a-z_]+(\\+[a-z_]+)*)$", optional=True),
        3,
        "why clocks were held back",
    ),
    Column("energy_mj", _NUMBER, 3, "mJ of the whole GPU for a call, from its own counter"),
    Column("fingerprint", Type("string", pattern="^[0-9a-f]{12}$"), 3, "hash of code, machine and software"),
    Column("host", _TEXT, 4, "the machine"),
    Column("gpu_uuid", _WORDS, 4, "the GPU"),
    Column(
        "gpus_busy", Type("integer", least=1, optional=True), 4, "most GPUs of the machine that were busy meanwhile"
    ),
    *(
        Column(name, _WORDS if name == "bound" else _NUMBER, metric.since, metric.summary)
        for name, metric in METRICS.items()
    ),
    Column(
        "largest_batch", _COUNT, 4, "largest batch that fits, at most a sixteenth too small; 0 where not even 1 does"
    ),
    Column(
        "score",
        Type("number", optional=True),
        5,
        "1/(1 + (t − bound)/(unfold − bound)): 1 at the bound, 1/2 at unfold; filled in when a run is read",
    ),
    Column("aggregation_ms", _NUMBER, 4, "of a layer: median latency of its operator alone"),
    Column("projections_ms", _NUMBER, 4, "of a layer: median latency of its 1×1 convolutions alone"),
)
TABLE: Mapping[str, Column] = {column.name: column for column in (*ASKED, *_OUTCOMES)}
PARAMETERS = tuple(column.name for column in ASKED)
COLUMNS = tuple(TABLE)


def assemble(parts: Mapping[str, Mapping[str, Any]]) -> Row:
    """One row out of parts with names; a part that knows nothing of a column leaves it to the others.

    Raises:
        ValueError: Two parts tell the same column, or one tells what is no column.
    """
    row: Row = {}
    for name, columns in parts.items():
        unknown, twice = columns.keys() - TABLE.keys(), columns.keys() & row.keys()
        if unknown or twice:
            found = f"no column {min(unknown)!r}" if unknown else f"the column {min(twice)!r} again"
            raise ValueError(f"a row's parts tell columns of bench.results.columns, each once: {name} tells {found}")
        row |= columns
    return row
