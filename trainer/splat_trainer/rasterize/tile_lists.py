"""Which Gaussians each tile draws, nearest first, in lists of a size that is fixed beforehand.

gsplat's `isect_tiles` sizes its lists by what is seen, for which the host waits in every step.
Here the lists have room for `capacity` pairs of Gaussian and tile, and what is not used is filled
with pairs of a row of tiles below the image: nothing waits, and a step can be a CUDA graph. Pairs
in which the Gaussian reaches no pixel centre of the tile are left out, which gsplat does not do.
"""

import functools
from dataclasses import dataclass

import torch
from torch import Tensor

from splat_trainer.rasterize.tile_pairs import (
    LOWEST,
    WIDE,
    PairFunctions,
    pair_functions_for,
)
from splat_trainer.rasterize.tile_sort import sort_for

SMALL_TILE, TILE = 8, 16
"""Sides of a tile in pixels, as gsplat's kernels are called with.

Each warp of a small tile looks at 8x4 pixels through a list of its own, which leaves out most of
what passes them by; a warp of a tile of 16 looks at 16x2 through the list of all 256 pixels.
"""

_LARGEST_TILE_BITS = 14
"""With more, too few of 32 bits are left for the depth, and keys take 64."""


@dataclass(frozen=True)
class TileLists:
    """Lists of the tiles of an image, and of one row of tiles more, which nobody draws.

    `tile` is a tile's side in pixels. `offsets` [rows + 1, columns] int32 says where each tile's
    list begins in `ids` [capacity] int32; `mask` [rows + 1, columns] bool is true for the tiles
    of the image; `pairs` [1] int64 is how many pairs the Gaussians' boxes had: where that exceeds
    `capacity`, some are missing.
    """

    tile: int
    offsets: Tensor
    ids: Tensor
    mask: Tensor
    pairs: Tensor


@torch.no_grad()
def tile_lists(
    means2d: Tensor,
    radii: Tensor,
    depths: Tensor,
    conics: Tensor,
    opacities: Tensor,
    *,
    width: int,
    height: int,
    capacity: int,
    tile: int | None = None,
    functions: PairFunctions | None = None,
) -> TileLists:
    """Lists for one camera's N projected Gaussians, N > 0; never makes the host wait.

    `means2d` [N, 2] and `radii` [N, 2] int32 in pixels, `depths` [N], `conics` [N, 3],
    `opacities` [N] in 0..1, as projection gives them. Radii of zero mean not drawn; the other
    values of such rows may be anything. `tile` is what `tile_side` says, and `functions` are the
    device's own, where None.
    """
    tile = tile or tile_side(width, height)
    columns, rows = _counts(width, height, tile)
    tiles = columns * rows
    bits = key_bits(tiles)
    functions = functions or pair_functions_for(means2d.device, bits)
    first, extent, areas = functions.boxes(means2d, radii, tile=tile, columns=columns, rows=rows)
    ends = areas.cumsum(0)
    keys, owners = functions.fill(
        *(means2d, conics, opacities, depths, first, extent, ends),
        tile=tile,
        columns=columns,
        tiles=tiles,
        capacity=capacity,
        bits=bits,
    )
    keys, ids = sort_for(keys.device)(keys, owners)
    starts, mask = _borders(columns, rows, bits, keys.dtype, keys.device)
    offsets = torch.searchsorted(keys, starts, out_int32=True)
    return TileLists(tile, offsets.view(rows + 1, columns), ids, mask, ends[-1:])


@torch.no_grad()
def count_pairs(
    means2d: Tensor,
    radii: Tensor,
    *,
    width: int,
    height: int,
    functions: PairFunctions | None = None,
) -> Tensor:
    """How many pairs there are for `tile_lists` to hold, [1] int64."""
    tile = tile_side(width, height)
    columns, rows = _counts(width, height, tile)
    functions = functions or pair_functions_for(means2d.device, key_bits(columns * rows))
    areas = functions.boxes(means2d, radii, tile=tile, columns=columns, rows=rows)[2]
    return areas.sum(0, keepdim=True)


def tile_side(width: int, height: int) -> int:
    """Side of an image's tiles: small while keys of 32 bits can tell so many of them apart."""
    columns, rows = _counts(width, height, SMALL_TILE)
    return SMALL_TILE if (columns * rows).bit_length() <= _LARGEST_TILE_BITS else TILE


def _counts(width: int, height: int, tile: int) -> tuple[int, int]:
    """Columns and rows of tiles."""
    return -(-width // tile), -(-height // tile)


def key_bits(tiles: int) -> int:
    """Bits of a sorting key that are for the depth; the others are for the tile.

    A key is int32 where the image is small enough for that, and int64 where more than
    32 bits are needed.
    """
    tile_bits = tiles.bit_length()
    return WIDE - tile_bits if tile_bits <= _LARGEST_TILE_BITS else WIDE


@functools.cache  # never let go of: recorded graphs read what it gave
def _borders(
    columns: int, rows: int, bits: int, dtype: torch.dtype, device: torch.device
) -> tuple[Tensor, Tensor]:
    """The least key of each tile, and which tiles are of the image."""
    tiles = torch.arange(columns * (rows + 1), dtype=torch.int64)
    lowest = LOWEST if dtype == torch.int32 else 0
    starts = ((tiles << bits) + lowest).clamp_max(torch.iinfo(dtype).max).to(dtype)
    mask = (tiles < columns * rows).view(rows + 1, columns)
    return starts.to(device), mask.to(device)
