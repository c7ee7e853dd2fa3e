"""FlexAttention of a problem's sequences; apart, as it loads a part of torch.compile."""

import warnings
from collections.abc import Callable, Iterable
from functools import cache, lru_cache
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch._functorch import config as functorch_config
from torch.nn import functional as F
from torch.nn.attention.flex_attention import BlockMask, flex_attention

from ...compilation import compiled_alone
from ...composability import COMPOSABILITY
from ...derivatives import differentiable_once
from ...problem import Problem
from ...tensors import merge_groups, split_groups
from .sequence import BLOCK, Sequence, key_edge, sequences
from .sizes import HEAD_DIM, value_dim

# float32 stays float32 whatever torch.set_float32_matmul_precision says. The code generator wants the quotes.
_OPTIONS: Any = {"FLOAT32_PRECISION": "'ieee'"}

_NO_PART = (
    "implementation 'flex' of local_relation compiles FlexAttention for one problem at a time, and is part of no "
    "larger graph (fullgraph=True); there ask for another implementation"
)

ScoreMod = Callable[[Tensor, Tensor, Tensor, Tensor, Tensor], Tensor]


class _Plan(NamedTuple):
    """A problem's queries and keys as sequences, which of them meet, and with it what is seen of what."""

    problem: Problem
    queries: Sequence
    keys: Sequence
    mask: BlockMask


class _Operands(NamedTuple):
    """What FlexAttention takes: query, key and value (N, G, length, …), and what the score_mod looks up in float32.

    That is the prior (G, k²) and, where Φ is not the product of query and key, both as terms (N, G, length).
    """

    query: Tensor
    key: Tensor
    value: Tensor
    prior: Tensor | None
    query_terms: Tensor | None
    key_terms: Tensor | None


@torch.compiler.disable(reason=_NO_PART)  # type: ignore[untyped-decorator]
def run(problem: Problem, query: Tensor, key: Tensor, value: Tensor, prior: Tensor | None) -> Tensor:
    """y (N, C, Ho, Wo) for query (N, G, Ho, Wo), key (N, G, H, W), value (N, C, H, W), prior (G, k, k)."""
    # What is kept serves autograd too, whatever mode the first call is in.
    with torch.inference_mode(mode=False):
        plan = _plan(problem, value.device)
    tensors = (query, key, value, prior)
    if torch.is_grad_enabled() and torch.are_deterministic_algorithms_enabled():
        _alert_not_deterministic(problem, *tensors)
    looks = tuple(None if x is None else (x.stride(), x.dtype, x.requires_grad) for x in tensors)
    facts = (problem, value.device, torch.is_grad_enabled(), looks)
    out: Tensor
    if torch.is_grad_enabled() and any(x is not None and x.requires_grad for x in tensors):
        out = _Differentiable.apply(plan, facts, *tensors)  # type: ignore[no-untyped-call]
    else:
        out = _relate(plan, facts, tensors)
    return merge_groups(plan.queries.unflatten(out)[..., : problem.m].movedim(4, 2), problem)


class _Differentiable(torch.autograd.Function):
    """Keeps the compiled code's graph to itself, so that it can be differentiated as often as the caller wants to.

    A compiled backward may write into what it was given, and then refuses retain_graph. Whether it does is a setting of
    the thread that compiles, and of the one that differentiates, which on a GPU is another.
    """

    @staticmethod
    def forward(ctx: Any, plan: _Plan, facts: tuple[Any, ...], *tensors: Tensor | None) -> Tensor:
        wanted = ctx.needs_input_grad[2:]
        leaves = [
            None if x is None else x.detach().requires_grad_(needed) for x, needed in zip(tensors, wanted, strict=True)
        ]
        with torch.enable_grad(), functorch_config.patch(donated_buffer=False):
            out = _relate(plan, facts, leaves)
        ctx.graph = out, [leaf for leaf, needed in zip(leaves, wanted, strict=True) if needed]
        ctx.save_for_backward(*tensors)
        return out.detach()

    @staticmethod
    @differentiable_once("flex")
    def backward(ctx: Any, grad_out: Tensor) -> tuple[Tensor | None, ...]:
        _ = ctx.saved_tensors  # raises where a tensor was written into, or the graph is gone
        out, leaves = ctx.graph
        again = torch._C._autograd._get_current_graph_task_keep_graph()  # noqa: SLF001
        with functorch_config.patch(donated_buffer=False):
            found = iter(torch.autograd.grad(out, leaves, grad_out, retain_graph=again))
        if not again:
            del ctx.graph
        return tuple(next(found) if needed else None for needed in ctx.needs_input_grad)


def _relate(plan: _Plan, facts: tuple[Any, ...], tensors: Iterable[Tensor | None]) -> Tensor:
    """(N, G, length, channels of a group), by code compiled for what the tensors look like."""
    # Two steps, as the CPU's code generator computes wrong numbers where it fuses the first into the second.
    operands: _Operands = _specialised(_prepare, facts)(plan, *tensors)
    out: Tensor = _specialised(_attend, facts)(plan, operands)
    return out


