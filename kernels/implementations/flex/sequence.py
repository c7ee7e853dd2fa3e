"""The pixels of an image as a sequence, in blocks, and which blocks of queries see which blocks of keys."""

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

from ...problem import Problem

BLOCK = 128  # pixels


@dataclass(frozen=True)
class Sequence:
    """An image of `height` × `width` pixels read tile by tile, and row by row in each tile of `rows` × `columns`.

    A tile as wide as the image and one row high reads it row by row. Tiles that reach over the image's edge, and the
    last block, are filled up.
    """

    height: int
    width: int
    rows: int
    columns: int

    @property
    def down(self) -> int:
        """Tiles from top to bottom."""
        return -(-self.height // self.rows)

    @property
    def across(self) -> int:
        """Tiles from left to right."""
        return -(-self.width // self.columns)

    @property
    def length(self) -> int:
        """Pixels with all that is filled up, a multiple of the block."""
        return -(-self.down * self.across * self.rows * self.columns // BLOCK) * BLOCK

    def coordinates(self, index: Tensor) -> tuple[Tensor, Tensor]:
        """Row and column of the pixel at each place of the sequence; beyond the image for what is filled up."""
        tile, inside = index // (self.rows * self.columns), index % (self.rows * self.columns)
        row = tile // self.across * self.rows + inside // self.columns
        return row, tile % self.across * self.columns + inside % self.columns

    def index(self, row: Tensor, column: Tensor) -> Tensor:
        """Place in the sequence of each pixel, the inverse of `coordinates`."""
        tile = row // self.rows * self.across + column // self.columns
        return tile * (self.rows * self.columns) + row % self.rows * self.columns + column % self.columns

    def flatten(self, image: Tensor) -> Tensor:
        """(N, G, H, W, E) → (N, G, length, E), zeros where it is filled up."""
        image = F.pad(image, (0, 0, 0, -self.width % self.columns, 0, -self.height % self.rows))
        tiles = image.unflatten(3, (self.across, self.columns)).unflatten(2, (self.down, self.rows)).transpose(3, 4)
        pixels = tiles.flatten(2, 5)
        return F.pad(pixels, (0, 0, 0, self.length - pixels.shape[2]))

    def unflatten(self, sequence: Tensor) -> Tensor:
        """(N, G, length, E) → (N, G, H, W, E)."""
        pixels = sequence[:, :, : self.down * self.across * self.rows * self.columns]
        tiles = pixels.unflatten(2, (self.down, self.across, self.rows, self.columns)).transpose(3, 4)
        image: Tensor = tiles.flatten(4, 5).flatten(2, 3)
        return image.narrow(2, 0, self.height).narrow(3, 0, self.width)


def sequences(problem: Problem) -> tuple[Sequence, Sequence, Tensor]:
    """Queries and keys in the order in which the fewest pairs of blocks meet, and those pairs.

    Under padding mode "zeros" the keys are those of the padded image. The pairs are (query blocks, key blocks) bool,
    on the CPU.
    """
    edge = key_edge(problem)
    height, width = problem.height + 2 * edge, problem.width + 2 * edge
    found = []
    # Row by row suits narrow images; in wide ones a block is a short line, and its windows reach over many rows.
    for rows, columns in ((1, 0), (8, BLOCK // 8)):
        queries = Sequence(problem.out_height, problem.out_width, rows, columns or problem.out_width)
        keys = Sequence(height, width, rows, columns or width)
        found.append((queries, keys, _meeting(problem, queries, keys)))
    return min(found, key=lambda order: int(order[2].sum()))


def key_edge(problem: Problem) -> int:
    """Pixels around the image that are keys too: they are zeros that take part, or they take none."""
    return problem.padding if problem.padding_mode == "zeros" else 0


def _meeting(problem: Problem, queries: Sequence, keys: Sequence) -> Tensor:
    """(query blocks, key blocks) bool: whether any query of the one sees any key of the other."""
    # Named, as the default device may be another.
    pairs = torch.zeros(queries.length // BLOCK, keys.length // BLOCK, dtype=torch.bool, device="cpu")
    rows, columns = (torch.arange(size, device="cpu") for size in (queries.height, queries.width))
    query_blocks = queries.index(rows[:, None], columns) // BLOCK
    first = key_edge(problem) - problem.padding
    for u in range(problem.kernel_size):
        # A tap outside the image is none; at its nearest pixel it may add a pair that is masked out anyway.
        row = (rows * problem.stride + u * problem.dilation + first).clamp(0, keys.height - 1)
        for v in range(problem.kernel_size):
            column = (columns * problem.stride + v * problem.dilation + first).clamp(0, keys.width - 1)
            pairs[query_blocks, keys.index(row[:, None], column) // BLOCK] = True
    return pairs
