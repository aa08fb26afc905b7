"""What our rasterizer calls of gsplat 1.5.3, in plain PyTorch, by what its sources say.

So that all that lies between those calls is tested without a GPU: lists, masks, shapes, gradients.
"""
# ruff: noqa: N803 - the names are gsplat's

from typing import Any

import torch
from torch import Tensor

from splat_trainer.gaussians.gaussians import Gaussians
from splat_trainer.gaussians.spherical_harmonics import basis
from splat_trainer.rasterize.interface import (
    ALPHA_LIMIT,
    ALPHA_THRESHOLD,
    TRANSMITTANCE_THRESHOLD,
    Cameras,
)
from splat_trainer.rasterize.projection import project


def fully_fused_projection(
    means: Tensor, covars: None, quats: Tensor, scales: Tensor, viewmats: Tensor, Ks: Tensor,
    width: int, height: int, *, eps2d: float, near_plane: float, opacities: Tensor,
) -> tuple[Tensor, Tensor, Tensor, Tensor, None]:  # fmt: skip
    """Radii, means2d, depths, conics; rows out of sight are left as they were: not a number."""
    gaussians = Gaussians(means, quats, scales.log(), torch.logit(opacities), means[:, None])
    cameras = Cameras(viewmats, Ks, width, height)
    all_of = [project(gaussians, cameras, index) for index in range(len(viewmats))]
    hidden = torch.stack([(one.radii <= 0).any(1) for one in all_of])

    def where_seen(name: str) -> Tensor:
        values = torch.stack([getattr(one, name) for one in all_of])
        return torch.where(hidden.view(*hidden.shape, *[1] * (values.dim() - 2)), torch.nan, values)

    radii = torch.stack([one.radii for one in all_of])
    return radii, where_seen("means2d"), where_seen("depths"), where_seen("conics"), None


def spherical_harmonics(degree: int, directions: Tensor, sh: Tensor, *, masks: Tensor) -> Tensor:
    functions = basis(torch.nn.functional.normalize(directions, dim=-1), degree)
    colors = torch.einsum("cnk,cnkd->cnd", functions, sh[:, :, : functions.shape[-1]])
    return torch.where(masks[..., None], colors, torch.nan)


def isect_tiles(
    means2d: Tensor, radii: Tensor, depths: Tensor, tile: int, columns: int, rows: int, **_: Any
) -> tuple[None, list[tuple[int, float, int]], Tensor]:
    """Pairs of (tile of all cameras, depth, Gaussian of all cameras), in order."""
    pairs = []
    for camera, (means, sizes) in enumerate(zip(means2d, radii, strict=True)):
        for index in torch.where((sizes > 0).all(1))[0].tolist():
            low = ((means[index] - sizes[index]) / tile).floor().int().clamp_min(0).tolist()
            high = ((means[index] + sizes[index]) / tile).ceil().int().tolist()
            for row in range(low[1], min(high[1], rows)):
                for column in range(low[0], min(high[0], columns)):
                    place = (camera * rows + row) * columns + column
                    pairs.append((place, float(depths[camera, index]), camera * len(means) + index))
    pairs.sort()
    return None, pairs, torch.tensor([pair[2] for pair in pairs], dtype=torch.int32)


def isect_offset_encode(
    pairs: list[tuple[int, float, int]], count: int, columns: int, rows: int
) -> Tensor:
    places = torch.tensor([pair[0] for pair in pairs])
    starts = torch.searchsorted(places, torch.arange(count * rows * columns))
    return starts.int().view(count, rows, columns)


def rasterize_to_pixels(
    means2d: Tensor, conics: Tensor, colors: Tensor, opacities: Tensor,
    width: int, height: int, tile: int, offsets: Tensor, ids: Tensor,
    *, backgrounds: Tensor | None, masks: Tensor | None = None, absgrad: bool,
) -> tuple[Tensor, Tensor]:  # fmt: skip
    """Blend each tile's list; the last tile's goes to the end of `ids`, masked tiles stay empty."""
    count, rows, columns = offsets.shape
    assert rows * tile >= height
    assert columns * tile >= width
    assert masks is None or masks.shape == offsets.shape
    assert not absgrad
    starts = [*offsets.flatten().tolist(), len(ids)]
    depth = colors.shape[-1]
    shown = [torch.zeros(rows * tile, columns * tile, depth + 1) for _ in range(count)]
    flat = [one.reshape(-1, *one.shape[2:]) for one in (means2d, conics, colors, opacities)]
    for place in range(count * rows * columns):
        camera, within = divmod(place, rows * columns)
        if masks is not None and not masks.flatten()[place]:
            continue
        row, column = divmod(within, columns)
        listed = ids[starts[place] : starts[place + 1]].long()
        ys, xs = torch.meshgrid(
            torch.arange(row * tile, (row + 1) * tile) + 0.5,
            torch.arange(column * tile, (column + 1) * tile) + 0.5,
            indexing="ij",
        )
        xy, conic, color, opacity = (one[listed] for one in flat)
        dx, dy = xy[:, 0] - xs[..., None], xy[:, 1] - ys[..., None]
        a, b, c = conic.unbind(1)
        sigma = 0.5 * (a * dx * dx + c * dy * dy) + b * dx * dy
        alpha = (opacity * torch.exp(-sigma)).clamp_max(ALPHA_LIMIT)
        alpha = torch.where((alpha >= ALPHA_THRESHOLD) & (sigma >= 0), alpha, 0)
        left = torch.cumprod(1 - alpha, -1)
        alpha = torch.where(left > TRANSMITTANCE_THRESHOLD, alpha, 0)
        left = torch.cumprod(1 - alpha, -1)
        weight = alpha * torch.cat([torch.ones_like(left[..., :1]), left[..., :-1]], -1)
        blended = torch.cat([weight @ color, weight.sum(-1, keepdim=True)], -1)
        shown[camera][row * tile : (row + 1) * tile, column * tile : (column + 1) * tile] = blended
    image = torch.stack(shown)[:, :height, :width]
    picture, alphas = image[..., :depth], image[..., depth:]
    if backgrounds is not None:
        picture = picture + (1 - alphas) * backgrounds[:, None, None]
    return picture, alphas
