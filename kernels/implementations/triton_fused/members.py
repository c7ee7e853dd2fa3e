"""A lane's channels of one pixel: loads and stores of 16 bytes where alignment allows, products, sums.

They are held as a tuple of `vectors` tensors [LANES, VECTOR]. In bfloat16 a load takes 32-bit words, and the even and
the odd channels become two vectors: either half of a word is a float32 after one shift or mask.
"""

import triton
import triton.language as tl
from triton.language.target_info import cuda_capability_geq

from .tiles import accumulator


@triton.jit
def member_offset(part, S: tl.constexpr):
    """Channel of the first member of each lane; [LANES]."""
    return part // S.slices * S.group_step + part % S.slices * (S.pieces * S.piece) * S.member_step


@triton.jit
def member_mask(part, p: tl.constexpr, ok, S: tl.constexpr):
    """Where piece `p` of a lane has channels; [LANES]."""
    if S.ragged:
        member = part % S.slices * (S.pieces * S.piece) + p * S.piece
        channel = part // S.slices * S.group_step + member * S.member_step
        ok = ok & (member < S.m) & (channel < S.channels)
    return ok


@triton.jit
def load_members(ptrs, pixel: tl.constexpr, part, ok, S: tl.constexpr):
    """A lane's channels as vectors in the dtype of accumulation, 0 if not `ok`.

    `ptrs` [LANES] has the place of the first one in a pixel, from which `pixel` is so far away. What is at a constant
    distance is found from the same pointers: the fewer instructions the compiler sees, the sooner it is done.
    """
    VECTOR: tl.constexpr = S.vector
    PIECES: tl.constexpr = S.pieces
    numbers = tl.arange(0, VECTOR)[None, :]
    vectors = ()
    for p in tl.static_range(PIECES):
        mask = member_mask(part, p, ok, S)[:, None]
        if S.halves:
            words = ptrs.to(tl.pointer_type(tl.uint32), bitcast=True)[:, None] + numbers
            pair = tl.load(words + (pixel * S.channels + p * S.piece) // 2, mask=mask, other=0)
            vectors = vectors + ((pair << 16).to(tl.float32, bitcast=True),)
            vectors = vectors + ((pair & 0xFFFF0000).to(tl.float32, bitcast=True),)
        else:
            places = ptrs[:, None] + numbers + (pixel * S.channels + p * S.piece * S.member_step)
            vectors = vectors + (tl.load(places, mask=mask, other=0.0).to(accumulator(ptrs)),)
    return vectors


@triton.jit
def store_members(ptrs, part, ok, vectors, FIRST: tl.constexpr, S: tl.constexpr):
    """Write a lane's channels from its first on, `ptrs` [LANES]: of a tuple of vectors those from FIRST on."""
    LANES: tl.constexpr = S.lanes
    PIECES: tl.constexpr = S.pieces
    PIECE: tl.constexpr = S.piece
    for p in tl.static_range(PIECES):
        if S.halves:
            piece = interleave(vectors[FIRST + 2 * p], vectors[FIRST + 2 * p + 1], LANES, S.vector)
        else:
            piece = vectors[FIRST + p]
        places = (ptrs + p * PIECE * S.member_step)[:, None] + tl.arange(0, PIECE)[None, :]
        tl.store(places, piece.to(ptrs.dtype.element_ty), mask=member_mask(part, p, ok, S)[:, None])


@triton.constexpr_function
def pairs(dtype: tl.dtype, vector: int) -> bool:
    """Whether to ask for two multiply–adds of float32 in one instruction, Blackwell's.

    Left to itself the compiler asks for it elsewhere too, where it costs registers. For compute capability 12.0, which
    has no such instruction, the assembler makes two of it.
    """
    return dtype == tl.float32 and vector > 1 and not triton.knobs.runtime.interpret and cuda_capability_geq(10)


@triton.jit
def add_weighted(total, weight, vector):
    """total + weight·vector, of a vector of a lane's channels [LANES, VECTOR] and a weight [LANES]."""
    weights = tl.broadcast_to(weight[:, None], vector.shape)
    if pairs(total.dtype, vector.shape[1]):
        total = tl.inline_asm_elementwise(
            """{
            .reg .b64 weights, vector, total;
            mov.b64 weights, {$2, $3};
            mov.b64 vector, {$4, $5};
            mov.b64 total, {$6, $7};
            fma.rn.f32x2 total, weights, vector, total;
            mov.b64 {$0, $1}, total;
            }""",
            "=f,=f,f,f,f,f,f,f",
            [weights, vector, total],
            dtype=tl.float32,
            is_pure=True,
            pack=2,
        )
    else:
        total += weights * vector
    return total


@triton.jit
def unstack(vectors, S: tl.constexpr):
    """Each channel by itself: a tuple of vectors as one of [LANES]."""
    LANES: tl.constexpr = S.lanes
    VECTORS: tl.constexpr = S.vectors
    VECTOR: tl.constexpr = S.vector
    LEVELS: tl.constexpr = levels(VECTOR)
    members = ()
    for i in tl.static_range(VECTORS):
        parts = (vectors[i],)
        for level in tl.static_range(LEVELS):
            halves = ()
            for j in tl.static_range(1 << level):
                halves = halves + halve(parts[j], LANES, VECTOR >> level)
            parts = halves
        for j in tl.static_range(1 << LEVELS):
            members = members + (parts[j] if LEVELS > 0 else tl.reshape(parts[j], [LANES]),)
    return members


@triton.jit
def halve(vector, LANES: tl.constexpr, WIDTH: tl.constexpr):
    """The even and the odd channels of a vector [LANES, WIDTH]; of one channel each, [LANES]."""
    HALF: tl.constexpr = WIDTH // 2
    return tl.split(vector if HALF == 1 else tl.reshape(vector, [LANES, HALF, 2]))


@triton.constexpr_function
def levels(width: int) -> int:
    """How often a vector of this width, a power of two, is halved until single channels are left."""
    return width.bit_length() - 1


@triton.jit
def dot_members(left, right, start, S: tl.constexpr):
    """`start` plus Σ over a lane's channels of the product of two tuples of channels; [LANES]."""
    MEMBERS: tl.constexpr = S.vectors * S.vector
    total = start
    for j in tl.static_range(MEMBERS):
        total = tl.fma(left[j], right[j], total)
    return total


@triton.jit
def stack(terms, S: tl.constexpr):
    """The inverse for a window row of taps: a tuple of [LANES] as one [LANES, stacked taps], zeros at the end."""
    LANES: tl.constexpr = S.lanes
    TAPS: tl.constexpr = S.stacked_taps
    LEVELS: tl.constexpr = levels(TAPS)
    parts = ()
    for i in tl.static_range(TAPS):
        term = terms[i] if i < S.kernel_size else tl.zeros_like(terms[0])
        parts = parts + (term,)
    for level in tl.static_range(LEVELS):
        joined = ()
        for i in tl.static_range(TAPS >> (level + 1)):
            # The last level interleaves neighbours, so the first joins those that are TAPS / 2 apart.
            joined = joined + (interleave(parts[i], parts[i + (TAPS >> (level + 1))], LANES, 1 << level),)
        parts = joined
    return parts[0]


@triton.jit
def interleave(even, odd, LANES: tl.constexpr, WIDTH: tl.constexpr):
    """The inverse of `halve`: two vectors [LANES, WIDTH] as one, in turn; of one channel each they may be [LANES]."""
    DOUBLE: tl.constexpr = WIDTH * 2
    joined = tl.join(even, odd)
    return joined if len(joined.shape) == 2 else tl.reshape(joined, [LANES, DOUBLE])
