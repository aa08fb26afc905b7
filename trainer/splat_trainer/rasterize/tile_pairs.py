"""Pairs of Gaussian and tile as sorting keys, in plain PyTorch; the twin of `tile_pairs_kernel.py`.

A key holds the tile in its upper bits and the depth, as the bits of a float, in its lower ones.
A key of 32 bits begins at the lowest int32, so that its sign is a bit like the others.
"""

from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor

from splat_trainer.kernels.self_check import DisagreementError, use_if_right
from splat_trainer.rasterize.interface import ALPHA_THRESHOLD

NEAREST = 0x3C000000
"""The bits of the float 2^-7: less than any depth that is drawn (the near plane is at 0.01)."""

FURTHEST = 0x47000000
"""The bits of the float 2^15: what lies beyond is not told apart by depth."""

WIDE = 32
"""Bits of the depth from which keys are int64."""

LOWEST = -(1 << 31)
"""What is added to keys of 32 bits."""

SLACK = 1e-3
"""Of sigma: what rounding may hide at the very edge of a Gaussian is drawn."""

_BORDERLINE = 1e-3
"""Share of pairs that may fall to either side of that edge in two ways of computing it."""


class Boxes(Protocol):
    """Which tiles each Gaussian's box covers."""

    def __call__(
        self, means2d: Tensor, radii: Tensor, *, tile: int, columns: int, rows: int
    ) -> tuple[Tensor, Tensor, Tensor]:
        """First tile and extent in tiles, both [N, 2] int32 x before y, and areas [N] int32."""


