"""The layer in other people's models: spatial convolutions swapped for local relation layers, in place."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Unpack

from torch import nn
from torch.nn.modules.conv import _ConvNd
from torch.nn.parameter import is_lazy
from torch.nn.utils.parametrize import is_parametrized

from .layer import LayerOptions, LocalRelation2d
from .problem import DTYPES, require_int


@dataclass(frozen=True)
class Replacement:
    """What became of a model's convolutions.

    Args:
        replaced: Names of the swapped ones, each with what stood there.
        left: Names of the others, each with the reason.
    """

    replaced: dict[str, str]
    left: dict[str, str]

    def __str__(self) -> str:
        titles = {"replaced": self.replaced, "left": self.left}
        lines = [[f"{title} {len(rows)}:", *(f"  {a}: {b}" for a, b in rows.items())] for title, rows in titles.items()]
        return "\n".join(line for part in lines for line in part)


def replace_spatial_convs(
    model: nn.Module,
    kernel_size: int = 7,
    *,
    m: int = 8,
    where: Callable[[str, nn.Conv2d], bool] | None = None,
    **options: Unpack[LayerOptions],
) -> Replacement:
    """Swap a model's spatial convolutions, C → C channels, for `LocalRelation2d` layers of the same output size.

    A layer takes over its convolution's stride, dilation, device, dtype, training flag, and whether it has a bias; its
    weights are new and learn. One convolution in several places becomes one layer there. Convolutions for which no
    layer can stand are left, as are those inside a `LocalRelation2d`. Either all that is said to be replaced is, or,
    where this raises, nothing. Call it before an optimizer or a wrapper such as DDP takes the parameters.

    Args:
        model: Changed in place.
        kernel_size: k of the layers, odd.
        m: Channels that share a weight, as in `LocalRelation2d`.
        where: Takes a convolution's name and itself; those for which it is false are left.
        options: What else `LocalRelation2d` takes and a convolution leaves open: those of `LayerOptions`.

    Raises:
        TypeError: The model is no module, or itself a convolution; a size is not an int, or an option unknown.
        ValueError: A size or option is out of range, or there is nothing to replace.
    """
    _require_swappable(model, kernel_size, options)
    convs = dict(_convolutions(model))
    left = {name: reason for name, conv in convs.items() if (reason := _reason(name, conv, where)) is not None}
    chosen = {name: conv for name, conv in convs.items() if isinstance(conv, nn.Conv2d) and name not in left}
    if not chosen:
        raise ValueError(f"{type(model).__name__} has nothing to replace: {_grouped(left)}")
    layers = {conv: _layer(conv, kernel_size, m, options) for conv in chosen.values()}
    replaced = {name: repr(conv) for name, conv in chosen.items()}
    try:
        for name, conv in chosen.items():
            model.set_submodule(name, layers[conv])
    except BaseException:
        for name, conv in chosen.items():
            if model.get_submodule(name) is not conv:
                model.set_submodule(name, conv)
        raise
    return Replacement(replaced, left)


def _require_swappable(model: nn.Module, kernel_size: int, options: LayerOptions) -> None:
    """Raise unless the model can be changed in place and the options are those that a convolution leaves open."""
    if not isinstance(model, nn.Module):
        raise TypeError(f"model must be an nn.Module, got {type(model).__name__} {model!r}")
    if isinstance(model, _ConvNd):
        raise TypeError(f"a model that is itself a convolution cannot be swapped in place, got {model!r}")
    require_int("kernel_size", kernel_size, 1)
    if kernel_size % 2 == 0:
        raise ValueError(f"kernel_size must be odd, so that outputs keep their size, got {kernel_size}")
    known = LayerOptions.__annotations__
    for name in options:
        if name not in known:
            raise TypeError(f"options must be among {', '.join(known)}, got {name}")


def _convolutions(model: nn.Module) -> Iterator[tuple[str, _ConvNd]]:
    """Every place of a convolution, one that stands in several under each name; local relation layers stay closed."""
    closed: set[nn.Module] = {module for module in model.modules() if isinstance(module, LocalRelation2d)}
    for name, module in model.named_modules(memo=closed, remove_duplicate=False):
        if isinstance(module, _ConvNd):
            yield name, module


def _reason(name: str, conv: _ConvNd, where: Callable[[str, nn.Conv2d], bool] | None) -> str | None:
    """Why a convolution is left, or None."""
    for holds, reason in _REASONS:
        if holds(conv):
            return reason.format(conv, kind=type(conv).__name__)
    if where is not None and isinstance(conv, nn.Conv2d) and not where(name, conv):
        return "left out by `where`"
    return None


def _hooked(conv: _ConvNd) -> bool:
    hooks = ("_forward_hooks", "_forward_pre_hooks", "_backward_hooks", "_backward_pre_hooks")
    return any(getattr(conv, name) for name in hooks)


def _resizing(conv: _ConvNd) -> bool:
    """Whether the output has another size than that of a layer of the same stride, which pads by d·(k−1)/2."""
    same = tuple(d * (k - 1) / 2 for k, d in zip(conv.kernel_size, conv.dilation, strict=True))
    return conv.padding not in {"same", same}


def _oblong(conv: _ConvNd) -> bool:
    return any(len(set(sizes)) > 1 for sizes in (conv.kernel_size, conv.stride, conv.dilation))


# The first that holds is the reason; those after the first may take the convolution for an nn.Conv2d.
_REASONS: tuple[tuple[Callable[[_ConvNd], bool], str], ...] = (
    (lambda conv: type(conv).forward is not nn.Conv2d.forward, "{kind} is another operation than Conv2d"),
    (lambda conv: is_lazy(conv.weight), "channels unknown before the first input"),
    (lambda conv: set(conv.kernel_size) == {1}, "1×1"),
    (
        lambda conv: conv.in_channels != conv.out_channels,
        "in and out channels differ ({0.in_channels} → {0.out_channels})",
    ),
    (lambda conv: conv.groups > 1, "grouped ({0.groups})"),
    (_oblong, "rows unlike columns (kernel {0.kernel_size}, stride {0.stride}, dilation {0.dilation})"),
    (lambda conv: conv.padding_mode != "zeros", "padding mode {0.padding_mode!r}"),
    (_resizing, "padding {0.padding} is not dilation·(kernel − 1)/2: the output's size would change"),
    (lambda conv: str(conv.weight.dtype).removeprefix("torch.") not in DTYPES, "{0.weight.dtype}"),
    (_hooked, "has hooks, which would be lost"),
    (is_parametrized, "has a parametrization, which would be lost"),
)


def _layer(conv: nn.Conv2d, kernel_size: int, m: int, options: LayerOptions) -> LocalRelation2d:
    """The layer that stands for a convolution."""
    left_open: LayerOptions = {"bias": conv.bias is not None, **options}
    layer = LocalRelation2d(
        conv.in_channels,
        kernel_size,
        m=m,
        stride=conv.stride[0],
        dilation=conv.dilation[0],
        device=conv.weight.device,
        dtype=conv.weight.dtype,
        **left_open,
    )
    return layer.train(conv.training)


def _grouped(left: dict[str, str]) -> str:
    """Reasons, each with the names of the convolutions that it holds for."""
    names: dict[str, list[str]] = {}
    for name, reason in left.items():
        names.setdefault(reason, []).append(name)
    return "; ".join(f"{reason}: {', '.join(held)}" for reason, held in names.items()) or "it has no convolution"
