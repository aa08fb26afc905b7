"""Which Gaussians each tile of an image has to draw, nearest first."""

from dataclasses import dataclass

import torch
from torch import Tensor

from splat_trainer.rasterize.projection import Projected

TILE = 8
"""Side of a tile in pixels."""

_PAIRS_AT_ONCE = 1 << 17
"""Pairs of pixel and Gaussian in one block: its arrays stay in the processor's cache."""


@dataclass(frozen=True)
class TileBlock:
    """Some tiles with lists of about one length.

    `tiles` [T] are indices in row order; `ids` [T, L] Gaussians by depth, where an id equal to
    the count of Gaussians stands for none.
    """

    tiles: Tensor
    ids: Tensor


@dataclass(frozen=True)
class Tiling:
    """An image [height, width] cut into tiles; those that show nothing are in no block."""

    width: int
    height: int
    blocks: list[TileBlock]

    @property
    def columns(self) -> int:
        """Tiles in a row."""
        return -(-self.width // TILE)

    @property
    def rows(self) -> int:
        """Rows of tiles."""
        return -(-self.height // TILE)


@torch.no_grad()
def cut_into_tiles(projected: Projected, width: int, height: int) -> Tiling:
    """List each tile's Gaussians, and group the tiles so that little of a block is padding."""
    tiling = Tiling(width, height, [])
    columns, rows = tiling.columns, tiling.rows
    limit = torch.tensor([columns, rows])
    order = projected.depths.argsort(stable=True)
    order = order[(projected.radii[order] > 0).all(1)]
    means, radii = projected.means2d[order], projected.radii[order]
    first = ((means - radii) / TILE).floor().long().clamp_min(0).minimum(limit)
    last = ((means + radii) / TILE).ceil().long().clamp_min(0).minimum(limit)
    extent = last - first
    counts = extent.prod(1)

    # One row for every pair of Gaussian and tile; a stable sort by tile keeps the depth order.
    owner = torch.repeat_interleave(torch.arange(len(order)), counts)
    place = torch.arange(len(owner)) - (counts.cumsum(0) - counts)[owner]
    across = extent[owner, 0]
    tile = (first[owner, 1] + place // across) * columns + first[owner, 0] + place % across
    tile, by_tile = tile.sort(stable=True)
    ids = order[owner[by_tile]]

    lengths = torch.bincount(tile, minlength=columns * rows)
    starts = lengths.cumsum(0) - lengths
    longest_first = lengths.argsort(descending=True, stable=True)
    nothing = len(projected.depths)
    ids = torch.cat([ids, ids.new_full((1,), nothing)])
    ordered_lengths = lengths[longest_first].tolist()
    begin = 0
    while begin < len(ordered_lengths) and ordered_lengths[begin] > 0:
        longest = ordered_lengths[begin]
        end = begin + max(1, _PAIRS_AT_ONCE // (longest * TILE * TILE))
        tiles = longest_first[begin:end]
        tiles = tiles[lengths[tiles] > 0]
        steps = torch.arange(longest)
        within = steps < lengths[tiles, None]
        index = torch.where(within, starts[tiles, None] + steps, len(ids) - 1)
        tiling.blocks.append(TileBlock(tiles, ids[index]))
        begin = end
    return tiling
