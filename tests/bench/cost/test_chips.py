"""Warps on a multiprocessor, against numbers worked out by hand from the limits of the Programming Guide."""

import pytest

from bench.cost.chips import MULTIPROCESSORS, occupancy

# Capability, warps of a block, registers of a thread, bytes of shared memory → warps held at once.
HELD = [
    ((9, 0), 8, 32, 0, 64),
    ((9, 0), 8, 64, 0, 32),
    ((9, 0), 8, 128, 0, 16),
    ((9, 0), 8, 129, 0, 8),
    ((9, 0), 8, 168, 0, 8),
    ((9, 0), 4, 168, 0, 12),
    ((9, 0), 1, 168, 0, 12),
    ((9, 0), 4, 255, 0, 8),
    ((9, 0), 1, 32, 0, 32),
    ((9, 0), 8, 32, 100 * 1024, 16),
    ((9, 0), 16, 168, 0, 0),
    ((8, 0), 8, 32, 81 * 1024, 16),
    ((8, 0), 8, 32, 82 * 1024, 8),
    ((8, 6), 8, 32, 0, 48),
    ((8, 6), 1, 32, 0, 16),
    ((12, 0), 4, 80, 0, 24),
]


@pytest.mark.parametrize(("capability", "warps", "registers", "shared", "held"), HELD)
def test_warps_held(capability: tuple[int, int], warps: int, registers: int, shared: int, held: int) -> None:
    assert occupancy(capability, warps, registers, shared) * MULTIPROCESSORS[capability].warps == held
