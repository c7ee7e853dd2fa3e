"""One local relation problem: every size and option that an implementation may depend on."""

from dataclasses import dataclass
from numbers import Integral

COMPOSABILITIES = ("multiplication", "squared_difference", "absolute_difference")
PADDING_MODES = ("mask", "zeros")
CHANNEL_ORDERS = ("consecutive", "strided")
DTYPES = ("float32", "float16", "bfloat16", "float64")
MEMORY_FORMATS = ("contiguous", "channels_last")

_CHOICES = {
    "composability": COMPOSABILITIES,
    "padding_mode": PADDING_MODES,
    "channel_order": CHANNEL_ORDERS,
    "dtype": DTYPES,
    "memory_format": MEMORY_FORMATS,
}
# torch.jit.trace alone makes tensors of sizes.
_TRACED = "a tensor; torch.jit.trace, and an export to ONNX that is built on it, cannot trace this: use torch.export"
_LEAST = {
    "batch": 0,
    "channels": 1,
    "height": 1,
    "width": 1,
    "kernel_size": 1,
    "m": 1,
    "stride": 1,
    "padding": 0,
    "dilation": 1,
}


@dataclass(frozen=True, kw_only=True)
class Problem:
    """Sizes and options of y = Σ softmax(Φ(q, k) + prior)·x over k×k windows (paper, Eq. 2).

    `height` and `width` are the input's; `padding` is in pixels on every side; `memory_format` is the value's.

    Raises:
        TypeError: A size is not an int, or `prior` not a bool.
        ValueError: A size or option is out of range, or no window fits the padded image.
    """

    batch: int
    channels: int
    height: int
    width: int
    kernel_size: int
    m: int
    stride: int = 1
    padding: int = 0
    dilation: int = 1
    composability: str = "multiplication"
    padding_mode: str = "mask"
    channel_order: str = "consecutive"
    prior: bool = True
    dtype: str = "float32"
    memory_format: str = "contiguous"

    def __post_init__(self) -> None:
        for name, least in _LEAST.items():
            given = getattr(self, name)
            size = require_int(name, given, least)
            if size is not given:
                object.__setattr__(self, name, size)
        for name, allowed in _CHOICES.items():
            require_choice(name, getattr(self, name), allowed)
        if not isinstance(self.prior, bool):
            raise TypeError(f"prior must be a bool, got {self.prior!r}")
        centred = self.dilation * ((self.kernel_size - 1) // 2)
        if self.padding > centred:
            raise ValueError(
                f"padding must be at most dilation·((kernel_size − 1)//2) = {centred}, "
                f"so that every window's centre is a pixel, got {self.padding}"
            )
        if min(self.out_height, self.out_width) < 1:
            raise ValueError(
                f"a window of {self.span}×{self.span} pixels does not fit an image of {self.height}×{self.width} "
                f"with padding {self.padding}: the output would be {self.out_height}×{self.out_width}"
            )

    @property
    def span(self) -> int:
        """Pixels from a window's first row to its last, both counted: d·(k−1) + 1."""
        return self.dilation * (self.kernel_size - 1) + 1

    @property
    def groups(self) -> int:
        """G = ceil(C / m): the maps of weights, each shared by at most m channels."""
        return -(-self.channels // self.m)

    @property
    def out_height(self) -> int:
        """Ho = (H + 2·pad − d·(k−1) − 1)//s + 1."""
        return (self.height + 2 * self.padding - self.span) // self.stride + 1

    @property
    def out_width(self) -> int:
        """Wo = (W + 2·pad − d·(k−1) − 1)//s + 1."""
        return (self.width + 2 * self.padding - self.span) // self.stride + 1

    @property
    def centres(self) -> tuple[slice, slice]:
        """Rows and columns of the image where windows have their centre: d·((k−1)//2) − pad + s·i."""
        first = self.dilation * ((self.kernel_size - 1) // 2) - self.padding
        rows = slice(first, first + (self.out_height - 1) * self.stride + 1, self.stride)
        return rows, slice(first, first + (self.out_width - 1) * self.stride + 1, self.stride)


def resolve_padding(padding: int | str, kernel_size: int, dilation: int) -> int:
    """Pixels of padding on each side: `padding` itself, or d·(k−1)/2 for "same".

    Raises:
        TypeError: `kernel_size` or `dilation` is not an int.
        ValueError: "same" is asked for an even `kernel_size`, or `padding` is another string.
    """
    kernel_size, dilation = require_int("kernel_size", kernel_size, 1), require_int("dilation", dilation, 1)
    if not isinstance(padding, str):
        return padding
    require_choice("padding", padding, ("same",))
    if kernel_size % 2 == 0:
        raise ValueError(f'padding="same" needs an odd kernel_size, got {kernel_size}: give padding as an int')
    return dilation * (kernel_size - 1) // 2


def require_int(name: str, value: object, least: int) -> int:
    """`value` as an int, where it is one, or numpy's, of at least `least`; else raise."""
    size = value if isinstance(value, int) and not isinstance(value, bool) else _no_plain_int(name, value)
    if size < least:
        raise ValueError(f"{name} must be at least {least}, got {size}")
    return size


def _no_plain_int(name: str, value: object) -> int:
    """What may stand for an int: numpy's, or the symbol of torch.export for a size that it leaves open; else raise."""
    from torch import SymInt, Tensor  # noqa: PLC0415  whoever has such a value has loaded torch, others need not

    if isinstance(value, SymInt):
        return value  # type: ignore[return-value]
    if isinstance(value, bool) or not isinstance(value, Integral):
        raise TypeError(f"{name} must be an int, got {_TRACED if isinstance(value, Tensor) else repr(value)}")
    return int(value)


def require_choice(name: str, value: object, allowed: tuple[str, ...]) -> None:
    """Raise unless `value` is one of the strings in `allowed`."""
    if value not in allowed:
        raise ValueError(f"{name} must be one of {', '.join(allowed)}, got {value!r}")
