"""Refusing the derivatives and transforms that an implementation with a hand-written backward does not have."""

from collections.abc import Callable, Iterable
from functools import wraps
from typing import Any

import torch
from torch import Tensor
from torch._C._functorch import is_functorch_wrapped_tensor, is_legacy_batchedtensor, peek_interpreter_stack
from torch.autograd import forward_ad

from .compilation import constant_when_traced
from .plain import ordinary

Gradients = tuple[Tensor | None, ...]
Backward = Callable[[Any, Tensor], Gradients]


def refusal(implementation: str) -> RuntimeError:
    """The error of an implementation that is asked for a second derivative."""
    return RuntimeError(
        f"implementation {implementation!r} of local_relation can be differentiated once; "
        "for second derivatives ask for implementation='unfold'"
    )


def transform_refusal(implementation: str) -> RuntimeError:
    """The error of an implementation that torch.func or forward-mode differentiation is to transform."""
    return RuntimeError(
        f"implementation {implementation!r} of local_relation works with torch.autograd in reverse mode, not under "
        "torch.func (vmap, grad, jvp) or forward-mode differentiation; there ask for implementation='unfold'"
    )


def refuse_transforms(implementation: str, tensors: Iterable[Tensor | None]) -> None:
    """Raise where torch.func transforms one of the tensors, or forward-mode differentiation does.

    A compiler cannot trace the question of a tensor; what it compiles is refused where a transform is under way.
    """
    if torch.compiler.is_compiling():
        transformed = _transforming()
    else:
        transformed = any(x is not None and _transformed(x) for x in tensors)
    if transformed:
        raise transform_refusal(implementation)


def _transformed(tensor: Tensor) -> bool:
    if is_functorch_wrapped_tensor(tensor):
        return True
    return forward_ad._current_level >= 0 and forward_ad.unpack_dual(tensor).tangent is not None  # noqa: SLF001


@constant_when_traced
def _transforming() -> bool:
    """Whether a transform is under way; a compiler that traces one is inside it itself, and guards on it."""
    return peek_interpreter_stack() is not None or forward_ad._current_level >= 0  # noqa: SLF001


def differentiable_once(implementation: str) -> Callable[[Backward], Backward]:
    """Make a `torch.autograd.Function.backward` whose gradients raise where they are differentiated again.

    torch's own once_differentiable lets a gradient through as a constant where the output's gradient is one. A batch
    of output gradients under vmap (torch.autograd.grad's is_grads_batched) is refused too.
    """

    def decorate(backward: Backward) -> Backward:
        @wraps(backward)
        def once(ctx: Any, grad_out: Tensor) -> Gradients:
            if not torch.is_grad_enabled() and ordinary(grad_out):
                return backward(ctx, grad_out)
            refuse_transforms(implementation, (grad_out,))
            if is_legacy_batchedtensor(grad_out):
                raise transform_refusal(implementation)
            if not torch.is_grad_enabled():
                return backward(ctx, grad_out)
            with torch.no_grad():
                gradients = backward(ctx, grad_out)
            known = [gradient for gradient in gradients if gradient is not None]
            final = iter(_Final.apply(implementation, len(known), *known, *ctx.saved_tensors, grad_out))  # type: ignore[no-untyped-call]
            return tuple(None if gradient is None else next(final) for gradient in gradients)

        return once

    return decorate


class _Final(torch.autograd.Function):
    """The first `count` tensors, in the graph of all of them, without a derivative."""

    @staticmethod
    def forward(ctx: Any, implementation: str, count: int, *tensors: Tensor | None) -> tuple[Tensor, ...]:
        ctx.implementation = implementation
        return tuple(tensor.view_as(tensor) for tensor in tensors[:count] if tensor is not None)

    @staticmethod
    def backward(ctx: Any, *_: Tensor) -> Gradients:
        raise refusal(ctx.implementation)
