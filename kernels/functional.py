"""The local relation operator: one entry point for every implementation."""

from collections.abc import Callable
from typing import Any, NamedTuple

import torch
from torch import Tensor

from .autocast import autocasting, autocasting_anywhere, without_autocast
from .derivatives import refuse_transforms
from .operands import problem_of
from .plain import keep, kept, ordinary
from .problem import Problem, require_choice, resolve_padding
from .registry import IMPLEMENTATIONS, Implementation, resolve, unsupported
from .tensors import MEMORY_FORMATS, memory_format_of

# Here and not while a call is traced, as a compiler cannot follow an import.
for _entry in IMPLEMENTATIONS.values():
    _entry.load()


class _Call(NamedTuple):
    """What was found out of a call: its problem, who runs it, and what there was to choose from.

    `bound` runs it if it is an ordinary one, where the implementation offers that.
    """

    problem: Problem
    backward: bool
    implementation: str
    table: tuple[Implementation, ...]
    bound: Callable[..., Tensor] | None


# True equals 1, and 3.0 equals 3, so options are kept by their types too; in the order of local_relation's.
_OPTION_TYPES = frozenset({(int, int, int, padding, int, str, str, str, str) for padding in (int, str)})
_CALLS: dict[tuple[Any, ...], _Call] = kept()


def local_relation(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    prior: Tensor | None = None,
    *,
    kernel_size: int = 7,
    m: int = 8,
    stride: int = 1,
    padding: int | str = "same",
    dilation: int = 1,
    composability: str = "multiplication",
    padding_mode: str = "mask",
    channel_order: str = "consecutive",
    implementation: str = "auto",
    memory_budget: int | None = None,
) -> Tensor:
    """y[n,c,i,j] = Σ_{u,v} softmax_{u,v}(Φ(q[n,g,i,j], k[n,g,p]) + prior[g,u,v]) · x[n,c,p] (paper, Eq. 2).

    Tap (u, v) of output pixel (i, j) is p = (i·s − pad + u·d, j·s − pad + v·d). Logits, softmax and sums are
    float32, float64 for float64. Differentiable once in query, key, value and prior; bitwise repeatable. Under autocast
    it is computed and returned in autocast's dtype, as a convolution is; a float32 prior stays float32.

    Args:
        query: (N, G, Ho, Wo), a scalar per output pixel and group, G = ceil(C / m).
        key: (N, G, H, W), a scalar per input pixel and group.
        value: (N, C, H, W), in any memory format, which the output takes over.
        prior: (G, k, k), the geometric prior in the value's dtype or float32, or None.
        kernel_size: k, the window's side in taps.
        m: Channels that share a weight; the last group has fewer where m does not divide C.
        stride: s, input pixels from one window's centre to the next.
        padding: Pixels around the image, or "same" for d·(k−1)/2 (odd k).
        dilation: d, pixels from one tap to the next.
        composability: Φ: "multiplication" q·k, "squared_difference" −(q−k)², "absolute_difference" −|q−k|.
        padding_mode: "mask" gives neighbours outside the image no weight; "zeros" keeps them in the softmax with
            key 0 and value 0.
        channel_order: Group of channel c: "consecutive" c // m, "strided" c mod G.
        implementation: A name in `IMPLEMENTATIONS`, or "auto" for the fastest that supports the case.
        memory_budget: Bytes that the windows of a chunk may take; for "chunked" alone.

    Returns:
        (N, C, Ho, Wo).

    Raises:
        TypeError: An argument is not of the type, dtype or device that the others call for.
        ValueError: A value, shape or option is out of range, or the implementation does not take the case.
        RuntimeError: Another implementation than "unfold" is to be transformed by torch.func (vmap, grad, jvp) or
            differentiated forwards.
    """
    options = (kernel_size, m, stride, padding, dilation, composability, padding_mode, channel_order, implementation)
    operands = (query, key, value, prior)
    autocast = autocasting_anywhere()
    if autocast:
        operands = _autocast(*operands)
    facts = _facts(operands, options) if memory_budget is None else None
    call = None if facts is None else _CALLS.get(facts)
    if call is None or call.table != tuple(IMPLEMENTATIONS.values()):
        call = _find_out(operands, options, memory_budget)
        if facts is not None:
            keep(_CALLS, facts, call._replace(bound=_bound(call, value.device)))
    if autocast:
        with without_autocast(value.device):
            return _run(call, operands, memory_budget)
    return _run(call, operands, memory_budget)


