"""Triton kernels that do one thing as fast as a GPU can: nothing, multiply–adds, exponentials."""

import triton
import triton.language as tl


@triton.jit
def empty_kernel(unused_ptr):
    """Do nothing. Grid: (1,)."""


@triton.jit
def multiply_add_kernel(out_ptr, scale, shift, rounds, BLOCK: tl.constexpr, UNROLL: tl.constexpr):
    """x ← x·scale + shift, rounds·UNROLL times from x = its index. Grid: (programs,), BLOCK numbers each."""
    offsets = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    x = offsets.to(tl.float32)
    for _ in range(rounds):
        for _ in tl.static_range(UNROLL):
            x = x * scale + shift
    tl.store(out_ptr + offsets, x)


@triton.jit
def exponential_kernel(out_ptr, rounds, BLOCK: tl.constexpr, UNROLL: tl.constexpr):
    """x ← 2⁻ˣ, rounds·UNROLL times from x = its index. Grid: (programs,), BLOCK numbers each."""
    offsets = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    x = offsets.to(tl.float32)
    for _ in range(rounds):
        for _ in tl.static_range(UNROLL):
            x = tl.exp2(-x)
    tl.store(out_ptr + offsets, x)