def _alert_not_deterministic(problem: Problem, query: Tensor, key: Tensor, value: Tensor, prior: Tensor | None) -> None:
    """Say as torch does that a gradient is summed in any order: that of whatever a score_mod looks up."""
    looked_up = (prior,) if problem.composability == "multiplication" else (query, key, prior)
    if not any(x is not None and x.requires_grad for x in looked_up):
        return
    message = (
        f"implementation 'flex' of local_relation sums gradients in any order on {value.device.type}, but "
        "torch.use_deterministic_algorithms(True) is set; every other implementation keeps an order"
    )
    if not torch.is_deterministic_algorithms_warn_only_enabled():
        raise RuntimeError(message)
    warnings.warn(message, stacklevel=2)


@cache
def _specialised(function: Callable[..., Any], _: tuple[Any, ...]) -> Callable[..., Any]:
    """A function compiled for what its arguments look like."""
    return compiled_alone(function)


@lru_cache(maxsize=64)
def _plan(problem: Problem, device: torch.device) -> _Plan:
    queries, keys, pairs = sequences(problem)

    def mask_mod(_: Tensor, __: Tensor, query_index: Tensor, key_index: Tensor) -> Tensor:
        down, right = _offset(problem, queries, keys, (query_index, key_index))
        row, column = keys.coordinates(key_index)
        seen = (down >= 0) & (down < problem.span) & (right >= 0) & (right < problem.span)
        seen = seen & (row < keys.height) & (column < keys.width)
        if problem.dilation > 1:
            seen = seen & (down % problem.dilation == 0) & (right % problem.dilation == 0)
        return seen

    mask = BlockMask.from_kv_blocks(
        pairs.sum(1, dtype=torch.int32)[None, None].to(device),
        pairs.int().argsort(dim=1, descending=True, stable=True).int()[None, None].to(device),
        BLOCK_SIZE=BLOCK,
        mask_mod=mask_mod,
        seq_lengths=(queries.length, keys.length),
    )
    return _Plan(problem, queries, keys, mask)


def _prepare(plan: _Plan, query: Tensor, key: Tensor, value: Tensor, prior: Tensor | None) -> _Operands:
    problem, queries, keys, _ = plan
    key, value = (F.pad(x, (key_edge(problem),) * 4) for x in (key, split_groups(value, problem)))
    values = keys.flatten(F.pad(value.movedim(2, 4), (0, value_dim(problem) - problem.m)))
    query, key = queries.flatten(query.unsqueeze(4)), keys.flatten(key.unsqueeze(4))
    # FlexAttention gives what a score_mod looks up no gradient where that is a view of something else.
    table = None if prior is None else prior.float().flatten(1).clone()
    query_terms = key_terms = None
    if problem.composability != "multiplication":
        query_terms, key_terms = (
            x.float().squeeze(3).clone(memory_format=torch.contiguous_format) for x in (query, key)
        )
        query, key = torch.zeros_like(query), torch.zeros_like(key)
    query, key = (F.pad(x, (0, HEAD_DIM - 1)) for x in (query, key))
    return _Operands(query.contiguous(), key.contiguous(), values.contiguous(), table, query_terms, key_terms)


def _attend(plan: _Plan, operands: _Operands) -> Tensor:
    """(N, G, length, channels of a group)."""
    out: Tensor = flex_attention(
        operands.query,
        operands.key,
        operands.value,
        score_mod=_score_mod(plan, operands),
        block_mask=plan.mask,
        scale=1.0,
        kernel_options=_OPTIONS,
    )
    return out


def _score_mod(plan: _Plan, operands: _Operands) -> ScoreMod:
    """What makes a logit of the product of a query and a key, or of 0 where Φ is not the product."""
    problem, queries, keys, _ = plan
    prior, query_terms, key_terms = operands.prior, operands.query_terms, operands.key_terms
    k, phi = problem.kernel_size, COMPOSABILITY[problem.composability].value

    def score_mod(score: Tensor, image: Tensor, group: Tensor, query_index: Tensor, key_index: Tensor) -> Tensor:
        if query_terms is not None and key_terms is not None:
            score = score + phi(query_terms[image, group, query_index], key_terms[image, group, key_index])
        if prior is not None:
            down, right = _offset(problem, queries, keys, (query_index, key_index))
            # Pairs that are masked out have a tap here too, which must exist.
            tap = down * k + right if problem.dilation == 1 else (down * k + right) // problem.dilation
            score = score + prior[group, tap.clamp(0, k * k - 1)]
        return score

    return score_mod


def _offset(problem: Problem, queries: Sequence, keys: Sequence, pair: tuple[Tensor, Tensor]) -> tuple[Tensor, Tensor]:
    """Rows and columns from the first tap of a query's window to a key."""
    row, column = queries.coordinates(pair[0])
    key_row, key_column = keys.coordinates(pair[1])
    first = key_edge(problem) - problem.padding
    return key_row - (row * problem.stride + first), key_column - (column * problem.stride + first)
