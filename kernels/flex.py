"""`flex`: FlexAttention over the pixels as a sequence, the window a block mask, Φ and the prior a score_mod."""

from collections.abc import Callable
from functools import cache, lru_cache
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.nn import functional as F
from torch.nn.attention.flex_attention import BlockMask, flex_attention

from .compilation import compiled_alone, no_compiler
from .composability import COMPOSABILITY
from .problem import Problem
from .sequence import BLOCK, Sequence, key_edge, sequences
from .tensors import merge_groups, split_groups

_HEAD_DIM = 16  # the least that a matrix product on tensor cores takes; a query and a key are one number
_WIDEST_GROUP = 128  # more channels do not fit into shared memory beside the rest
_ELEMENTS = 2**31  # above, offsets in the kernels take more than 32 bits
_GRID = 2**16  # blocks in the grid's dimensions for images and groups

ScoreMod = Callable[[Tensor, Tensor, Tensor, Tensor, Tensor], Tensor]


def unsupported(problem: Problem, device: torch.device, *, backward: bool) -> str | None:
    """Return why the problem cannot run on the device, or None."""
    reason = no_compiler(device)
    if reason is not None:
        return reason
    if device.type == "cpu" and backward:
        return "FlexAttention has no backward on a CPU"
    if device.type == "cpu" and not torch.backends.cpu.get_cpu_capability().startswith("AVX"):
        return f"FlexAttention needs AVX2 on a CPU, this one has {torch.backends.cpu.get_cpu_capability()}"
    if device.type == "cuda" and torch.cuda.get_device_capability(device) < (8, 0):
        return "FlexAttention needs a GPU of compute capability 8.0 or newer"
    if problem.dtype == "float64":
        return "FlexAttention takes float32, float16 and bfloat16, got float64"
    if problem.m > _WIDEST_GROUP:
        return f"FlexAttention's shared memory is too small for m above {_WIDEST_GROUP}, got {problem.m}"
    if max(problem.batch, problem.groups) >= _GRID:
        return f"FlexAttention takes fewer than {_GRID} images and groups, got {problem.batch} and {problem.groups}"
    if _largest(problem) >= _ELEMENTS:
        return f"FlexAttention's sequences would have {_largest(problem)} elements, it takes fewer than 2³¹"
    return None


def extra_bytes(problem: Problem, device: torch.device, *, backward: bool) -> int:  # noqa: ARG001
    """Predicted peak of memory above the inputs: query, key, value and output as padded sequences, and the output."""
    itemsize = 4 if problem.dtype == "float32" else 2
    queries, keys = _bounds(problem)
    images = problem.batch * problem.groups
    sequences_ = images * (queries + keys) * (_HEAD_DIM + _value_dim(problem))
    output = problem.batch * problem.channels * problem.out_height * problem.out_width
    statistics = 2 * images * queries * 4
    if not backward:
        return itemsize * (sequences_ + output) + statistics
    return itemsize * (2 * sequences_ + output) + 2 * statistics


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


@torch.compiler.disable(reason="flex compiles FlexAttention for one problem at a time")
def run(problem: Problem, query: Tensor, key: Tensor, value: Tensor, prior: Tensor | None) -> Tensor:
    """y (N, C, Ho, Wo) for query (N, G, Ho, Wo), key (N, G, H, W), value (N, C, H, W), prior (G, k, k)."""
    plan = _plan(problem, value.device)
    tensors = (query, key, value, prior)
    facts = tuple(None if x is None else (x.stride(), x.dtype, x.requires_grad) for x in tensors)
    facts = (problem, value.device, torch.is_grad_enabled(), facts)
    # Two steps, as the CPU's code generator computes wrong numbers where it fuses the first into the second.
    operands: _Operands = _specialised(_prepare, facts)(plan, *tensors)
    out: Tensor = _specialised(_attend, facts)(plan, operands)
    return merge_groups(plan.queries.unflatten(out)[..., : problem.m].movedim(4, 2), problem)


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
        return (
            seen if problem.dilation == 1 else seen & (down % problem.dilation == 0) & (right % problem.dilation == 0)
        )

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
    values = keys.flatten(F.pad(value.movedim(2, 4), (0, _value_dim(problem) - problem.m)))
    query, key = queries.flatten(query.unsqueeze(4)), keys.flatten(key.unsqueeze(4))
    table = None if prior is None else prior.float().flatten(1)
    query_terms = key_terms = None
    if problem.composability != "multiplication":
        query_terms, key_terms = (x.float().squeeze(3).contiguous() for x in (query, key))
        query, key = torch.zeros_like(query), torch.zeros_like(key)
    query, key = (F.pad(x, (0, _HEAD_DIM - 1)) for x in (query, key))
    return _Operands(query.contiguous(), key.contiguous(), values.contiguous(), table, query_terms, key_terms)


def _attend(plan: _Plan, operands: _Operands) -> Tensor:
    """(N, G, length, channels of a group)."""
    return flex_attention(
        operands.query,
        operands.key,
        operands.value,
        score_mod=_score_mod(plan, operands),
        block_mask=plan.mask,
        scale=1.0,
        kernel_options={"FLOAT32_PRECISION": "'ieee'"},
    )


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


def _value_dim(problem: Problem) -> int:
    """Channels of a group as the kernels take them: a power of two."""
    return max(_HEAD_DIM, 1 << (problem.m - 1).bit_length())


def _bounds(problem: Problem) -> tuple[int, int]:
    """Pixels of the sequences of queries and keys, without working out the better order: nearly as many."""
    edge = 2 * key_edge(problem)
    pixels = (problem.out_height * problem.out_width, (problem.height + edge) * (problem.width + edge))
    queries, keys = (-(-size // BLOCK) * BLOCK for size in pixels)
    return queries, keys


def _largest(problem: Problem) -> int:
    """Elements of the largest tensor that the kernels see."""
    return problem.batch * problem.groups * max(_bounds(problem)) * _value_dim(problem)