def _run(call: _Call, operands: tuple[Any, ...], memory_budget: int | None) -> Tensor:
    """The output, for operands in the dtypes that it is computed in."""
    if call.bound is not None:
        return call.bound(*operands)
    if call.problem.batch == 0:
        return _empty(call.problem, *operands)
    extra = {} if memory_budget is None else {"memory_budget": memory_budget}
    out = IMPLEMENTATIONS[call.implementation].module.run(call.problem, *operands, **extra)
    return out.contiguous(memory_format=MEMORY_FORMATS[call.problem.memory_format])


def _facts(operands: tuple[Any, ...], options: tuple[Any, ...]) -> tuple[Any, ...] | None:
    """What makes calls alike, or None where nothing may be concluded from one to another."""
    query, key, value, prior = operands
    if query is None or key is None or value is None or not ordinary(query, key, value, prior):
        return None
    if tuple(map(type, options)) not in _OPTION_TYPES:
        return None
    backward = torch.is_grad_enabled() and (
        query.requires_grad or key.requires_grad or value.requires_grad or (prior is not None and prior.requires_grad)
    )
    return (
        query.shape,
        query.dtype,
        query.device,
        key.shape,
        key.dtype,
        key.device,
        value.shape,
        value.dtype,
        value.device,
        value.dim() == 4 and memory_format_of(value),
        None if prior is None else (prior.shape, prior.dtype, prior.device),
        backward,
        options,
    )


def _find_out(operands: tuple[Any, ...], options: tuple[Any, ...], memory_budget: int | None) -> _Call:
    """Check a call's arguments, and choose who runs it."""
    kernel_size, m, stride, padding, dilation, composability, padding_mode, channel_order, implementation = options
    problem = problem_of(
        *operands,
        kernel_size=kernel_size,
        m=m,
        stride=stride,
        padding=resolve_padding(padding, kernel_size, dilation),
        dilation=dilation,
        composability=composability,
        padding_mode=padding_mode,
        channel_order=channel_order,
    )
    backward = torch.is_grad_enabled() and any(tensor is not None and tensor.requires_grad for tensor in operands)
    name = _chosen(implementation, problem, operands[2].device, backward=backward)
    if memory_budget is not None:
        _require_taker("memory_budget", implementation)
    _require_plain(name, operands)
    return _Call(problem, backward, name, tuple(IMPLEMENTATIONS.values()), None)


def _bound(call: _Call, device: torch.device) -> Callable[..., Tensor] | None:
    """What runs ordinary calls that are like this one, where the implementation has something of the kind."""
    bind = getattr(IMPLEMENTATIONS[call.implementation].module, "bind", None)
    return None if bind is None or call.problem.batch == 0 else bind(call.problem, device, backward=call.backward)


def _autocast(query: Tensor, key: Tensor, value: Tensor, prior: Tensor | None) -> tuple[Any, ...]:
    """The operands as autocast wants them where it is on: all but float64 in its dtype, and a float32 prior kept."""
    operands = (query, key, value, prior)
    if not isinstance(value, Tensor) or not autocasting(value.device):
        return operands
    dtype = torch.get_autocast_dtype(value.device.type)
    kept = ({torch.float64}, {torch.float64}, {torch.float64}, {torch.float64, torch.float32})
    return tuple(
        x.to(dtype) if isinstance(x, Tensor) and x.is_floating_point() and x.dtype not in dtypes else x
        for x, dtypes in zip(operands, kept, strict=True)
    )


def _chosen(implementation: str, problem: Problem, device: torch.device, *, backward: bool) -> str:
    """Resolve "auto"; refuse a named implementation that does not take the case."""
    require_choice("implementation", implementation, ("auto", *IMPLEMENTATIONS))
    if implementation == "auto":
        return resolve(problem, device, backward=backward)
    reason = unsupported(implementation, problem, device, backward=backward)
    if reason is not None:
        raise ValueError(f"implementation {implementation!r} does not take this case: {reason}")
    return implementation


def _require_plain(name: str, operands: tuple[Tensor | None, ...]) -> None:
    """Raise where a transform of torch.func or forward-mode differentiation asks for what an implementation lacks."""
    if not IMPLEMENTATIONS[name].transformable:
        refuse_transforms(name, operands)


def _require_taker(option: str, implementation: str) -> None:
    takers = [name for name, entry in IMPLEMENTATIONS.items() if option in entry.options]
    if implementation not in takers:
        raise ValueError(f"{option} is taken by implementation {' or '.join(takers)}, got {implementation!r}")


def _empty(problem: Problem, query: Tensor, key: Tensor, value: Tensor, prior: Tensor | None) -> Tensor:
    """The output of a batch of no images, still a function of its inputs, whose gradients are zero."""
    out = value.new_empty(0, problem.channels, problem.out_height, problem.out_width)
    for tensor in (query, key, value, prior):
        if tensor is not None:
            out = out + tensor.flatten()[:0].sum().to(out.dtype)
    return out