class Fill(Protocol):
    """Writes pairs down as keys."""

    def __call__(
        self,
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
        """Keys [capacity], and the Gaussian of each [capacity] int32.

        `first` and `extent` are those of `Boxes`, `ends` [N] int64 where each Gaussian's pairs
        end. Keys of `bits` for the depth are int32 below 32, else int64. What is not used, and
        pairs whose ellipse reaches no pixel centre of the tile, have the key of tile `tiles`.
        """


@dataclass(frozen=True)
class PairFunctions:
    """The two steps from projected Gaussians to keys."""

    boxes: Boxes
    fill: Fill


def boxes(
    means2d: Tensor, radii: Tensor, *, tile: int, columns: int, rows: int
) -> tuple[Tensor, Tensor, Tensor]:
    """See `Boxes`; the boxes are gsplat's (IntersectTile.cu)."""
    drawn = (radii > 0).all(1)
    low = ((means2d - radii) / tile).floor().unbind(1)
    high = ((means2d + radii) / tile).ceil().unbind(1)
    firsts, extents = [], []
    for begin, end, most in zip(low, high, (columns, rows), strict=True):
        start = torch.where(drawn, begin, 0).clamp(0, most).int()
        firsts.append(start)
        extents.append(torch.where(drawn, end, 0).clamp(0, most).int() - start)
    return torch.stack(firsts, 1), torch.stack(extents, 1), extents[0] * extents[1]


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
    """See `Fill`."""
    pair = torch.arange(capacity, device=ends.device)
    owner = torch.searchsorted(ends, pair, right=True).clamp_max(len(ends) - 1)
    place = pair - (ends[owner] - extent[owner].long().prod(1))
    across = extent[owner, 0].clamp_min(1)
    column = first[owner, 0] + place % across
    row = first[owner, 1] + place // across

    a, b, c = conics[owner].unbind(1)
    x, y = means2d[owner].unbind(1)
    left, top = column * tile + 0.5, row * tile + 0.5
    right, bottom = left + tile - 1, top + tile - 1
    dx = x.maximum(left).minimum(right) - x
    dy = y.maximum(top).minimum(bottom) - y
    # The least of a quadratic form over a box lies on the edges that face the centre.
    along_y = (y - b / c * dx).maximum(top).minimum(bottom) - y
    along_x = (x - b / a * dy).maximum(left).minimum(right) - x
    sigma = torch.minimum(
        0.5 * (a * dx * dx + c * along_y * along_y) + b * dx * along_y,
        0.5 * (a * along_x * along_x + c * dy * dy) + b * along_x * dy,
    )
    reach = torch.log(opacities[owner] / ALPHA_THRESHOLD)
    drawn = (pair < ends[-1]) & (sigma <= reach + SLACK)

    near = depths[owner].float().view(torch.int32).long().clamp(NEAREST, FURTHEST) - NEAREST
    key = ((row * columns + column) << bits) + (near >> depth_shift(bits))
    key = torch.where(drawn, key, tiles << bits)
    key = (key + LOWEST).to(torch.int32) if bits < WIDE else key
    return key, owner.to(torch.int32)


def depth_shift(bits: int) -> int:
    """By how much the bits of a depth are cut to fit into `bits`."""
    return max(0, (FURTHEST - NEAREST).bit_length() - bits)


PLAIN = PairFunctions(boxes, fill)


def pair_functions_for(device: torch.device, bits: int) -> PairFunctions:
    """The fastest on a device: Triton's kernels on a GPU, if they can; for keys of so many bits."""
    if device.type != "cuda":
        return PLAIN
    name = "tile lists" if bits < WIDE else "tile lists of large images"
    return use_if_right(name, _fused, lambda one: check_fused(one, bits=bits)) or PLAIN


def _fused() -> PairFunctions:
    from splat_trainer.rasterize import tile_pairs_kernel  # noqa: PLC0415 - Triton

    return PairFunctions(tile_pairs_kernel.boxes, tile_pairs_kernel.fill)


def check_fused(
    fused: PairFunctions, device: str = "cuda", *, bits: int = 20, count: int = 300
) -> None:
    """Compare boxes and keys with those of plain PyTorch, with enough room and without.

    Raises:
        DisagreementError: they differ by more than rounding at Gaussians' edges.
    """
    generator = torch.Generator().manual_seed(count)
    columns, rows, tile = 9, 7, 16
    size = torch.tensor([columns, rows]) * tile
    means2d = (torch.rand(count, 2, generator=generator) * 1.4 - 0.2) * size
    radii = torch.randint(-4, 40, (count, 2), generator=generator, dtype=torch.int32).clamp_min(0)
    sides = torch.rand(count, 2, generator=generator) * 12 + 0.6
    slant = (torch.rand(count, generator=generator) * 1.8 - 0.9) * sides.prod(1)
    below = (sides.prod(1).square() - slant.square()).clamp_min(0.05)
    conics = torch.stack([sides[:, 1].square(), -slant, sides[:, 0].square()], 1) / below[:, None]
    opacities = torch.rand(count, generator=generator)
    depths = torch.randn(count, generator=generator).mul(2).exp()
    means2d[(radii == 0).any(1)] = torch.nan  # as memory that nobody wrote
    means2d, radii, conics = means2d.to(device), radii.to(device), conics.to(device)
    opacities, depths = opacities.to(device), depths.to(device)
    found, wanted = (
        one.boxes(means2d, radii, tile=tile, columns=columns, rows=rows) for one in (fused, PLAIN)
    )
    drawn = wanted[2] > 0
    for name, one, other in zip(("corners", "extents"), found, wanted, strict=False):
        if not torch.equal(one[drawn], other[drawn]):
            raise DisagreementError(f"the boxes' {name} are not those of plain PyTorch")
    if not torch.equal(found[2], wanted[2]):
        raise DisagreementError("the boxes' areas are not those of plain PyTorch")
    first, extent, ends = wanted[0], wanted[1], wanted[2].cumsum(0)
    total = int(ends[-1])
    for capacity in (total + 77, max(1, total - 77)):
        (keys, owners), (plain_keys, plain_owners) = (
            one.fill(
                means2d, conics, opacities, depths, first, extent, ends,
                tile=tile, columns=columns, tiles=columns * rows, capacity=capacity, bits=bits,
            )
            for one in (fused, PLAIN)
        )  # fmt: skip
        used = min(capacity, total)
        if keys.dtype != plain_keys.dtype or not torch.equal(keys[used:], plain_keys[used:]):
            raise DisagreementError("the unused keys are not those of plain PyTorch")
        if not torch.equal(owners[:used], plain_owners[:used]):
            raise DisagreementError("the pairs' Gaussians are not those of plain PyTorch")
        differ = int((keys[:used] != plain_keys[:used]).sum())
        if differ > max(1, _BORDERLINE * used):
            raise DisagreementError(f"{differ} of {used} keys are not those of plain PyTorch")
