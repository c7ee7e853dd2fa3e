"""The axes of a sweep: their names, how their values are written, and what they mean. A new one is an entry here."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from kernels import CHANNEL_ORDERS, COMPOSABILITIES, DTYPES, MEMORY_FORMATS, PADDING_MODES

from ..errors import UsageError
from ..results.columns import CACHES, DEPTHS, MODES, SCOPES

_PASSES = ("forward", "backward", "forward_backward")
# The modes of each scope; "training" is a whole step: forward, loss, backward, and the weights' update.
MODES_OF = {"operator": _PASSES, "layer": _PASSES, "network": ("forward", "training")}

Value = int | str | bool


def _integer(text: str) -> Value:
    return int(text)


def _padding(text: str) -> Value:
    return text if text == "same" else int(text)


def _boolean(text: str) -> Value:
    return {"true": True, "false": False}[text.lower()]


def _depth(text: str) -> Value:
    if int(text) not in DEPTHS:
        raise ValueError(text)
    return int(text)


def _choice(allowed: tuple[str, ...]) -> Callable[[str], Value]:
    def parse(text: str) -> Value:
        if text not in allowed:
            raise ValueError(text)
        return text

    return parse


@dataclass(frozen=True)
class Axis:
    """One axis: the fields of a case that a value sets, how a value is parsed, and what values there are."""

    fields: tuple[str, ...]
    parse: Callable[[str], Value]
    values: str
    summary: str


def _enumeration(field: str, allowed: tuple[str, ...], summary: str) -> Axis:
    return Axis((field,), _choice(allowed), " | ".join(allowed), summary)


def _size(field: str, summary: str) -> Axis:
    return Axis((field,), _integer, "integer", summary)


AXES: Mapping[str, Axis] = {
    "batch": _size("batch", "images, N"),
    "channels": _size("channels", "channels in and out, C"),
    "height": _size("height", "rows of the input, H"),
    "width": _size("width", "columns of the input, W"),
    "hw": Axis(("height", "width"), _integer, "integer", "rows and columns of the input"),
    "kernel_size": _size("kernel_size", "side of the window, k"),
    "m": _size("m", "channels that share a weight"),
    "stride": _size("stride", "stride, s"),
    "padding": Axis(("padding",), _padding, "same | integer", "zeros around the image"),
    "dilation": _size("dilation", "pixels from tap to tap, d"),
    "composability": _enumeration("composability", COMPOSABILITIES, "Φ"),
    "padding_mode": _enumeration("padding_mode", PADDING_MODES, "what neighbours outside the image do"),
    "channel_order": _enumeration("channel_order", CHANNEL_ORDERS, "which channels form a group"),
    "prior": Axis(("prior",), _boolean, "true | false", "whether there is a geometric prior"),
    "dtype": _enumeration("dtype", DTYPES, "dtype of query, key and value"),
    "memory_format": _enumeration("memory_format", MEMORY_FORMATS, "memory format of query, key and value"),
    "scope": _enumeration("scope", SCOPES, "the operator alone, the layer with its 1×1 convolutions, or LR-Net"),
    "mode": _enumeration("mode", MODES, "which passes are timed; of a network inference, or a step of training"),
    "cache": _enumeration("cache", CACHES, "L2 before each sample: flushed (cuda only), or as the last one left it"),
    "depth": Axis(("depth",), _depth, " | ".join(map(str, DEPTHS)), "depth of the network, in scope network alone"),
    "torch_compile": Axis(
        ("torch_compile",), _boolean, "true | false", "torch.compile of the whole network, in scope network alone"
    ),
}
ALIASES = {
    "N": "batch",
    "C": "channels",
    "H": "height",
    "W": "width",
    "k": "kernel_size",
    "s": "stride",
    "d": "dilation",
}


def parse_axis(text: str) -> tuple[str, tuple[Value, ...]]:
    """Read "axis=value,value" as the axis's full name and its values.

    Raises:
        UsageError: The text has another form, the axis does not exist, or a value is not one of its values.
    """
    name, separator, values = text.partition("=")
    if not separator or not values:
        raise UsageError(f"an axis is given as NAME=VALUE,VALUE, got {text!r}")
    full = ALIASES.get(name, name)
    if full not in AXES:
        raise UsageError(f"there is no axis {name!r}: axes are {', '.join(AXES)} (short: {', '.join(ALIASES)})")
    axis = AXES[full]
    parsed = []
    for value in values.split(","):
        try:
            parsed.append(axis.parse(value))
        except (ValueError, KeyError):
            raise UsageError(f"axis {full} takes {axis.values}, got {value!r}") from None
    return full, tuple(parsed)
