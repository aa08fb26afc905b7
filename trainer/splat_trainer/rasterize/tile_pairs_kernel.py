"""Pairs of Gaussian and tile as sorting keys, one thread a pair, in Triton.

Its twin in plain PyTorch is `tile_pairs.py`.
"""
# ruff: noqa: ANN001, ANN202, N803 - Triton compiles the kernels: pointers and numbers, by name
# mypy: allow-untyped-defs, allow-incomplete-defs, allow-untyped-decorators

import torch
import triton
import triton.language as tl
from torch import Tensor

from splat_trainer.rasterize import tile_pairs as twin
from splat_trainer.rasterize.interface import ALPHA_THRESHOLD

_BLOCK = 256


def boxes(
    means2d: Tensor, radii: Tensor, *, tile: int, columns: int, rows: int
) -> tuple[Tensor, Tensor, Tensor]:
    """See `tile_pairs.Boxes`."""
    count = len(means2d)
    first = torch.empty(count, 2, dtype=torch.int32, device=means2d.device)
    extent = torch.empty_like(first)
    areas = torch.empty(count, dtype=torch.int32, device=means2d.device)
    _boxes[(triton.cdiv(count, _BLOCK),)](
        means2d.contiguous(), radii.contiguous(), first, extent, areas,
        count, columns, rows, 1 / tile, BLOCK=_BLOCK,  # the GPU's quotients are not exact
    )  # fmt: skip
    return first, extent, areas


def fill(
    means2d: Tensor,
    conics: Tensor,
    opacities: Tensor,
    depths: Tensor,
    first: Tensor,
    extent: Tensor,
    ends: Tensor,
    *,
    tile: int,
    columns: int,
    tiles: int,
    capacity: int,
    bits: int,
) -> tuple[Tensor, Tensor]:
    """See `tile_pairs.Fill`."""
    kind = torch.int32 if bits < twin.WIDE else torch.int64
    keys = torch.empty(capacity, dtype=kind, device=ends.device)
    owners = torch.empty(capacity, dtype=torch.int32, device=ends.device)
    _fill[(triton.cdiv(capacity, _BLOCK),)](
        means2d.contiguous(), conics.contiguous(), opacities.contiguous(),
        depths.contiguous().view(torch.int32), first, extent, ends, keys, owners,
        len(ends), len(ends).bit_length(), capacity, columns, tiles, tile, bits,
        twin.depth_shift(bits),
        NEAREST=twin.NEAREST, FURTHEST=twin.FURTHEST, LOWEST=twin.LOWEST,
        THRESHOLD=ALPHA_THRESHOLD, SLACK=twin.SLACK,
        WIDE=bits >= twin.WIDE, BLOCK=_BLOCK,
    )  # fmt: skip
    return keys, owners


def launch_all_variants() -> None:
    """Launch, on the CPU's memory, each kernel that trainings use: to compile them without a GPU.

    Keys are narrow or wide; nothing else in a launch makes another kernel.
    """
    means2d, opacities = torch.zeros(1, 2), torch.zeros(1)
    conics = torch.zeros(1, 3)
    corners, ends = torch.zeros(1, 2, dtype=torch.int32), torch.zeros(1, dtype=torch.int64)
    boxes(means2d, corners, tile=8, columns=1, rows=1)
    for bits in (twin.WIDE - 1, twin.WIDE):
        fill(
            *(means2d, conics, opacities, opacities, corners, corners, ends),
            tile=8, columns=1, tiles=1, capacity=1, bits=bits,
        )  # fmt: skip


@triton.jit(do_not_specialize=["count", "columns", "rows"])
def _boxes(
    means2d, radii, first, extent, areas, count, columns, rows, tiles_a_pixel,
    BLOCK: tl.constexpr,
):  # fmt: skip
    at = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    inside = at < count
    rx = tl.load(radii + 2 * at, mask=inside, other=0)
    ry = tl.load(radii + 2 * at + 1, mask=inside, other=0)
    drawn = inside & (rx > 0) & (ry > 0)  # the others' means were never written
    x = tl.load(means2d + 2 * at, mask=drawn, other=0.0)
    y = tl.load(means2d + 2 * at + 1, mask=drawn, other=0.0)
    left = tl.minimum(tl.maximum(tl.floor((x - rx) * tiles_a_pixel), 0.0), columns).to(tl.int32)
    top = tl.minimum(tl.maximum(tl.floor((y - ry) * tiles_a_pixel), 0.0), rows).to(tl.int32)
    right = tl.minimum(tl.maximum(tl.ceil((x + rx) * tiles_a_pixel), 0.0), columns).to(tl.int32)
    bottom = tl.minimum(tl.maximum(tl.ceil((y + ry) * tiles_a_pixel), 0.0), rows).to(tl.int32)
    across = tl.where(drawn, right - left, 0)
    down = tl.where(drawn, bottom - top, 0)
    tl.store(first + 2 * at, left, mask=inside)
    tl.store(first + 2 * at + 1, top, mask=inside)
    tl.store(extent + 2 * at, across, mask=inside)
    tl.store(extent + 2 * at + 1, down, mask=inside)
    tl.store(areas + at, across * down, mask=inside)


