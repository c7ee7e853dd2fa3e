"""An implementation as operators of PyTorch (torch.library): one node of other people's graphs, whatever their sizes.

A compiler that looked inside would fuse chunks into one and compile windows anew for sizes that it leaves open.
"""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor

from .derivatives import refusal, transform_refusal
from .problem import Problem
from .tensors import accumulation_dtype

_INTEGERS = ("kernel_size", "m", "stride", "padding", "dilation")
_STRINGS = ("composability", "padding_mode", "channel_order")

Operands = tuple[Tensor, Tensor, Tensor, Tensor | None]
Gradients = tuple[Tensor, Tensor, Tensor, Tensor | None]
Forward = Callable[[Problem, Operands, int | None], tuple[Tensor, Tensor]]
Backward = Callable[[Problem, Operands, Tensor, Tensor, int | None], Gradients]
Apply = Callable[..., Tensor]


class _Arguments(NamedTuple):
    """What the operators take beside tensors: a problem's options, and the implementation's own."""

    integers: Sequence[int]
    strings: str
    option: int | None

    def problem(self, value: Tensor, prior: Tensor | None) -> Problem:
        """The one that the tensors pose."""
        batch, channels, height, width = value.shape
        return Problem(
            batch=batch,
            channels=channels,
            height=height,
            width=width,
            prior=prior is not None,
            dtype=str(value.dtype).removeprefix("torch."),
            **dict(zip(_INTEGERS, self.integers, strict=True)),  # type: ignore[arg-type]
            **dict(zip(_STRINGS, self.strings.split(","), strict=True)),  # type: ignore[arg-type]
        )


def opaque(name: str, forward: Forward, backward: Backward, *, saved: int) -> Apply:
    """Make operators `local_relation::{name}` and `{name}_backward`, and return what applies them.

    Args:
        name: The implementation's.
        forward: Takes (problem, operands, option) and gives the output (N, C, Ho, Wo) and what backward needs of it,
            (saved, N, G, Ho, Wo) in the dtype of accumulation.
        backward: Takes (problem, operands, what is saved, the output's gradient, option) and gives the four gradients.
        saved: Numbers that are saved for each softmax.
    """

    def relate(
        query: Tensor,
        key: Tensor,
        value: Tensor,
        prior: Tensor | None,
        integers: Sequence[int],
        strings: str,
        option: int | None,
    ) -> tuple[Tensor, Tensor]:
        problem = _Arguments(integers, strings, option).problem(value, prior)
        out, kept = forward(problem, (query, key, value, prior), option)
        return out.contiguous(), kept

    def differentiate(
        query: Tensor,
        key: Tensor,
        value: Tensor,
        prior: Tensor | None,
        kept: Tensor,
        grad_out: Tensor,
        integers: Sequence[int],
        strings: str,
        option: int | None,
    ) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        problem = _Arguments(integers, strings, option).problem(value, prior)
        *grads, grad_prior = backward(problem, (query, key, value, prior), kept, grad_out, option)
        of_prior = query.new_empty(0) if grad_prior is None else grad_prior.contiguous()
        return grads[0].contiguous(), grads[1].contiguous(), grads[2].contiguous(), of_prior

    forwards = torch.library.custom_op(f"local_relation::{name}", relate, mutates_args=())
    backwards = torch.library.custom_op(f"local_relation::{name}_backward", differentiate, mutates_args=())

    def fake_forward(query: Tensor, _: Tensor, value: Tensor, *__: object) -> tuple[Tensor, Tensor]:
        out = value.new_empty(value.shape[0], value.shape[1], *query.shape[2:])
        return out, query.new_empty(saved, *query.shape, dtype=accumulation_dtype(value.dtype))

    def fake_backward(
        query: Tensor, key: Tensor, value: Tensor, prior: Tensor | None, *_: object
    ) -> tuple[Tensor, ...]:
        of_prior = query.new_empty(0) if prior is None else prior.new_empty(prior.shape)
        return *(x.new_empty(x.shape) for x in (query, key, value)), of_prior

    def gradients(ctx: Any, grad_out: Tensor, _: Tensor | None) -> tuple[Tensor | None, ...]:
        *operands, prior, kept = ctx.saved_tensors
        *grads, grad_prior = backwards(*operands, prior, kept, grad_out, *ctx.arguments)
        return *grads, None if prior is None else grad_prior, None, None, None

    def refuse(*_: Any) -> Any:
        raise refusal(name)

    def refuse_vmap(*_: Any) -> Any:
        raise transform_refusal(name)

    forwards.register_fake(fake_forward)
    backwards.register_fake(fake_backward)
    forwards.register_autograd(gradients, setup_context=_save)
    backwards.register_autograd(refuse)
    forwards.register_vmap(refuse_vmap)
    backwards.register_vmap(refuse_vmap)

    def apply(problem: Problem, operands: Operands, option: int | None) -> Tensor:
        integers = [getattr(problem, field) for field in _INTEGERS]
        strings = ",".join(getattr(problem, field) for field in _STRINGS)
        out: Tensor = forwards(*operands, integers, strings, option)[0]
        return out

    return apply


def _save(ctx: Any, inputs: tuple[Any, ...], output: tuple[Tensor, Tensor]) -> None:
    *tensors, integers, strings, option = inputs
    ctx.arguments = integers, strings, option
    ctx.save_for_backward(*tensors, output[1])
    ctx.mark_non_differentiable(output[1])