@triton.jit(
    do_not_specialize=[
        "count", "halvings", "capacity", "columns", "tiles", "side", "bits", "shift",
    ]
)  # fmt: skip
def _fill(
    means2d, conics, opacities, depths, first, extent, ends, keys, owners,
    count, halvings, capacity, columns, tiles, side, bits, shift,
    NEAREST: tl.constexpr, FURTHEST: tl.constexpr, LOWEST: tl.constexpr,
    THRESHOLD: tl.constexpr, SLACK: tl.constexpr,
    WIDE: tl.constexpr, BLOCK: tl.constexpr,
):  # fmt: skip
    pair = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    inside = pair < capacity
    used = inside & (pair < tl.load(ends + count - 1))
    # The first Gaussian whose pairs end after this one, by halving.
    low = tl.zeros([BLOCK], tl.int32)
    high = tl.zeros([BLOCK], tl.int32) + count
    halved = 0
    while halved < halvings:
        halved += 1
        middle = (low + high) // 2
        end = tl.load(ends + middle, mask=used & (low < high), other=0)
        after = end > pair
        high = tl.where((low < high) & after, middle, high)
        low = tl.where((low < high) & (end <= pair), middle + 1, low)
    owner = tl.minimum(low, count - 1)

    across = tl.load(extent + 2 * owner, mask=used, other=1)
    down = tl.load(extent + 2 * owner + 1, mask=used, other=1)
    end = tl.load(ends + owner, mask=used, other=0)
    place = (pair - (end - across * down)).to(tl.int32)
    column = tl.load(first + 2 * owner, mask=used, other=0) + place % across
    row = tl.load(first + 2 * owner + 1, mask=used, other=0) + place // across

    a = tl.load(conics + 3 * owner, mask=used, other=1.0)
    b = tl.load(conics + 3 * owner + 1, mask=used, other=0.0)
    c = tl.load(conics + 3 * owner + 2, mask=used, other=1.0)
    x = tl.load(means2d + 2 * owner, mask=used, other=0.0)
    y = tl.load(means2d + 2 * owner + 1, mask=used, other=0.0)
    left = column * side + 0.5
    top = row * side + 0.5
    right = left + side - 1
    bottom = top + side - 1
    dx = tl.minimum(tl.maximum(x, left), right) - x
    dy = tl.minimum(tl.maximum(y, top), bottom) - y
    # The least of a quadratic form over a box lies on the edges that face the centre.
    along_y = tl.minimum(tl.maximum(y - b / c * dx, top), bottom) - y
    along_x = tl.minimum(tl.maximum(x - b / a * dy, left), right) - x
    sigma = tl.minimum(
        0.5 * (a * dx * dx + c * along_y * along_y) + b * dx * along_y,
        0.5 * (a * along_x * along_x + c * dy * dy) + b * along_x * dy,
    )
    reach = tl.log(tl.load(opacities + owner, mask=used, other=1.0) / THRESHOLD)
    drawn = used & (sigma <= reach + SLACK)

    depth = tl.load(depths + owner, mask=used, other=NEAREST)  # the bits of the float
    near = (tl.minimum(tl.maximum(depth, NEAREST), FURTHEST) - NEAREST) >> shift
    tile = tl.where(drawn, row * columns + column, tiles)
    near = tl.where(drawn, near, 0)
    key = (tile.to(tl.int64 if WIDE else tl.int32) << bits) + near
    if not WIDE:  # the highest bit of the tile falls on the sign, and is turned as by adding
        key = key ^ LOWEST
    tl.store(keys + pair, key, mask=inside)
    tl.store(owners + pair, owner, mask=inside)
